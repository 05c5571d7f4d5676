"""The floor: how fast a plain client gets the same writes through the same API server."""

import json
import statistics
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from e2e.bench import replay
from e2e.bench.config import TAPE_INDEX, TAPE_NAMESPACE, Config, index
from e2e.bench.create import Created
from e2e.bench.measure.machine import Noise
from e2e.bench.sender import Plan
from e2e.bench.world import world

_ROOT = Path(__file__).resolve().parent.parent.parent


def measure_floor(config: Config, size: int, created: Created) -> dict[str, Any]:
    """Send the writes of a measured run with a plain client."""
    rounds = config.repeats if size == 1 else 1
    old = config.name_for(TAPE_INDEX)
    names = [config.name_for(index(i)) for i in range(size * rounds)]
    item = json.dumps(config.object_for(TAPE_INDEX, TAPE_NAMESPACE))
    first = replay.Request("POST", config.kind.path(TAPE_NAMESPACE), "application/json", item)
    # One more object in front warms up, as the recorded one does for the operator.
    objects = replay.chains(first, created.tape, created.counts, old=old, names=names)
    warm = replay.chains(
        first, created.tape, Counter(map(replay.sort_of, created.tape)), old=old, names=[old]
    )
    parts = [objects[i * size : (i + 1) * size] for i in range(rounds)]
    with world(config) as place:
        plan = Plan(
            url=place.server.url,
            ca=str(place.server.ca),
            token=place.token,
            concurrency=config.concurrency,
            pause=config.quiet_seconds,
            rounds=[[chain for one in part for chain in one] for part in [warm, *parts]],
        )
        path = place.server.folder / "plan.json"
        path.write_text(plan.dump())
        noise = Noise(place.server.pids)
        done = subprocess.run(
            [sys.executable, "-m", "e2e.bench.sender", str(path)],
            cwd=_ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=config.create_timeout,
        )
        return {
            "seconds": statistics.median(json.loads(done.stdout)),
            **noise.figures(),
            "writes": sum(len(chain) for one in objects for chain in one),
            "not_replayed": replay.missing(created.tape, created.counts),
        }
