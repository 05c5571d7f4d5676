"""Building images with buildah, without an engine and without a registry."""

import os
import subprocess
from pathlib import Path

from e2e.cluster import containerd
from e2e.cluster.apt import mirror
from e2e.cluster.log import ClusterError, say
from e2e.cluster.paths import CA_BUNDLE, CACHE, RUN
from e2e.cluster.shell import locked, run

_STORAGE = CACHE / "buildah"
_BASE_PACKAGES = "python3,python3-venv,ca-certificates"
_PASSED_ON = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX")
_BUILD_OPTIONS = ("--isolation", "chroot", "--network", "host", "--pull-never", "--force-rm")


def base(suite: str) -> str:
    """Return the name of a Debian with Python for other images to start from; made when missing.

    Raises
    ------
    ClusterError
        When it cannot be made.
    """
    name = f"localhost/ondol-base:{suite}"
    with locked(f"base-{suite}"):
        if not _has(name):
            tar = _debian(suite)
            options = (*_BUILD_OPTIONS, "--layers=false", "-t", name, "-f", "-", tar.parent)
            _buildah("build", *options, stdin=f'FROM scratch\nADD {tar.name} /\nCMD ["python3"]\n')
    return name


def build(
    name: str, dockerfile: Path, context: Path, *, args: dict[str, str], keep_steps: bool
) -> None:
    """Build an image; Python's packages come through this machine's certificates and index.

    Raises
    ------
    ClusterError
        When the build fails.
    """
    inside = "/etc/ssl/certs/ca-certificates.crt"
    options = ["-v", f"{CA_BUNDLE}:{inside}:ro", f"--layers={str(keep_steps).lower()}"]
    indexes = {key: os.environ[key] for key in _PASSED_ON if key in os.environ}
    for key, value in {"PIP_CERT": inside, "SSL_CERT_FILE": inside, **indexes, **args}.items():
        options += ["--build-arg", f"{key}={value}"]
    _buildah("build", *_BUILD_OPTIONS, *options, "-t", name, "-f", dockerfile, context)


def move_to_containerd(name: str) -> None:
    """Hand an image to the cluster's containerd and keep no second copy.

    Raises
    ------
    ClusterError
        When one of the two fails.
    """
    pushing = [*_command("push", name), f"docker-archive:/dev/stdout:{name}"]
    with subprocess.Popen(
        pushing, env=_env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as push:
        done = subprocess.run(
            containerd.ctr_command("images", "import", "-"),
            stdin=push.stdout,
            capture_output=True,
            text=True,
            check=False,
        )
        told = push.communicate()[1].decode(errors="replace")
    if push.returncode or done.returncode:
        raise ClusterError(f"{name} could not be loaded:\n{told[-2000:]}{done.stderr[-2000:]}")
    _buildah("rmi", "--force", name)


def _has(name: str) -> bool:
    return bool(_buildah("images", "--quiet", "--filter", f"reference={name}").strip())


def _debian(suite: str) -> Path:
    """Return the root file system of a Debian with Python, as a tar file."""
    tar = CACHE / "base" / f"{suite}.tar"
    if not tar.exists():
        say(f"making a base image from Debian {suite}")
        tar.parent.mkdir(parents=True, exist_ok=True)
        unfinished = tar.with_suffix(f".{os.getpid()}.tar")
        options = ("--mode=root", "--variant=apt", f"--include={_BASE_PACKAGES}")
        run("mmdebstrap", *options, suite, unfinished, *mirror())
        unfinished.rename(tar)
    return tar


def _buildah(*argv: str | Path, stdin: str | None = None) -> str:
    return run(*_command(*argv), env=_env(), stdin=stdin)


def _command(*argv: str | Path) -> list[str]:
    storage = ("--root", _STORAGE / "storage", "--runroot", RUN / "buildah")
    return [str(part) for part in ("buildah", *storage, "--storage-driver", "overlay", *argv)]


def _env() -> dict[str, str]:
    temporary = _STORAGE / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    return {**os.environ, "TMPDIR": str(temporary)}
