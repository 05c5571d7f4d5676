"""A plain client that sends planned writes as fast as it can: what the floor is measured with.

    python -m e2e.bench.sender PLAN

A process of its own, as the operator is one. It reads its plan (see `Plan`), sends each round
with a bounded number of requests under way and prints the seconds of each round as JSON.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from e2e.bench.load import client, send
from e2e.bench.replay import Request

Chain = Sequence[Request]


@dataclass(frozen=True)
class Plan:
    """What to send.

    The first round warms up connections and the server and is not counted; a pause of some
    seconds follows it.
    """

    url: str
    ca: str
    token: str
    concurrency: int
    pause: float
    rounds: Sequence[Sequence[Chain]]

    def dump(self) -> str:
        """Return the plan as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> "Plan":
        """Read what `dump` wrote."""
        data: dict[str, Any] = json.loads(text)
        rounds = [
            [[Request(**one) for one in chain] for chain in chains] for chains in data.pop("rounds")
        ]
        return cls(**data, rounds=rounds)


async def run(plan: Plan) -> list[float]:
    """Send everything and return the seconds of each round but the first.

    Raises
    ------
    LoadError
        When the server refuses a write.
    """
    seconds = []
    async with client(
        plan.url, Path(plan.ca), plan.token, connections=plan.concurrency, agent="bench-floor"
    ) as session:

        async def worker(chains: Iterable[Sequence[tuple[Request, bytes]]]) -> None:
            for chain in chains:
                for one, body in chain:
                    await send(session, one.method, one.path, body or None, one.content_type)

        for chains in plan.rounds:
            queue = iter([[(one, one.body.encode()) for one in chain] for chain in chains])
            start = time.perf_counter()
            await asyncio.gather(*(worker(queue) for _ in range(plan.concurrency)))
            seconds.append(time.perf_counter() - start)
            if len(seconds) == 1:
                await asyncio.sleep(plan.pause)
    return seconds[1:]


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(Plan.read(Path(sys.argv[1]).read_text())))))
