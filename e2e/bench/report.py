"""The table on the terminal and what the JSON file says of machine and versions."""

import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from e2e.apiserver import binaries
from e2e.bench.measure.stats import Verdict, lookup

_BUSY = 0.25  # cores; a quiet machine has less, the kernel's share of our own work included

_CREATE = {
    "p50_ms": "complete after (p50), ms",
    "p99_ms": "complete after (p99), ms",
    "all_s": "all complete after, s",
    "settled_s": "last write after, s",
    "ratio": "times the floor",
    "cpu_s": "operator CPU, s",
    "server_cpu_s": "API server and etcd CPU, s",
    "rss_mb": "operator peak memory, MiB",
    "writes_per_object_mean": "writes per object, mean",
    "writes_per_object_max": "writes per object, max",
    "no_effect_writes": "writes without effect",
    "unverified_writes": "writes of unknown effect",
    "failed_writes": "failed writes",
    "other_cores_busy": "cores busy with other things",
}
_OTHER = {
    "idle_writes_per_min": "idle: writes per minute",
    "idle_lease_writes_per_min": "idle: lease writes per minute",
    "idle.cpu_s_per_min": "idle: CPU per minute, s",
    "restart.status_writes": "restart: status writes",
    "restart.applies": "restart: applies",
    "restart.writes": "restart: all writes",
    "restart.settled_s": "restart: settled after, s",
    "restart.cpu_s": "restart: CPU, s",
    "restart.rss_mb": "restart: peak memory, MiB",
    "rss_mb": "peak memory of all runs, MiB",
    "writes_per_object_max": "writes per object, max of all runs",
    "no_effect_writes": "writes without effect, all runs",
}


def table(results: Mapping[str, Any], verdicts: Sequence[Verdict]) -> str:
    """Return results and budgets as text for a terminal."""
    judged = {verdict.key: verdict for verdict in verdicts}
    rows = [("", "measured", "budget", "")]
    for size in results["create"]:
        rows.append((f"create {size}", "", "", ""))
        keys = {f"create.{size}.{key}": f"  {text}" for key, text in _CREATE.items()}
        rows += _rows(results, keys, judged)
        rows += _rows(
            results,
            {
                f"floor.{size}_s": "  floor: plain client, s",
                f"floor.{size}.server_cpu_s": "  floor: API server and etcd CPU, s",
                f"floor.{size}.other_cores_busy": "  floor: cores busy with other things",
            },
            {},
        )
        verbs = results["create"][size]["requests_per_object"]
        rows.append(("  requests per object", _verbs(verbs), "", ""))
    rows.append(("all", "", "", ""))
    rows += _rows(results, {key: f"  {text}" for key, text in _OTHER.items()}, judged)
    shown = {f"create.{size}.{key}" for size in results["create"] for key in _CREATE} | set(_OTHER)
    rows += _rows(results, {key: f"  {key}" for key in judged if key not in shown}, judged)
    return _align(rows)


def warning(results: Mapping[str, Any]) -> str:
    """Say that timings cannot be trusted when other things used the machine; or empty."""
    keys = [f"create.{size}.other_cores_busy" for size in results["create"]]
    keys += [f"floor.{size}.other_cores_busy" for size in results["create"]]
    worst = max((lookup(results, key) or 0.0 for key in keys), default=0.0)
    if worst < _BUSY:
        return ""
    cores = results["machine"]["cores"]
    return (
        f"warning: other things kept up to {worst:.1f} of {cores} cores busy: "
        "times and ratios are not comparable, counts are"
    )


def _rows(
    results: Mapping[str, Any],
    keys: Mapping[str, str],
    judged: Mapping[str, Verdict],
) -> list[tuple[str, str, str, str]]:
    rows = []
    for key, text in keys.items():
        value, verdict = lookup(results, key), judged.get(key)
        if value is not None or verdict is not None:
            shown = "-" if value is None else _number(value)
            budget = _number(verdict.budget) if verdict else ""
            rows.append((text, shown, budget, verdict.word if verdict else ""))
    return rows


def _align(rows: Sequence[tuple[str, str, str, str]]) -> str:
    left = max(len(row[0]) for row in rows) + 2
    lines = []
    for text, value, budget, word in rows:
        # A long text in the second column is no figure and needs no alignment.
        lines.append(f"{text:<{left}}{value:>10}{budget:>10}  {word}".rstrip())
    return "\n".join(lines)


def _number(value: float) -> str:
    if value == int(value):
        return f"{int(value)}"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.2f}"


def _verbs(counts: Mapping[str, float]) -> str:
    return ", ".join(f"{verb} {_number(count)}" for verb, count in counts.items())


def machine() -> dict[str, Any]:
    """Tell on what the figures were taken, and how busy it was before."""
    model = re.search(r"^model name\s*: (.*)$", _text("/proc/cpuinfo"), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s+(\d+) kB", _text("/proc/meminfo"), re.MULTILINE)
    return {
        "cpu": model[1] if model else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(int(memory[1]) / 2**20, 1) if memory else None,
        "kernel": platform.release(),
        "load_average": os.getloadavg()[0],
    }


def versions() -> dict[str, str]:
    """Tell the versions of the server's parts and of Python."""
    folder = binaries()
    return {
        "kube-apiserver": _first_line(folder / "kube-apiserver"),
        "etcd": _first_line(folder / "etcd"),
        "python": platform.python_version(),
    }


def _first_line(binary: Path) -> str:
    done = subprocess.run([str(binary), "--version"], capture_output=True, text=True, check=False)
    return done.stdout.partition("\n")[0].strip()


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
