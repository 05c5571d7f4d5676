from typing import Any

from e2e.bench import report
from e2e.bench.measure.stats import verdicts


def results(busy: float) -> dict[str, Any]:
    create = {"p50_ms": 60.0, "other_cores_busy": busy, "requests_per_object": {"apply": 5.0}}
    return {
        "create": {"1": create},
        "floor": {"1_s": 0.02},
        "machine": {"cores": 2},
        "rss_mb": 90.25,
    }


def test_the_table_has_each_budget_and_its_verdict() -> None:
    found = results(0.0)
    budgets = {"create.1.p50_ms": 50, "rss_mb": 200, "restart.status_writes": 0, "odd.key": 1}
    lines = report.table(found, verdicts(found, budgets)).splitlines()
    cells = [line.split() for line in lines]
    assert ["complete", "after", "(p50),", "ms", "60", "50", "over"] in cells
    assert ["peak", "memory", "of", "all", "runs,", "MiB", "90.25", "200", "ok"] in cells
    assert ["restart:", "status", "writes", "-", "0", "-"] in cells
    assert ["odd.key", "-", "1", "-"] in cells
    assert any("apply 5" in line for line in lines)


def test_a_busy_machine_is_told() -> None:
    assert report.warning(results(0.1)) == ""
    assert "1.5 of 2 cores" in report.warning(results(1.5))
