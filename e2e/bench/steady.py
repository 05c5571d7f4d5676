"""Measures of an operator whose objects are settled: idle, and after a restart."""

import asyncio
import time
from typing import Any

from e2e.bench.config import LOAD_NAMESPACE, Config, index
from e2e.bench.load import create
from e2e.bench.measure.audit import count_in_detail
from e2e.bench.measure.process import OperatorProcess
from e2e.bench.settle import split_leases, wait_quiet
from e2e.bench.world import World, running, world


def measure_idle(config: Config) -> dict[str, Any]:
    """Count writes while nothing happens to settled objects."""
    with world(config) as place, running(config, place) as process:
        asyncio.run(_fill(config, place, process, config.idle_objects))
        start, cpu = time.time(), process.cpu_seconds()
        time.sleep(config.idle_seconds)
        used = process.cpu_seconds() - cpu
        place.audit.read()
        seen = [record for record in place.audit.mine if record.done >= start]
        leases, rest = split_leases(config, [record for record in seen if record.is_write])
        per_minute = 60 / config.idle_seconds
        return {
            "objects": config.idle_objects,
            "writes_per_min": len(rest) * per_minute,
            "lease_writes_per_min": len(leases) * per_minute,
            "reads_per_min": sum(not record.is_write for record in seen) * per_minute,
            "cpu_s_per_min": used * per_minute,
            "requests": dict(count_in_detail(seen)),
        }


def restart(config: Config, place: World, process: OperatorProcess) -> dict[str, Any]:
    """Stop and start the operator with its objects settled, and count what it does."""
    process.stop()
    place.audit.read()
    start = time.time()
    process.start()
    process.wait_ready()
    ready = time.time()
    last = asyncio.run(
        wait_quiet(
            config,
            place.audit,
            process,
            start,
            # A watch is logged when it ends.
            counts=lambda record: record.verb != "watch",
            not_before=ready,
        )
    )
    seen = [record for record in place.audit.mine if record.received >= start]
    _, rest = split_leases(config, seen)
    writes = [record for record in rest if record.is_write]
    return {
        "objects": config.restart_objects,
        "status_writes": sum(record.subresource == "status" for record in writes),
        "applies": sum(record.verb == "apply" and not record.subresource for record in writes),
        "writes": len(writes),
        "requests": dict(count_in_detail(rest)),
        "ready_s": ready - start,
        "settled_s": max(last, ready) - start,
        "cpu_s": process.cpu_seconds(),
        "rss_mb": process.peak_rss_mb(),
    }


async def _fill(config: Config, place: World, process: OperatorProcess, count: int) -> None:
    start = time.time()
    items = {str(i): config.object_for(index(i), LOAD_NAMESPACE) for i in range(count)}
    async with place.admin(config.concurrency) as session:
        await create(session, config.kind.path(LOAD_NAMESPACE), items, config.concurrency)
    await wait_quiet(config, place.audit, process, start)
