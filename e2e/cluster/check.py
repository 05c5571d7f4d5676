"""Says at once, and completely, what this machine lacks."""

import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from e2e.cluster.log import ClusterError
from e2e.cluster.paths import CACHE, STATE
from e2e.cluster.shell import run

_GO = (1, 26)
_PYTHON = (3, 11)
_DISK_GB = 25
_MEMORY_GB = 10


def ensure(*, node: bool) -> None:
    """Refuse to go on when something is missing; ``node`` asks for all that a whole node needs.

    Raises
    ------
    ClusterError
        With one line for each thing that is missing, and what to do about it.
    """
    if missing := [*_for_builds(), *(_for_a_node() if node else ())]:
        raise ClusterError("\n".join(f"missing: {line}" for line in missing))


def _for_builds() -> Iterator[str]:
    if platform.system() != "Linux" or platform.machine() not in ("x86_64", "aarch64"):
        yield "Linux on amd64 or arm64: use such a machine, or a virtual one"
    if tuple(sys.version_info) < _PYTHON:
        yield "Python 3.11 or later: run this with python3.11"
    if _go_version() < _GO:
        yield "Go 1.26 or later: install it and put its bin folder first in PATH"


def _for_a_node() -> Iterator[str]:
    if os.geteuid() != 0:
        yield "root: run this with sudo --preserve-env"
    filled = (CACHE / "containerd").exists()
    for folder in {_existing(CACHE), _existing(STATE)}:
        free = shutil.disk_usage(folder).free / 1e9
        if free < _DISK_GB and not filled:
            yield (
                f"{_DISK_GB} GB of free disk: {folder} has {free:.0f};"
                " make room, or set ONDOL_CACHE and ONDOL_STATE to another disk"
            )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    if memory < _MEMORY_GB:
        yield f"{_MEMORY_GB} GB of memory: this machine has {memory:.0f}"


def _go_version() -> tuple[int, int]:
    if not shutil.which("go"):
        return (0, 0)
    try:
        found = re.search(r"go(\d+)\.(\d+)", run("go", "version"))
    except ClusterError:
        return (0, 0)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _existing(folder: Path) -> Path:
    """Return the folder, or the first one above it that is there already."""
    return folder if folder.exists() else _existing(folder.parent)
