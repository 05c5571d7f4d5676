"""What the pod serves and why not the newest: known to the master, read by the workers."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

FORK_LOCK = threading.RLock()
"""Held while the watching thread does anything, and by every fork in the master.

A fork copies locks in whatever state another thread has them, so the master forks only while the
watching thread is between two steps.
"""

os.register_at_fork(
    before=FORK_LOCK.acquire,
    after_in_parent=FORK_LOCK.release,
    after_in_child=FORK_LOCK.release,
)


@dataclass(frozen=True)
class Generation:
    """A config that workers are started with. Number 0 is none: its worker says that it waits."""

    number: int = 0
    hash: str = ""
    digest: str = ""
    models: int = 0
    config: Path | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


WAITING = Generation()

serving: Generation = WAITING
"""The generation of this process: set in the master before it forks, inherited by the worker."""


@dataclass(frozen=True)
class State:
    """The answer of `/ondol/status`."""

    hash: str = ""
    """The config that is served: every new connection gets it."""
    models: int = 0
    reloads: int = 0
    error: str = ""
    errorHash: str = ""  # noqa: N815 - the name in the JSON


class StateFile:
    """`state.json`, replaced as a whole, so that a reader never sees half of it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, state: State) -> None:
        """Replace the file. Raises `OSError` when the folder cannot be written."""
        draft = self._path.with_suffix(".new")
        draft.write_text(json.dumps(asdict(state)))
        draft.replace(self._path)

    def read(self) -> State:
        """The state last written, or the default when there is none."""
        try:
            return State(**json.loads(self._path.read_text()))
        except (OSError, ValueError, TypeError):
            return State()
