"""Percentiles and verdicts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


def percentile(values: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile: a value that was really seen.

    Raises
    ------
    ValueError
        When there are no values or the share is not within 0..1.
    """
    if not values or not 0 <= share <= 1:
        raise ValueError("a percentile needs values and a share between 0 and 1")
    rank = max(1, math.ceil(share * len(values)))
    return sorted(values)[rank - 1]


@dataclass(frozen=True)
class Verdict:
    """One figure beside its budget; ``value`` is None when it was not measured."""

    key: str
    value: float | None
    budget: float

    @property
    def over(self) -> bool:
        """Whether the figure was measured and is over its budget."""
        return self.value is not None and self.value > self.budget

    @property
    def word(self) -> str:
        """ok, over or - (not measured)."""
        if self.value is None:
            return "-"
        return "over" if self.over else "ok"


def lookup(results: Mapping[str, Any], key: str) -> float | None:
    """Return the figure at a dotted key, or None when it is not there."""
    node: Any = results
    for part in key.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return None
        node = node[part]
    return float(node) if isinstance(node, int | float) else None


def verdicts(results: Mapping[str, Any], budgets: Mapping[str, float]) -> list[Verdict]:
    """Compare results with budgets, in the order of the budgets."""
    return [Verdict(key, lookup(results, key), budget) for key, budget in budgets.items()]
