"""The command line: measure, print a table, write a JSON file."""

import argparse
import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from e2e.apiserver import StartError
from e2e.bench import report
from e2e.bench.config import Config, ConfigError, load
from e2e.bench.create import measure_create
from e2e.bench.floor import measure_floor
from e2e.bench.load import LoadError
from e2e.bench.measure.process import OperatorError
from e2e.bench.measure.stats import verdicts
from e2e.bench.measure.watch import WatchError
from e2e.bench.settle import IncompleteError
from e2e.bench.steady import measure_idle

_FAILURES = (ConfigError, StartError, LoadError, OperatorError, WatchError, IncompleteError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; 0, or 1 when over budget with --check, or 2 when it could not be done."""
    options = _parser().parse_args(arguments)
    # So that an ended benchmark cleans up: by default SIGTERM runs no clean-up at all.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        config = load(options.config)
        results = measure(config, options.sizes, options.skip)
    except _FAILURES as error:
        cause = f" ({error.__cause__!r})" if error.__cause__ else ""
        notes = getattr(error, "__notes__", [])
        print(f"error: {error}{cause}", *notes, sep="\n", file=sys.stderr)
        return 2
    judged = verdicts(results, config.budgets)
    results["verdicts"] = {verdict.key: verdict.word for verdict in judged}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=2) + "\n")
    print(report.table(results, judged))
    if warning := report.warning(results):
        print(f"\n{warning}")
    over = [verdict for verdict in judged if verdict.over]
    print(f"\n{len(over)} of {len(judged)} budgets exceeded; written to {options.out}")
    return 1 if over and options.check else 0


def measure(config: Config, sizes: Sequence[int], skip: Sequence[str]) -> dict[str, Any]:
    """Take all measurements and return them under the keys of the JSON file."""
    results: dict[str, Any] = {
        "operator": config.name,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "versions": report.versions(),
        "machine": report.machine(),
        "create": {},
        "floor": {},
    }
    for size in sizes:
        _tell(f"create {size}")
        restart = size == config.restart_objects and "restart" not in skip
        created = measure_create(config, size, restart=restart)
        results["create"][str(size)] = created.figures
        if created.restart is not None:
            results["restart"] = created.restart
        if "floor" not in skip:
            _tell(f"floor {size}")
            floor = measure_floor(config, size, created)
            results["floor"] |= {f"{size}_s": floor.pop("seconds"), str(size): floor}
            created.figures["ratio"] = created.figures["all_s"] / results["floor"][f"{size}_s"]
    if "idle" not in skip:
        _tell(f"idle {config.idle_objects}")
        results["idle"] = idle = measure_idle(config)
        results["idle_writes_per_min"] = idle["writes_per_min"]
        results["idle_lease_writes_per_min"] = idle["lease_writes_per_min"]
    return results | _overall(results)


def _overall(results: dict[str, Any]) -> dict[str, Any]:
    runs = list(results["create"].values())
    if not runs:
        return {}
    biggest = max(runs, key=lambda run: int(run["objects"]))
    peaks = [run["rss_mb"] for run in [*runs, results.get("restart", {"rss_mb": 0})]]
    return {
        "requests_per_object": biggest["requests_per_object"],
        "cpu_s": biggest["cpu_s"],
        "rss_mb": max(peaks),
        "writes_per_object_max": max(run["writes_per_object_max"] for run in runs),
        "no_effect_writes": sum(run["no_effect_writes"] for run in runs),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m e2e.bench", description=__doc__)
    parser.add_argument("config", type=Path, help="the YAML file that describes the operator")
    parser.add_argument("--out", type=Path, default=Path("build/bench.json"))
    parser.add_argument("--sizes", type=_sizes, default=[1, 100, 1000], help="such as 1,100,1000")
    parser.add_argument(
        "--skip", type=_words, default=[], help="any of floor,restart,idle; for a quick look"
    )
    parser.add_argument("--check", action="store_true", help="exit 1 when a budget is exceeded")
    return parser


def _sizes(text: str) -> list[int]:
    return sorted({int(part) for part in text.split(",") if part})


def _words(text: str) -> list[str]:
    words = [part for part in text.split(",") if part]
    if unknown := set(words) - {"floor", "restart", "idle"}:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return words


def _tell(what: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
