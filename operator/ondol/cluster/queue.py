"""One coalescing queue of keys that need a look.

A key waits at most once, is never worked on twice at once, and comes back later when its work
failed. Live events go before start-up and resync.
"""

import asyncio
import heapq
import itertools
import random
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from prometheus_client import Gauge

K = TypeVar("K")

FIRST_BACKOFF_SECONDS = 0.05
LAST_BACKOFF_SECONDS = 60.0
QUIET_SECONDS = 1.0
QUIET_LIMIT_SECONDS = 10.0

DEPTH = Gauge("ondol_queue_depth", "Keys that wait for a worker.")
OLDEST = Gauge("ondol_queue_oldest_seconds", "Age of the longest waiting key, in seconds.")


class Queue(Generic[K]):
    """Keys to look at, for any number of workers on one event loop."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._waiting: dict[K, float] = {}  # since when; insertion order is the order of work
        self._low: dict[K, float] = {}
        self._busy: set[K] = set()
        self._again: set[K] = set()
        self._failures: dict[K, int] = {}
        self._later: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._serial = itertools.count()
        self._quiet: dict[K, tuple[float, float]] = {}  # first and latest call
        self._wakeup = asyncio.Event()
        self._free = 1
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due: float | None = None
        DEPTH.set_function(lambda: len(self))
        OLDEST.set_function(self.oldest)

    def add(self, key: K, *, low: bool = False) -> None:
        """Ask for a look at a key now; `low` lets everything else go first."""
        self._later.pop(key, None)
        if key in self._busy:
            self._again.add(key)
        elif low and key not in self._waiting:
            self._low.setdefault(key, self._clock())
        elif not low:
            since = self._low.pop(key, self._clock())
            self._waiting.setdefault(key, since)
        self._wake()

    def add_after(self, key: K, seconds: float) -> None:
        """Ask for a look after some time, unless an earlier one is already due."""
        due = self._clock() + seconds
        if key in self._waiting or self._later.get(key, due + 1) <= due:
            return
        self._later[key] = due
        self._push(due, key)

    def add_when_quiet(self, key: K) -> None:
        """Ask for a look when no further call came for 1 s, or 10 s after the first."""
        now = self._clock()
        if key in self._quiet:
            self._quiet[key] = (self._quiet[key][0], now)
        else:
            self._quiet[key] = (now, now)
            self._push(now + QUIET_SECONDS, key)

    def take(self) -> K | None:
        """Take the next key that is due, None when none is; it is busy from then on."""
        self._release_due()
        for line in (self._waiting, self._low):
            if line:
                key = next(iter(line))
                del line[key]
                self._busy.add(key)
                return key
        return None

    async def run(self, work: Callable[[K], Awaitable[bool]], workers: int) -> None:
        """Work on keys for ever, on at most `workers` at once.

        `work` says whether it succeeded; a key for which it did not comes back later.
        """
        self._free = workers
        async with asyncio.TaskGroup() as group:
            while True:
                while self._free and (key := self.take()) is not None:
                    self._free -= 1
                    group.create_task(self._work(work, key))
                self._wakeup.clear()
                self._set_timer()
                await self._wakeup.wait()

    def oldest(self) -> float:
        """Seconds that the longest waiting key has waited."""
        now = self._clock()
        return max((now - since for since in self._waiting.values()), default=0.0)

    def __len__(self) -> int:
        """Keys that wait now, without those that are due later."""
        return len(self._waiting) + len(self._low)

    async def _work(self, work: Callable[[K], Awaitable[bool]], key: K) -> None:
        succeeded = await work(key)
        self._free += 1
        self._busy.discard(key)
        if succeeded:
            self._failures.pop(key, None)
        else:
            self._failures[key] = self._failures.get(key, 0) + 1
        if key in self._again:
            self._again.discard(key)
            self.add(key)
        elif not succeeded:
            self.add_after(key, self._backoff(key))
        self._wakeup.set()

    def _backoff(self, key: K) -> float:
        """Seconds to wait after a failure: doubles each time, with jitter."""
        growth = 2.0 ** min(self._failures[key], 20)
        limit = min(LAST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * growth)
        return limit * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load

    def _release_due(self) -> None:
        now = self._clock()
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            if self._later.get(key) == due:
                self.add(key)
            elif key in self._quiet:
                first, latest = self._quiet[key]
                quiet_at = min(latest + QUIET_SECONDS, first + QUIET_LIMIT_SECONDS)
                if now >= quiet_at:
                    del self._quiet[key]
                    self.add(key)
                else:
                    self._push(quiet_at, key)

    def _push(self, due: float, key: K) -> None:
        heapq.heappush(self._heap, (due, next(self._serial), key))
        if self._heap[0][2] == key:
            self._wake()

    def _wake(self) -> None:
        """Let the loop look again; not while all workers are busy, each of which will."""
        if self._free:
            self._wakeup.set()

    def _set_timer(self) -> None:
        """Wake up when the next key is due."""
        due = self._heap[0][0] if self._heap else None
        if self._timer and due == self._timer_due:
            return
        if self._timer:
            self._timer.cancel()
        self._timer, self._timer_due = None, due
        if due is not None:
            wait = max(0.0, due - self._clock())
            self._timer = asyncio.get_running_loop().call_later(wait, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._wakeup.set()
