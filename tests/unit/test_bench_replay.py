import json
from pathlib import Path
from typing import Any

import pytest

from e2e.bench import replay
from e2e.bench.config import ConfigError, Kind, load, parse
from e2e.bench.measure.audit import Record
from e2e.bench.measure.machine import parse_busy
from e2e.bench.measure.process import Stat, family, parse_peak, parse_stat
from e2e.bench.sender import Plan

CREATED = replay.Request(
    "POST",
    "/apis/d/v1/namespaces/bench-tape/things",
    "application/json",
    '{"metadata": {"name": "thing-tape"}}',
)


def record(verb: str, resource: str, body: Any, subresource: str = "", group: str = "") -> Record:
    suffix = f"/{subresource}" if subresource else ""
    query = "?fieldManager=m&force=true" if verb == "apply" else ""
    root = f"apis/{group}" if group else "api"
    return Record(
        received=1.0,
        done=1.1,
        verb=verb,
        user="robot",
        agent="",
        group=group,
        resource=resource,
        subresource=subresource,
        namespace="bench-tape",
        name="thing-tape",
        code=200,
        uri=f"/{root}/v1/namespaces/bench-tape/{resource}/thing-tape{suffix}{query}",
        body=body,
    )


def test_a_write_is_replayed_under_another_name() -> None:
    body = {"metadata": {"name": "thing-tape", "ownerReferences": [{"uid": "u"}], "uid": "v"}}
    request = replay.request_of(record("apply", "secrets", body)).renamed(
        "thing-tape", "thing-0001"
    )
    assert request.method == "PATCH"
    assert request.content_type == "application/apply-patch+yaml"
    want = "/api/v1/namespaces/bench-load/secrets/thing-0001?fieldManager=m&force=true"
    assert request.path == want
    assert json.loads(request.body) == {"metadata": {"name": "thing-0001"}}


@pytest.mark.parametrize(
    ("verb", "body", "want"),
    [
        ("create", {}, ("POST", "application/json")),
        ("update", {}, ("PUT", "application/json")),
        ("patch", {"status": {}}, ("PATCH", "application/merge-patch+json")),
        ("patch", [{"op": "add"}], ("PATCH", "application/json-patch+json")),
    ],
)
def test_each_verb_has_its_method_and_type(verb: str, body: Any, want: tuple[str, str]) -> None:
    request = replay.request_of(record(verb, "secrets", body))
    assert (request.method, request.content_type) == want


def test_writes_are_spread_over_objects_and_chained_by_target() -> None:
    tape = [
        record("apply", "secrets", {"n": 1}),
        record("patch", "things", {"status": 1}, "status", "d"),
        record("patch", "things", {"status": 2}, "status", "d"),
    ]
    counts = {replay.sort_of(tape[0]): 2, replay.sort_of(tape[1]): 3, ("create", "events", ""): 5}
    objects = replay.chains(CREATED, tape, counts, old="thing-tape", names=["thing-a", "thing-b"])
    shapes = [[[one.method for one in chain] for chain in chains] for chains in objects]
    assert shapes == [[["POST", "PATCH"], ["PATCH"]], [["POST", "PATCH", "PATCH"], ["PATCH"]]]
    # When one write has to go, it is the first: the last holds the whole status.
    assert json.loads(objects[0][0][1].body) == {"status": 2}
    assert replay.missing(tape, counts) == 5


def test_more_writes_than_recorded_repeat_the_record() -> None:
    tape = [record("patch", "things", {"status": n}, "status", "d") for n in (1, 2)]
    counts = {replay.sort_of(tape[0]): 5}
    [[chain]] = replay.chains(CREATED, tape, counts, old="thing-tape", names=["thing-a"])
    assert [json.loads(one.body)["status"] for one in chain[1:]] == [1, 2, 1, 2, 1]


def test_a_plan_survives_being_written() -> None:
    plan = Plan("https://x", "ca", "t", 16, 3.0, [[[CREATED]], [[CREATED, CREATED]]])
    assert Plan.read(plan.dump()) == plan


def test_stat_is_read_past_odd_command_names() -> None:
    text = "42 (a) b (c) S 7 42 42 0 -1 0 1 2 3 4 100 50 25 25 20 0 1 0 9 9 9"
    assert parse_stat(text, ticks=100) == Stat(pid=42, parent=7, cpu=2.0)


def test_a_family_has_all_descendants() -> None:
    stats = {pid: Stat(pid, parent, 0) for pid, parent in [(1, 0), (2, 1), (3, 2), (4, 9)]}
    assert [stat.pid for stat in family(stats, 1)] == [1, 2, 3]
    assert family(stats, 77) == []


def test_idle_and_waiting_time_is_not_busy() -> None:
    assert parse_busy("cpu  100 10 20 9999 8888 1 2 67 0 0\ncpu0 1 2 3\n", ticks=100) == 2


def test_peak_memory_is_in_mebibytes() -> None:
    assert parse_peak("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n") == 2
    assert parse_peak("Name:\tkthread\n") == 0


def test_kinds_have_paths() -> None:
    assert Kind("v1", "secrets").path("n") == "/api/v1/namespaces/n/secrets"
    assert Kind("apps/v1", "deployments").path("n") == "/apis/apps/v1/namespaces/n/deployments"


def test_the_configuration_of_this_operator_is_valid() -> None:
    config = load(Path(__file__).parents[2] / "e2e" / "bench" / "ondol.yaml")
    item = config.object_for("00000001", "bench-load")
    assert item["metadata"] == {"name": "model-00000001", "namespace": "bench-load"}
    names = [child.name_for("m") for child in config.children]
    assert names == ["m-engine-key", "m", "m", "m", "m"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nonsense": 1}, "unknown: nonsense"),
        ({"operator": {"command": ["x"]}}, "needs url or line"),
        ({"object": {"plural": "xs", "template": {"apiVersion": "v1", "metadata": {"name": "x"}}}},
         "must hold"),
    ],
)  # fmt: skip
def test_a_wrong_configuration_is_refused(change: dict[str, Any], message: str) -> None:
    data = {
        "name": "x",
        "crds": [],
        "operator": {"command": ["x"], "ready": {"line": "up"}},
        "object": {
            "plural": "xs",
            "template": {"apiVersion": "v1", "metadata": {"name": "x-{i}"}},
        },
        "children": [],
    }
    with pytest.raises(ConfigError, match=message):
        parse(data | change, Path())
