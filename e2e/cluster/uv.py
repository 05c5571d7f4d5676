"""uv, in a virtual environment of its own in the cache."""

import shutil
import sys
from pathlib import Path

from e2e.cluster.log import say
from e2e.cluster.paths import CACHE
from e2e.cluster.shell import locked, run

_VERSION = "0.13.9"


def uv() -> Path:
    """Return the program, installed when it is not there yet.

    Raises
    ------
    ClusterError
        When it cannot be installed.
    """
    venv = CACHE / f"uv-{_VERSION}"
    program = venv / "bin" / "uv"
    with locked("uv"):
        if not (venv / "complete").exists():
            say(f"installing uv {_VERSION}")
            shutil.rmtree(venv, ignore_errors=True)
            run(sys.executable, "-m", "venv", venv)
            run(venv / "bin" / "pip", "install", "--quiet", f"uv=={_VERSION}")
            (venv / "complete").touch()
    return program
