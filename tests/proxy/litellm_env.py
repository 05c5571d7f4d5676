"""The virtual environment with LiteLLM that the proxy tests run: made once with uv, then kept.

`ONDOL_LITELLM_PYTHON` names an interpreter to use instead. Run as a program it makes the
environment and prints the interpreter.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

LOCK = Path(__file__).parents[2] / "e2e" / "images" / "litellm" / "requirements.txt"
"""The lock of the image: the tests run what the pod runs."""

_PYTHONS = ("3.13", "3.12", "3.11")  # the pod has 3.13; LiteLLM crashed under load on 3.11


class NoEnvironmentError(Exception):
    """The environment cannot be made here."""


def litellm_python() -> Path:
    """The interpreter that has LiteLLM.

    Raises `NoEnvironmentError` when uv or a fitting Python is missing, and
    `subprocess.CalledProcessError` when uv fails.
    """
    if given := os.environ.get("ONDOL_LITELLM_PYTHON"):
        return Path(given)
    cache = Path(os.environ.get("ONDOL_CACHE", "~/.cache/ondol")).expanduser()
    folder = cache / "litellm-venv"
    wanted = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    stamp = folder / "lock.sha256"
    if not stamp.is_file() or stamp.read_text() != wanted:
        _make(folder)
        stamp.write_text(wanted)
    return folder / "bin" / "python"


def _make(folder: Path) -> None:
    """Make the environment from the lock; compiled, or each start would take 10 s more."""
    uv = shutil.which("uv")
    if uv is None:
        raise NoEnvironmentError("uv is not installed")
    folder.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([uv, "venv", "--clear", "--python", _find_python(), str(folder)], check=True)
    python = str(folder / "bin" / "python")
    install = [uv, "pip", "install", "--compile-bytecode", "--python", python]
    subprocess.run([*install, "--no-deps", "-r", str(LOCK)], check=True)


def _find_python() -> str:
    """The newest fitting interpreter that runs; a shim of pyenv may be there and not run."""
    for version in _PYTHONS:
        built = Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python{version}")
        for candidate in [shutil.which(f"python{version}"), *map(str, built)]:
            if (
                candidate
                and subprocess.run(
                    [candidate, "-c", ""], capture_output=True, check=False
                ).returncode
                == 0
            ):
                return candidate
    raise NoEnvironmentError(f"no Python of {', '.join(_PYTHONS)}")


def _runs(python: str) -> bool:
    done = subprocess.run([python, "-c", ""], capture_output=True, check=False)
    return done.returncode == 0


if __name__ == "__main__":
    print(litellm_python())
