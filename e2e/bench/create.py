"""Measures how an operator answers new objects; with a restart afterwards when asked."""

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from e2e.bench import replay
from e2e.bench.config import LOAD_NAMESPACE, TAPE_INDEX, TAPE_NAMESPACE, Config, index
from e2e.bench.load import create
from e2e.bench.measure.audit import Record, count_by_verb, count_in_detail
from e2e.bench.measure.machine import Noise
from e2e.bench.measure.process import OperatorProcess
from e2e.bench.measure.stats import percentile
from e2e.bench.measure.watch import Arrivals, Stream, arrivals, latencies
from e2e.bench.measure.writes import Owners, summarise
from e2e.bench.settle import IncompleteError, split_leases, wait_quiet
from e2e.bench.steady import restart as measure_restart
from e2e.bench.world import World, running, world

_PAUSE = 0.5  # seconds between single creates


@dataclass(frozen=True)
class Created:
    """What creating objects gave: the figures, and what the floor needs."""

    figures: dict[str, Any]
    tape: Sequence[Record]  # the operator's writes for one object, with bodies
    counts: Mapping[replay.Sort, int]  # its writes in the measured run, by sort
    restart: dict[str, Any] | None = None


def measure_create(config: Config, size: int, *, restart: bool) -> Created:
    """Create ``size`` objects at once (one: many times, one after the other).

    Raises
    ------
    IncompleteError
        When children are missing after the configured time.
    """
    with world(config) as place, running(config, place) as process:
        tape = asyncio.run(_record(config, place, process))
        rounds = config.repeats if size == 1 else 1
        created = asyncio.run(_Create(config, place, process, tape).run(size, rounds))
        if not restart:
            return created
        again = measure_restart(config, place, process)
        return Created(created.figures, created.tape, created.counts, again)


class _Create:
    def __init__(
        self, config: Config, place: World, process: OperatorProcess, tape: Sequence[Record]
    ) -> None:
        self._config = config
        self._place = place
        self._process = process
        self._tape = tape
        self._children: dict[str, list[tuple[str, str]]] = {}

    async def run(self, size: int, rounds: int) -> Created:
        config, place = self._config, self._place
        indexes = [index(i) for i in range(size * rounds)]
        items = {config.name_for(i): config.object_for(i, LOAD_NAMESPACE) for i in indexes}
        names = list(items)
        self._children = {name: _children(config, name) for name in names}
        start, cpu, noise = time.time(), self._process.cpu_seconds(), Noise(place.server.pids)
        async with place.admin(config.concurrency) as sender, place.admin(0) as watcher:
            streams = _streams(config, watcher)
            await asyncio.gather(*(stream.open() for stream in streams))
            sent: dict[str, float] = {}
            path = config.kind.path(LOAD_NAMESPACE)
            for number in range(rounds):
                part = {name: items[name] for name in names[number * size : (number + 1) * size]}
                sent |= await create(sender, path, part, config.concurrency)
                await self._wait_children(streams, sent)
                if number + 1 < rounds:
                    await asyncio.sleep(_PAUSE)
            last = await wait_quiet(config, place.audit, self._process, start)
            for stream in streams:
                stream.check()
                await stream.close()
            seen = arrivals(streams)
            watched = [(stream.resource_group, stream.namespace) for stream in streams]
        timing = self._timing(sent, seen, size)
        if rounds == 1:
            began = time.time() - time.perf_counter() + min(sent.values())
            timing["settled_s"] = last - began
        counts, figures = self._requests(start, seen, watched)
        usage = {
            "cpu_s": self._process.cpu_seconds() - cpu,
            "rss_mb": self._process.peak_rss_mb(),
            "watches_resumed": sum(stream.resumed for stream in streams),
            **noise.figures(),
        }
        return Created({"objects": len(names), **timing, **usage, **figures}, self._tape, counts)

    async def _wait_children(self, streams: Sequence[Stream], sent: Mapping[str, float]) -> None:
        wanted = Counter(child[0] for name in sent for child in self._children[name])
        deadline = time.monotonic() + self._config.create_timeout

        def enough() -> bool:
            return all(stream.added >= wanted[stream.resource_group] for stream in streams)

        def complete() -> bool:
            return len(latencies(sent, self._children, arrivals(streams).first)) == len(sent)

        # Counting is cheap. That the right ones are there needs decoding, which takes time from
        # the operator, so a count that is reached too early makes the next look come late.
        while not (counted := enough()) or not complete():
            for stream in streams:
                stream.check()
            self._process.check()
            if time.monotonic() > deadline:
                have = {stream.resource_group: stream.added for stream in streams}
                raise IncompleteError(
                    f"children after {self._config.create_timeout:g} s: {have} of {dict(wanted)}; "
                    f"{self._last_write()}\n{self._process.log_tail()}"
                )
            await asyncio.sleep(1 if counted else 0.01)

    def _last_write(self) -> str:
        audit = self._place.audit
        audit.read()
        _, rest = split_leases(self._config, audit.mine)
        last = max((record.done for record in rest if record.is_write), default=None)
        if last is None:
            return "the operator wrote nothing"
        return f"the operator's last write was {time.time() - last:.0f} s ago"

    def _timing(self, sent: Mapping[str, float], seen: Arrivals, size: int) -> dict[str, Any]:
        took = latencies(sent, self._children, seen.first)
        ends = {name: sent[name] + took[name] for name in sent}
        names = list(sent)
        rounds = [names[i : i + size] for i in range(0, len(names), size)]
        spans = [
            max(ends[name] for name in part) - min(sent[name] for name in part) for part in rounds
        ]
        return {
            "p50_ms": percentile(list(took.values()), 0.50) * 1000,
            "p99_ms": percentile(list(took.values()), 0.99) * 1000,
            "all_s": statistics.median(spans),
        }

    def _requests(
        self, start: float, seen: Arrivals, watched: Sequence[tuple[str, str]]
    ) -> tuple[Counter[replay.Sort], dict[str, Any]]:
        config, audit = self._config, self._place.audit
        mine = [record for record in audit.mine if record.received >= start]
        leases, rest = split_leases(config, mine)
        known = {child: name for name, found in self._children.items() for child in found}
        known |= {(config.kind.resource_group, name): name for name in self._children}
        writes = [record for record in rest if record.is_write]
        summary = summarise(
            writes,
            audit.others_writes,
            owners=Owners(known),
            events=seen.count,
            watched=watched,
        )
        total = len(self._children)
        figures = {
            "requests_per_object": {
                verb: count / total for verb, count in sorted(count_by_verb(rest).items())
            },
            "requests": dict(count_in_detail(rest)),
            "lease_requests": len(leases),
            "writes_per_object_max": summary.per_object_max,
            "writes_per_object_mean": summary.per_object_mean,
            "no_effect_writes": summary.no_effect,
            "unverified_writes": summary.unverified,
            "unattributed_writes": summary.unattributed,
            "failed_writes": summary.failed,
        }
        done = [one for one in writes if one.succeeded and one.namespace == LOAD_NAMESPACE]
        return Counter(map(replay.sort_of, done)), figures


async def _record(config: Config, place: World, process: OperatorProcess) -> list[Record]:
    """Create one object where the audit log keeps bodies; it warms everything up as well."""
    start = time.time()
    item = config.object_for(TAPE_INDEX, TAPE_NAMESPACE)
    async with place.admin(1) as session:
        await create(session, config.kind.path(TAPE_NAMESPACE), {TAPE_INDEX: item}, 1)
    await wait_quiet(config, place.audit, process, start)
    found = [one for one in place.audit.mine if one.namespace == TAPE_NAMESPACE and one.is_write]
    return [one for one in found if one.succeeded]


def _streams(config: Config, session: Any) -> list[Stream]:
    kinds = {config.kind, *(child.kind for child in config.children)}
    return [Stream(session, kind, LOAD_NAMESPACE) for kind in kinds]


def _children(config: Config, name: str) -> list[tuple[str, str]]:
    return [(child.kind.resource_group, child.name_for(name)) for child in config.children]
