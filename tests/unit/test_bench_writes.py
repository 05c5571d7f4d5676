from dataclasses import replace

import pytest

from e2e.bench.measure.audit import Record
from e2e.bench.measure.stats import lookup, percentile, verdicts
from e2e.bench.measure.watch import WatchError, latencies, parse_line, version_of
from e2e.bench.measure.writes import Owners, summarise

WRITE = Record(
    received=1.0,
    done=1.1,
    verb="apply",
    user="robot",
    agent="",
    group="apps",
    resource="deployments",
    subresource="",
    namespace="a",
    name="x",
    code=200,
    uri="",
)
OWNERS = Owners({("deployments.apps", "x"): "x", ("secrets", "x-key"): "x", ("things.d", "y"): "y"})
WATCHED = [("deployments.apps", "a")]


def test_a_write_belongs_to_the_object_of_its_child() -> None:
    assert OWNERS.of(WRITE) == "x"
    assert OWNERS.of(replace(WRITE, group="", resource="secrets", name="x-key")) == "x"
    assert OWNERS.of(replace(WRITE, group="", resource="events", name="y.17ab")) == "y"
    assert OWNERS.of(replace(WRITE, name="xy")) is None


def test_a_write_without_an_event_had_no_effect() -> None:
    target = WRITE.target
    args = {"owners": OWNERS, "watched": WATCHED}
    two = [WRITE, WRITE]
    assert summarise(two, [], events={target: 2}, **args).no_effect == 0  # type: ignore[arg-type]
    assert summarise(two, [], events={target: 1}, **args).no_effect == 1  # type: ignore[arg-type]
    # One of the events is of somebody else's write.
    other = replace(WRITE, user="someone")
    found = summarise(two, [other], events={target: 2}, **args)  # type: ignore[arg-type]
    assert found.no_effect == 1


def test_failed_and_unwatched_writes_are_told_apart() -> None:
    found = summarise(
        [
            WRITE,
            replace(WRITE, code=409),
            replace(WRITE, resource="leases"),
            replace(WRITE, resource="events", verb="create", code=201),
        ],
        [],
        owners=OWNERS,
        events={WRITE.target: 1},
        watched=WATCHED,
    )
    assert (found.total, found.failed, found.unverified, found.no_effect) == (4, 1, 1, 0)
    assert found.per_object_max == 4
    assert found.per_object_mean == 2
    assert found.unattributed == 0


@pytest.mark.parametrize(
    ("share", "want"), [(0.0, 1), (0.5, 10), (0.51, 11), (0.95, 19), (0.99, 20), (1.0, 20)]
)
def test_percentiles_are_nearest_rank(share: float, want: float) -> None:
    assert percentile([float(i) for i in range(20, 0, -1)], share) == want


def test_a_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="needs values"):
        percentile([], 0.5)


def test_figures_are_judged_by_budgets() -> None:
    results = {"create": {"1": {"p50_ms": 60.0}}, "idle": 0, "text": "x"}
    budgets = {"create.1.p50_ms": 50, "idle": 0, "restart.writes": 0, "text": 1}
    assert [verdict.word for verdict in verdicts(results, budgets)] == ["over", "ok", "-", "-"]
    assert lookup(results, "create.1") is None


def test_latency_runs_from_sending_to_the_last_child() -> None:
    children = {"x": [("a", "x"), ("b", "x")], "y": [("a", "y"), ("b", "y")]}
    first = {("a", "x"): 12.0, ("b", "x"): 11.0, ("a", "y"): 12.0}
    assert latencies({"x": 10.0, "y": 10.0}, children, first) == {"x": 2.0}


def test_watch_lines_are_decoded() -> None:
    event = parse_line(1.5, b'{"type":"ADDED","object":{"metadata":{"name":"x"}}}')
    assert (event.at, event.type, event.name) == (1.5, "ADDED", "x")
    line = b'{"type":"MODIFIED","object":{"metadata":{"name":"x","resourceVersion":"7"}}}'
    assert version_of(line) == "7"
    for decode in (version_of, lambda line: parse_line(1.5, line)):
        with pytest.raises(WatchError, match="too old"):
            decode(b'{"type":"ERROR","object":{"message":"too old"}}')
