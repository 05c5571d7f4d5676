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
import socket
import sys
import time
from collections.abc import Callable
from typing import Any, ClassVar

import proxy_state
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer
from proxy_settings import Settings, load_settings
from proxy_state import WAITING, Generation
from uvicorn.config import Config
from uvicorn.server import Server
from uvicorn.workers import UvicornWorker

_BOOT_FAILED = 1  # gunicorn's own code for this (3) ends the master
_BOOTING, _SERVES, _CLOSED = 0, 1, 2
_CLOSE_SECONDS = 10.0  # for a worker that was told to stop to take no more connections
_PARTING_SECONDS, _TICK_SECONDS = 5.0, 0.05
_KILL_GRACE_SECONDS = 10.0
_REST_SECONDS = 1.0  # between two tries to start a worker that does not boot


class ProxyWorker(UvicornWorker):  # type: ignore[misc]
    """A uvicorn worker that tells the master when it serves and keeps its pulse while it drains."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
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
        self._stage = mmap.mmap(-1, 1)  # shared with the master over the fork

    @property
    def served(self) -> bool:
        """Whether the worker came so far that it took requests."""
        return self._stage[0] != _BOOTING

    @property
    def accepts(self) -> bool:
        """Whether the worker may still take new connections."""
        if self.told_to_stop is None:
            return True
        late = time.monotonic() > self.told_to_stop + _CLOSE_SECONDS
        return self._stage[0] != _CLOSED and not late

    def enter(self, stage: int) -> None:
        """Tell the master how far this worker is. In the worker."""
        self._stage[0] = stage
        self.wake()

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        server = _Server(self.config, closed=lambda: self.enter(_CLOSED))
        # uvicorn's own handler for SIGQUIT ("now") leaves the server running.
        asyncio.get_running_loop().add_signal_handler(signal.SIGQUIT, _quit, server)
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
        """Say that the worker serves, then that its loop turns.

        uvicorn itself goes silent while it drains, and gunicorn would kill it after `timeout`.
        """
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        self.enter(_SERVES)
        while True:
            self.notify()
            await asyncio.sleep(1)


class _Server(Server):  # type: ignore[misc]
    """A uvicorn server that lets go of its clients before it drains.

    uvicorn closes the listener and the idle connections in one go: a request on a connection that
    was just accepted, or on a kept-alive one, is reset. Here open connections are answered for
    some seconds more, each with `connection: close`, so that clients come back to the new worker.
    """

    def __init__(self, config: Config, closed: Callable[[], None]) -> None:
        super().__init__(config)
        self._closed = closed

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        self._closed()
        self.server_state.default_headers.append((b"connection", b"close"))
        for _ in range(round(_PARTING_SECONDS / _TICK_SECONDS)):
            if self.force_exit or not self.server_state.connections:
                break
            await asyncio.sleep(_TICK_SECONDS)
        await super().shutdown(sockets)
        self._captured_signals.clear()  # or it dies of SIGTERM again, an error in gunicorn's log


def _quit(server: Server) -> None:
    """End a server without waiting for its connections."""
    server.should_exit = server.force_exit = True


class ProxyArbiter(Arbiter):  # type: ignore[misc]
    """A master that has generations of workers. Methods run in the main thread unless told."""

    settings: Settings
    on_served: Callable[[Generation], None]
    """Called when a generation's workers serve, and they alone."""
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
        if not worker.served and worker.told_to_stop is None:
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
        if sum(worker.served for worker in fresh) >= self.num_workers:
            self._stop([w for w in self._serving_or_booting() if w not in fresh])
            self._announce()
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
        stuck = [worker for worker in own if not worker.served and worker.started < limit]
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
        """Tell that the current generation serves, once no other can take a request."""
        others = [w for w in self.WORKERS.values() if w.generation != self.current.number]
        if self.announced != self.current.number and not any(w.accepts for w in others):
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
