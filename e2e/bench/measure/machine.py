"""How busy the machine was with other things while something was measured."""

import os
import time
from pathlib import Path

from e2e.bench.measure.process import TICKS, family_cpu


def parse_busy(text: str, ticks: int = TICKS) -> float:
    """Read the seconds that all cores were busy, stolen time included, in /proc/stat."""
    fields = [int(value) for value in text.partition("\n")[0].split()[1:]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields[:8]
    return (user + nice + system + irq + softirq + steal) / ticks


class Noise:
    """Measures from its creation on; everything measured is a child of this process."""

    def __init__(self) -> None:
        self._start = time.monotonic(), *_used()

    def cores(self) -> float:
        """Return how many cores others kept busy, on average, up to now."""
        wall, busy, own = time.monotonic(), *_used()
        return max(0.0, busy - self._start[1] - own + self._start[2]) / (wall - self._start[0])


def _used() -> tuple[float, float]:
    return parse_busy(Path("/proc/stat").read_text()), family_cpu(os.getpid())
