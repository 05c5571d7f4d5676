"""Waiting until an operator rests, and telling its leases from its other requests."""

import asyncio
import time
from collections.abc import Callable, Sequence

from e2e.bench.config import Config
from e2e.bench.measure.audit import AuditLog, Record, count_in_detail
from e2e.bench.measure.process import OperatorProcess


class IncompleteError(RuntimeError):
    """The operator did not finish in time."""


async def wait_quiet(
    config: Config,
    audit: AuditLog,
    process: OperatorProcess,
    start: float,
    *,
    counts: Callable[[Record], bool] = lambda record: record.is_write,
    not_before: float = 0,
) -> float:
    """Wait until no request that counts was seen for some seconds; return the last one's time.

    Only requests that came after ``start`` count, and none about leases. The rest begins at
    ``not_before`` at the earliest. All times are seconds since the epoch.

    Raises
    ------
    IncompleteError
        When there is no rest within the configured time.
    """
    while True:
        audit.read()
        process.check()
        times = [
            record.done
            for record in audit.mine
            if record.received >= start
            and counts(record)
            and record.resource_group not in config.leases
        ]
        last = max(times, default=start)
        now = time.time()
        if now - max(last, not_before) >= config.quiet_seconds:
            return last
        if now - start > config.create_timeout:
            busy = count_in_detail(one for one in audit.mine if one.done > now - 10)
            raise IncompleteError(f"the operator does not settle; its last 10 s: {dict(busy)}")
        await asyncio.sleep(0.25)


def split_leases(config: Config, records: Sequence[Record]) -> tuple[list[Record], list[Record]]:
    """Return the requests about leases, and the others."""
    leases = [record for record in records if record.resource_group in config.leases]
    return leases, [record for record in records if record.resource_group not in config.leases]
