"""The master's watching thread: sees new files, has them checked, offers them to the arbiter."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from proxy_check import Verdict, check
from proxy_settings import Settings
from proxy_source import Snapshot, SourceError, fingerprint, read_snapshot
from proxy_state import FORK_LOCK, Generation, State, StateFile

_FIRST_RETRY_SECONDS = 5.0
_LONGEST_RETRY_SECONDS = 60.0

log = logging.getLogger("ondol.proxy")


class Master(Protocol):
    """What the thread needs of the arbiter."""

    base_environ: dict[str, str]

    @property
    def settled(self) -> bool:
        """Whether it is time for the next generation."""

    def offer(self, generation: Generation) -> None:
        """Have it served."""

    def give_up(self, reason: str) -> None:
        """End the pod."""


@dataclass
class _Retry:
    """When to look again at files that failed for a reason that may pass."""

    at: float = 0.0
    wait: float = 0.0

    def later(self) -> None:
        """Put the next try off, for longer each time."""
        self.wait = min(self.wait * 2 or _FIRST_RETRY_SECONDS, _LONGEST_RETRY_SECONDS)
        self.at = time.monotonic() + self.wait

    def due(self) -> bool:
        """Whether it is time."""
        return bool(self.at) and time.monotonic() >= self.at

    def clear(self) -> None:
        """Nothing to try again."""
        self.at = self.wait = 0.0


class Watcher:
    """Follows the mounted folders. One step at a time; never two checks or two offers at once."""

    def __init__(self, settings: Settings, master: Master) -> None:
        self._settings = settings
        self._master = master
        self._file = StateFile(settings.run_dir / "state.json")
        self._state = State()
        self._seen: tuple[object, ...] | None = None
        self._tried = ""
        self._served = ""
        self._number = 0
        self._retry = _Retry()
        self._poke = threading.Event()
        self._started = time.monotonic()

    def start(self) -> None:
        """Take the first step now and the others in a thread.

        Raises `OSError` when the run folder cannot be written.
        """
        self._settings.run_dir.mkdir(parents=True, exist_ok=True)
        self._tell(error="", hash_="")
        self._step()
        threading.Thread(target=self._follow, name="ondol-watch", daemon=True).start()

    def look_again(self) -> None:
        """Check and serve the files at the next step even if they did not change (SIGHUP)."""
        self._poke.set()

    def on_served(self, generation: Generation) -> None:
        """A generation serves (told by the arbiter)."""
        with FORK_LOCK:
            again = bool(self._served)
            self._served = generation.digest
            self._state = replace(
                self._state,
                hash=generation.hash,
                models=generation.models,
                reloads=self._state.reloads + again,
            )
            # Meanwhile there may be a newer state with an error of its own: that stays.
            newest = self._tried == generation.digest
            self._tell(
                error="" if newest else self._state.error,
                hash_="" if newest else self._state.errorHash,
            )
        log.info("%d models are served, config %s", generation.models, generation.hash)

    def on_refused(self, generation: Generation, reason: str) -> None:
        """A generation was taken back (told by the arbiter)."""
        with FORK_LOCK:
            if self._tried == generation.digest:
                self._tell(error=reason, hash_=generation.hash)
                self._retry.later()

    def _follow(self) -> None:
        """Take steps until the process ends. No error ends it."""
        while True:
            time.sleep(self._settings.poll_seconds)
            try:
                self._step()
            except Exception:
                log.exception("a step of the watch failed")

    def _step(self) -> None:
        """Look once, and act when the files are new."""
        if not self._master.settled:
            return
        with FORK_LOCK:
            snapshot = self._changed()
        if snapshot is not None:
            self._try(snapshot)
        if not self._served and time.monotonic() - self._started > self._settings.start_seconds:
            limit = f"no config that loads within {self._settings.start_seconds:g} s"
            self._master.give_up(f"{limit}: {self._state.error}")

    def _changed(self) -> Snapshot | None:
        """The mounted files, if they are to be tried now."""
        settings = self._settings
        seen = fingerprint(settings.config_dir, settings.secrets_dir)
        forced = self._poke.is_set()
        if seen == self._seen and not forced and not self._retry.due():
            return None
        try:
            snapshot = read_snapshot(settings.config_dir, settings.secrets_dir)
        except SourceError as error:
            self._seen, self._tried = seen, ""
            self._tell(error=str(error), hash_="")
            return None
        except OSError:  # the kubelet swapped the volume: the next step reads the new one
            return None
        self._seen = seen
        self._poke.clear()
        if snapshot.digest == self._tried and not forced and not self._retry.due():
            return None
        if snapshot.digest != self._tried:
            self._retry.clear()
        self._tried = snapshot.digest
        if snapshot.digest == self._served and not forced:  # taken back to what is served
            self._tell(error="", hash_="")
            return None
        return snapshot

    def _try(self, snapshot: Snapshot) -> None:
        """Check a snapshot and offer it, or say why not."""
        self._number += 1
        with FORK_LOCK:
            config = self._write(snapshot)
        began = time.monotonic()
        verdict = self._check(config, snapshot.secrets)
        took = time.monotonic() - began
        with FORK_LOCK:
            if verdict.error:
                shutil.rmtree(config.parent, ignore_errors=True)
                self._refuse(snapshot, verdict)
                return
            self._retry.clear()
            log.info("config %s loads (%.2f s)", snapshot.hash, took)
        self._master.offer(
            Generation(
                number=self._number,
                hash=snapshot.hash,
                digest=snapshot.digest,
                models=verdict.models,
                config=config,
                secrets=snapshot.secrets,
            )
        )

    def _check(self, config: Path, secrets: Mapping[str, str]) -> Verdict:
        environ = {**self._master.base_environ, **secrets, "CONFIG_FILE_PATH": str(config)}
        try:
            return check(config, environ, self._settings.check_seconds)
        except OSError as error:
            return Verdict(error=f"cannot check the config: {error}", transient=True)

    def _refuse(self, snapshot: Snapshot, verdict: Verdict) -> None:
        self._tell(error=verdict.error, hash_=snapshot.hash)
        if verdict.transient:
            self._retry.later()
        else:
            self._retry.clear()

    def _write(self, snapshot: Snapshot) -> Path:
        """Put the snapshot's files where the workers will read them; the config's path."""
        folder = self._settings.run_dir / f"generation-{self._number}"
        shutil.rmtree(folder, ignore_errors=True)  # left by a master that died
        folder.mkdir(mode=0o700)
        for name, data in snapshot.files.items():
            (folder / name).write_bytes(data)
        return folder / "config.yaml"

    def _tell(self, error: str, hash_: str) -> None:
        """Write the state for the workers, and the log when it is news."""
        if error and (error, hash_) != (self._state.error, self._state.errorHash):
            log.error("config %s is not served: %s", hash_ or "(none)", error)
        self._state = replace(self._state, error=error, errorHash=hash_)
        self._file.write(self._state)
