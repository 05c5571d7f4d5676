"""Long-running processes: each in a session of its own, with a pid file and a log.

A pid file also holds the time at which the process started: a pid that now belongs to something
else is never mistaken for ours.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from e2e.cluster.log import ClusterError, say
from e2e.cluster.paths import LOGS, STATE

_PIDS = STATE / "pids"
_PATIENCE = 5.0


class _Known(TypedDict):
    """What a pid file holds."""

    pid: int
    identity: str | None
    wanted: list[str]


@dataclass(frozen=True)
class Daemon:
    """A process that must run."""

    name: str
    argv: Sequence[str | Path]
    ready: Callable[[], bool]
    inputs: Sequence[Path] = ()
    """Files that are read once at the start: when they change, the process is started again."""
    env: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 60.0
    """How long it may take until it is ready."""


def ensure(daemon: Daemon) -> bool:
    """Start a process that does not run as it should, wait until it is ready, say if it was new.

    Raises
    ------
    ClusterError
        When it ends or is not ready in time, with the end of its log.
    """
    wanted = [str(part) for part in daemon.argv] + [path.read_text() for path in daemon.inputs]
    known = _read(daemon.name)
    new = not (known and known["wanted"] == wanted and is_running(daemon.name))
    if new:
        stop(daemon.name)
        _start(daemon, wanted)
    deadline = time.monotonic() + daemon.seconds
    while not daemon.ready():
        if not is_running(daemon.name) or time.monotonic() > deadline:
            tail = "\n".join(log_of(daemon.name).read_text(errors="replace").splitlines()[-15:])
            raise ClusterError(f"{daemon.name} did not become ready; the end of its log:\n{tail}")
        time.sleep(0.1)
    return new


def stop(name: str) -> None:
    """End a process of ours, if it still runs, and forget it.

    Raises
    ------
    ClusterError
        When even SIGKILL does not end it.
    """
    known = _read(name)
    for how in (signal.SIGTERM, signal.SIGKILL):
        if known and is_running(name):
            os.kill(known["pid"], how)
            _wait_for_end(name)
    if is_running(name):
        raise ClusterError(f"{name} (pid {known['pid'] if known else '?'}) cannot be ended")
    (_PIDS / f"{name}.json").unlink(missing_ok=True)


def names() -> list[str]:
    """Return the names of all processes that have a pid file."""
    return sorted(path.stem for path in _PIDS.glob("*.json"))


def is_running(name: str) -> bool:
    """Say whether the process that we started, and no other with its pid, still runs."""
    known = _read(name)
    if not known or not known["identity"]:
        return False
    return _identity(known["pid"]) == known["identity"]


def log_of(name: str) -> Path:
    """Return where a process writes to."""
    return LOGS / f"{name}.log"


def _start(daemon: Daemon, wanted: list[str]) -> None:
    say(f"starting {daemon.name}")
    _PIDS.mkdir(parents=True, exist_ok=True)
    LOGS.mkdir(parents=True, exist_ok=True)
    with log_of(daemon.name).open("a") as log:
        process = subprocess.Popen(
            [str(part) for part in daemon.argv],
            env={**os.environ, **daemon.env},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )
    known = {"pid": process.pid, "identity": _identity(process.pid), "wanted": wanted}
    (_PIDS / f"{daemon.name}.json").write_text(json.dumps(known))


def _read(name: str) -> _Known | None:
    try:
        known: _Known = json.loads((_PIDS / f"{name}.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return known


def _identity(pid: int) -> str | None:
    """Return what tells this process from all others: the boot and when in it it started."""
    try:
        # The second field, the program's name in brackets, may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if fields[0] == "Z":
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {fields[19]}"


def _wait_for_end(name: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while is_running(name) and time.monotonic() < deadline:
        time.sleep(0.05)
