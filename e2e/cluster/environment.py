"""What a shell must export to work with the cluster."""

from e2e.cluster import binaries
from e2e.cluster.paths import KUBECONFIG


def exports() -> str:
    """Return shell lines for ``eval "$(python3.11 -m e2e.cluster env)"``."""
    return f"export KUBECONFIG={KUBECONFIG}\nexport PATH={binaries.directory()}:$PATH\n"
