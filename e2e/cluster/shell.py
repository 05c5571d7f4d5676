"""Running commands, waiting for things and holding locks."""

import fcntl
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from e2e.cluster.log import ClusterError, say
from e2e.cluster.paths import CACHE

_TAIL_LINES = 25


def run(
    *argv: str | Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
) -> str:
    """Run a command to its end and return its output.

    Raises
    ------
    ClusterError
        When the command fails, with the last lines that it wrote.
    """
    command = [str(part) for part in argv]
    done = subprocess.run(
        command,
        env={**os.environ, **(env or {})},
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        told = (done.stdout + done.stderr).strip().splitlines()
        tail = "\n".join(told[-_TAIL_LINES:])
        raise ClusterError(f"`{' '.join(command)}` ended with {done.returncode}:\n{tail}")
    return done.stdout


def succeeds(*argv: str | Path) -> bool:
    """Say whether a command can be run and ends with 0."""
    command = [str(part) for part in argv]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def put(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write a file only when that changes it: some programs end when their file is touched."""
    if path.exists() and path.read_text() == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=mode)
    path.write_text(text)


def wait_for(what: str, ready: Callable[[], bool], *, seconds: float) -> None:
    """Ask four times a second until ``ready`` says yes.

    Raises
    ------
    ClusterError
        When it does not in time.
    """
    start = time.monotonic()
    while not ready():
        if time.monotonic() - start > seconds:
            raise ClusterError(f"{what}: not ready after {seconds:.0f} s")
        time.sleep(0.25)


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Let only one process at a time do what ``name`` says; the others wait."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process that works on {name}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
