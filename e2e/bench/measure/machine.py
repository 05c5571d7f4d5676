"""How busy the machine was with other things while something was measured."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

from e2e.bench.measure.process import TICKS, family_cpu


def parse_busy(text: str, ticks: int = TICKS) -> float:
    """Read the seconds that all cores were busy, stolen time included, in /proc/stat."""
    fields = [int(value) for value in text.partition("\n")[0].split()[1:]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields[:8]
    return (user + nice + system + irq + softirq + steal) / ticks


class Noise:
    """Measures from its creation on; everything that belongs here is a child of this process.

    Parameters
    ----------
    servers
        Processes whose use of CPU is told apart.
    """

    def __init__(self, servers: Sequence[int]) -> None:
        self._servers = servers
        self._start = self._now()

    def figures(self) -> dict[str, float]:
        """Return how many cores others kept busy on average, and the CPU seconds of the server."""
        wall, busy, own, server = (
            now - start for now, start in zip(self._now(), self._start, strict=True)
        )
        return {"other_cores_busy": max(0.0, busy - own) / wall, "server_cpu_s": server}

    def _now(self) -> tuple[float, float, float, float]:
        return (
            time.monotonic(),
            parse_busy(Path("/proc/stat").read_text()),
            family_cpu(os.getpid()),
            family_cpu(*self._servers),
        )
