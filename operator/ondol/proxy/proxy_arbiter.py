"""gunicorn's arbiter and worker, changed so that a new config never costs a request.

gunicorn's own reload stops the old worker before the new one serves, counts a draining worker as
a serving one (when the new worker dies meanwhile nobody serves) and ends the pod when a worker
does not boot. Here every worker belongs to a generation: a new generation's workers start beside
the old ones, the old ones are told to stop when the new ones serve, and a generation that does
not boot is taken back while the old workers go on.

Written for gunicorn 23 and uvicorn 0.54, the versions that LiteLLM pins; `gunicorn_conf.py` puts
the class in place, so that the plain `gunicorn` command runs it.
"""

from __future__ import annotations

import asyncio
import contextlib
import mmap
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import proxy_state
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer
from proxy_settings import Settings, load_settings
from proxy_state import WAITING, Generation
from uvicorn.server import Server
from uvicorn.workers import UvicornWorker

_BOOT_FAILED = 1  # gunicorn's own code for this (3) ends the master
_KILL_GRACE_SECONDS = 10.0
_REST_SECONDS = 1.0  # between two tries to start a worker that does not boot


class ProxyWorker(UvicornWorker):  # type: ignore[misc]
    """A uvicorn worker that tells the master when it serves and keeps its pulse while it drains."""

    CONFIG_KWARGS = {
        "lifespan": "on",
        "server_header": False,
        "timeout_graceful_shutdown": load_settings().drain_seconds,
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.generation = proxy_state.serving.number
        self.started = time.monotonic()
        self.told_to_stop: float | None = None
        self.wake: Callable[[], None] = lambda: None
        self._serves = mmap.mmap(-1, 1)  # shared with the master over the fork

    @property
    def serves(self) -> bool:
        """Whether the worker accepts requests (or did, until it was told to stop)."""
        return self._serves[0] == 1

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        server = Server(config=self.config)
        self._install_sigquit_handler()
        pulse = asyncio.ensure_future(self._pulse(server))
        try:
            await server.serve(sockets=self.sockets)
        except SystemExit:
            sys.exit(_BOOT_FAILED)
        finally:
            pulse.cancel()
        if not server.started:
            sys.exit(_BOOT_FAILED)

    async def _pulse(self, server: Server) -> None:
        """Say that the worker serves, then that its loop turns. uvicorn itself goes silent while
        it drains, and gunicorn would kill it after `timeout` seconds.
        """
        while not server.started:
            await asyncio.sleep(0.01)
        self._serves[0] = 1
        self.wake()
        while True:
            self.notify()
            await asyncio.sleep(1)


class ProxyArbiter(Arbiter):  # type: ignore[misc]
    """A master that has generations of workers. Methods run in the main thread unless told."""

    settings: Settings
    on_served: Callable[[Generation], None]
    """Called when a generation's workers serve."""
    on_refused: Callable[[Generation, str], None]
    """Called when a generation was taken back, with the reason."""
    on_hangup: Callable[[], None]
    base_environ: dict[str, str]

    def prepare(self, settings: Settings) -> None:
        """Set up what an arbiter that was made as gunicorn's own lacks."""
        self.settings = settings
        self.base_environ = dict(os.environ)
        self.current = WAITING
        self.previous = WAITING
        self.announced = 0
        self.broken = 0
        self.rest_until = 0.0
        self._offered: Generation | None = None
        self._last_words = ""

    # Called from the watching thread.

    def offer(self, generation: Generation) -> None:
        """Have `generation` served; it was checked."""
        self._offered = generation
        self.wakeup()

    def give_up(self, reason: str) -> None:
        """End the master with exit code 1."""
        self._last_words = reason
        self.wakeup()

    @property
    def settled(self) -> bool:
        """Whether the newest generation serves and none is on its way: time for the next."""
        return self._offered is None and self.announced == self.current.number

    # gunicorn's hooks and methods.

    def handle_hup(self) -> None:
        """SIGHUP: read the files again and start fresh workers, if the files may be served."""
        self.on_hangup()

    def pre_fork(self, worker: ProxyWorker) -> None:
        """Let the worker wake the main loop when it serves."""
        worker.wake = self.wakeup

    def child_exit(self, worker: ProxyWorker) -> None:
        """Note a worker that never served. In a signal handler: nothing more here."""
        if not worker.serves and worker.told_to_stop is None:
            self.broken = worker.generation
            self.rest_until = time.monotonic() + _REST_SECONDS

    def manage_workers(self) -> None:
        """Bring the workers to what they should be; called at least once a second."""
        if self._last_words:
            raise HaltServer(self._last_words, 1)
        if self._offered is not None:
            self._adopt(self._offered)
            self._offered = None
        self._take_back_if_broken()
        fresh = [w for w in self._serving_or_booting() if w.generation == self.current.number]
        if time.monotonic() >= self.rest_until:
            for _ in range(self.num_workers - len(fresh)):
                self.spawn_worker()
        if sum(worker.serves for worker in fresh) >= self.num_workers:
            self._announce()
            self._stop([w for w in self._serving_or_booting() if w not in fresh])
        self._kill_overdue()

    def _adopt(self, generation: Generation) -> None:
        """Make `generation` the one that workers start with."""
        if self.announced == self.current.number:
            self.previous = self.current
        self._switch(generation)

    def _switch(self, generation: Generation) -> None:
        """Set the environment and the module state that the next workers inherit."""
        self.current = proxy_state.serving = generation
        self.broken, self.rest_until = 0, 0.0
        wanted = {**self.base_environ, **generation.secrets}
        if generation.config is not None:
            wanted["CONFIG_FILE_PATH"] = str(generation.config)
        for name in [name for name in os.environ if name not in wanted]:
            del os.environ[name]
        os.environ.update(wanted)

    def _take_back_if_broken(self) -> None:
        """Go back to the previous generation when the current one does not boot."""
        current = self.current
        if self.announced == current.number or current is WAITING:
            return
        own = [w for w in self._serving_or_booting() if w.generation == current.number]
        limit = time.monotonic() - self.settings.boot_seconds
        stuck = [worker for worker in own if not worker.serves and worker.started < limit]
        if not stuck and self.broken != current.number:
            return
        self._stop(own)
        for worker in stuck:
            self.kill_worker(worker.pid, signal.SIGKILL)
        self._switch(self.previous)
        self.announced = self.current.number
        why = f"took more than {self.settings.boot_seconds:g} s to start" if stuck else "ended"
        self.on_refused(current, f"the config loads, but a worker with it {why} (see the log)")

    def _announce(self) -> None:
        if self.announced != self.current.number:
            self.announced = self.current.number
            self.on_served(self.current)

    def _serving_or_booting(self) -> list[ProxyWorker]:
        return [w for w in list(self.WORKERS.values()) if w.told_to_stop is None]

    def _stop(self, workers: list[ProxyWorker]) -> None:
        """Have workers finish what they carry and end."""
        for worker in workers:
            worker.told_to_stop = time.monotonic()
            self.kill_worker(worker.pid, signal.SIGTERM)

    def _kill_overdue(self) -> None:
        """End workers that drain for too long, and remove the configs that nobody reads."""
        limit = time.monotonic() - self.settings.drain_seconds - _KILL_GRACE_SECONDS
        workers = list(self.WORKERS.values())
        for worker in workers:
            if worker.told_to_stop is not None and worker.told_to_stop < limit:
                self.kill_worker(worker.pid, signal.SIGKILL)
        numbers = {worker.generation for worker in workers}
        oldest = min(numbers | {self.current.number, self.previous.number})
        remove_generations(self.settings, oldest)


def remove_generations(settings: Settings, before: int) -> None:
    """Remove the live copies of generations older than number `before`."""
    with contextlib.suppress(OSError):
        for folder in settings.run_dir.glob("generation-*"):
            if int(folder.name.removeprefix("generation-")) < before:
                shutil.rmtree(folder, ignore_errors=True)
