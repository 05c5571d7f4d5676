import json
from typing import Any

import pytest

from e2e.bench.measure.audit import (
    AuditLog,
    count_by_verb,
    count_in_detail,
    parse_line,
    recogniser,
)


def line(**changes: Any) -> str:
    event = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "stage": "ResponseComplete",
        "requestURI": "/apis/apps/v1/namespaces/a/deployments/d?fieldManager=m&force=true",
        "verb": "patch",
        "user": {"username": "robot", "groups": ["system:authenticated"]},
        "userAgent": "thing/1.0",
        "objectRef": {
            "resource": "deployments",
            "namespace": "a",
            "name": "d",
            "apiGroup": "apps",
            "apiVersion": "v1",
        },
        "responseStatus": {"metadata": {}, "code": 201},
        "requestReceivedTimestamp": "2026-01-02T03:04:05.000001Z",
        "stageTimestamp": "2026-01-02T03:04:05.250001Z",
    }
    return json.dumps(event | changes)


def test_a_line_becomes_a_record() -> None:
    record = parse_line(line())
    assert record is not None
    assert (record.verb, record.user, record.agent) == ("apply", "robot", "thing/1.0")
    assert record.target == ("deployments.apps", "a", "d")
    assert record.done - record.received == pytest.approx(0.25, abs=1e-3)
    assert record.is_write
    assert record.succeeded


@pytest.mark.parametrize(
    ("query", "verb"),
    [("fieldManager=m&force=false", "apply"), ("fieldManager=m", "patch"), ("", "patch")],
)
def test_only_an_apply_knows_force(query: str, verb: str) -> None:
    record = parse_line(line(requestURI=f"/apis/apps/v1/namespaces/a/deployments/d?{query}"))
    assert record is not None
    assert record.verb == verb


def test_the_core_group_has_no_suffix() -> None:
    record = parse_line(line(objectRef={"resource": "secrets", "namespace": "a", "name": "s"}))
    assert record is not None
    assert record.resource_group == "secrets"


@pytest.mark.parametrize("stage", ["RequestReceived", "ResponseStarted", "Panic"])
def test_only_finished_requests_count(stage: str) -> None:
    assert parse_line(line(stage=stage)) is None


def test_requests_about_no_resource_do_not_count() -> None:
    event = json.loads(line())
    del event["objectRef"]
    assert parse_line(json.dumps(event)) is None


def test_a_client_is_known_by_user_or_by_agent() -> None:
    record = parse_line(line())
    assert record is not None
    assert recogniser("robot", "")(record)
    assert not recogniser("someone", "")(record)
    assert recogniser("someone", "thing/")(record)
    assert not recogniser("robot", "other/")(record)


def test_the_log_is_followed_across_half_lines(tmp_path: Any) -> None:
    path = tmp_path / "audit.log"
    text = "".join(
        one + "\n" for one in (line(), line(user={"username": "x"}), line(verb="get"))
    ).encode()
    log = AuditLog(path, recogniser("robot", ""))
    for end in (10, len(text) // 2, len(text)):
        path.write_bytes(text[:end])
        log.read()
    assert [record.verb for record in log.mine] == ["apply", "get"]
    assert [record.user for record in log.others_writes] == ["x"]


def test_requests_are_counted() -> None:
    events = [line(), line(verb="get"), line(responseStatus={"code": 409})]
    records = [record for event in events if (record := parse_line(event))]
    assert count_by_verb(records) == {"apply": 2, "get": 1}
    assert count_in_detail(records) == {
        "apply deployments.apps": 1,
        "get deployments.apps": 1,
        "apply deployments.apps -> 409": 1,
    }
