"""Debian packages that the node and the image builds need."""

from collections.abc import Mapping

from e2e.cluster.log import ClusterError, say
from e2e.cluster.shell import locked, run, succeeds

_PACKAGES: Mapping[str, str] = {
    "buildah": "buildah",
    "containerd": "containerd",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "ipset": "ipset",
    "iptables": "iptables",
    "mmdebstrap": "mmdebstrap",
    "nft": "nftables",
    "openssl": "openssl",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
}
"""A program of each package, and the package."""


def install() -> None:
    """Install what is missing; nothing happens when all is there.

    Raises
    ------
    ClusterError
        When something is missing and this is not a Debian.
    """
    missing = sorted({pkg for program, pkg in _PACKAGES.items() if not _there(program)})
    if not missing:
        return
    if not succeeds("apt-get", "--version"):
        raise ClusterError(f"install by hand, there is no apt-get here: {' '.join(missing)}")
    with locked("apt"):
        say(f"installing {', '.join(missing)}")
        env = {"DEBIAN_FRONTEND": "noninteractive"}
        run("apt-get", "update", env=env)
        run("apt-get", "install", "-y", "--no-install-recommends", *missing, env=env)


def mirror() -> list[str]:
    """Return the mirror that this machine's apt takes Debian from; nothing where it has none."""
    wanted = "$(ORIGIN) $(LABEL) $(REPO_URI)"
    try:
        lines = run("apt-get", "indextargets", "--format", wanted).splitlines()
    except ClusterError:
        return []
    return [line.split()[2] for line in lines if line.startswith("Debian Debian ")][:1]


def _there(program: str) -> bool:
    test = "test -x" if program.startswith("/") else "command -v"
    return succeeds("sh", "-c", f"{test} {program}")
