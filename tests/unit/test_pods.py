"""A pod that does not serve says why in words."""

from typing import Any

import pytest

from ondol.diagnose.pods import inspect, is_ready, newest


def pod(name: str = "p", created: str = "2026-01-01T00:00:00Z", **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "creationTimestamp": created}, "status": status}


def container(state: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "containerStatuses": [
            {"name": "engine", "image": "vllm:1", "ready": False, "state": state, **more}
        ]
    }


READY: dict[str, Any] = {"conditions": [{"type": "Ready", "status": "True"}]}
UNSCHEDULED = {
    "conditions": [
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/1 nodes: Insufficient nvidia.com/gpu",
        }
    ]
}


def waiting(reason: str, message: str = "m") -> dict[str, Any]:
    return container({"waiting": {"reason": reason, "message": message}})


CRASH = {"exitCode": 1, "reason": "Error", "message": "ValueError: no such model"}


@pytest.mark.parametrize(
    ("status", "phase", "reason"),
    [
        (READY, "Serving", "Ready"),
        (UNSCHEDULED, "Pending", "Unschedulable"),
        (waiting("ContainerCreating"), "Pulling", "ContainerCreating"),
        (waiting("ImagePullBackOff"), "Failed", "ImagePullBackOff"),
        (waiting("ErrImageNeverPull"), "Failed", "ErrImageNeverPull"),
        (waiting("CreateContainerConfigError"), "Failed", "CreateContainerConfigError"),
        (container({"running": {}}), "Loading", "Loading"),
        (container({"terminated": CRASH}), "Failed", "ContainerCrashed"),
        (
            container(
                {"waiting": {"reason": "CrashLoopBackOff"}},
                lastState={"terminated": CRASH},
                restartCount=3,
            ),
            "Failed",
            "ContainerCrashed",
        ),
        (
            container({"running": {}}, lastState={"terminated": CRASH}, restartCount=1),
            "Failed",
            "ContainerCrashed",
        ),
        (
            container({"terminated": {"reason": "OOMKilled", "exitCode": 137}}),
            "Failed",
            "OOMKilled",
        ),
        ({"reason": "Evicted", "message": "disk"}, "Failed", "Evicted"),
        ({}, "Pending", "Pending"),
    ],
)
def test_each_state_has_a_phase_and_a_reason(
    status: dict[str, Any], phase: str, reason: str
) -> None:
    finding = inspect(pod(**status))
    assert (finding.phase, finding.reason) == (phase, reason)


@pytest.mark.parametrize(
    "status",
    [
        waiting("ImagePullBackOff"),
        waiting("CreateContainerConfigError"),
        container({"terminated": CRASH}),
        container({"terminated": {"reason": "OOMKilled", "exitCode": 137}}),
    ],
)
def test_every_failure_comes_with_what_to_do_and_where(status: dict[str, Any]) -> None:
    finding = inspect(pod(**status))
    assert finding.hint
    assert finding.container == "engine"


def test_a_crash_tells_the_last_words_of_the_container() -> None:
    assert "no such model" in inspect(pod(**container({"terminated": CRASH}))).message


def test_the_summary_of_a_long_crash_keeps_the_last_words_and_the_hint() -> None:
    crash = {**CRASH, "message": "line of a log\n" * 300 + "no such model"}
    finding = inspect(pod(**container({"terminated": crash})))
    assert len(finding.summary) <= 1024
    assert "no such model" in finding.summary
    assert finding.summary.endswith(finding.hint)


def test_a_pod_on_its_way_out_is_not_ready() -> None:
    leaving = pod(**READY)
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert is_ready(pod(**READY))
    assert not is_ready(leaving)


def test_the_newest_waiting_pod_is_looked_at() -> None:
    old = pod("old", "2026-01-01T00:00:00Z", **waiting("ImagePullBackOff"))
    new = pod("new", "2026-01-02T00:00:00Z", **container({"running": {}}))
    serving = pod("serving", "2026-01-03T00:00:00Z", **READY)
    found = newest([new, old, serving])
    assert found is not None
    assert found.reason == "Loading"
    assert newest([serving]) is None


def test_a_sidecar_that_is_not_ready_is_not_taken_for_the_engine() -> None:
    engine = {"name": "engine", "image": "vllm:1", "ready": True, "state": {"running": {}}}
    sidecar = {"name": "mesh", "image": "m", "ready": False, "state": {"running": {}}}
    finding = inspect(pod(containerStatuses=[engine, sidecar]))
    assert finding.container == "mesh"
    assert "mesh" in finding.message


def test_kubelets_two_words_for_a_failed_pull_are_one_state() -> None:
    pulled = "failed to pull and unpack image: not found"
    first = inspect(pod(**waiting("ErrImagePull", pulled)))
    backoff = f'Back-off pulling image "x": ErrImagePull: {pulled}'
    assert inspect(pod(**waiting("ImagePullBackOff", backoff))) == first
