"""Models that are scaled, and models that cannot work beside one that does."""

from collections.abc import Iterator

import pytest

from e2e.conftest import NAMES
from e2e.deploy import CHAT_MODEL
from e2e.kubectl import Object, apply, condition, get, items, kubectl, wait_for
from e2e.proxy import Proxy, asked_all_the_time

NAMESPACE, CHAT = CHAT_MODEL[1], CHAT_MODEL[2]
START_SECONDS = 300
FAIL_SECONDS = 240


def test_scaling_up_and_down_fails_no_request(master: Proxy) -> None:
    with asked_all_the_time(master, CHAT) as poll:
        try:
            _scale(2)
            wait_for("2 replicas", lambda: _ready_replicas() == 2, START_SECONDS)
            assert condition(get("mdep", CHAT, "-n", NAMESPACE), "Ready")["status"] == "True"
            with_two = poll.answered
            wait_for("answers of 2", lambda: poll.answered >= with_two + 10, 60)
        finally:
            _scale(1)
            wait_for("1 pod", lambda: len(_pods(CHAT)) == 1, 180)
        with_one = poll.answered
        wait_for("answers of 1", lambda: poll.answered >= with_one + 5, 60)
    assert poll.failures == []
    assert _ready_replicas() == 1


@pytest.fixture(scope="module")
def broken(chain: None) -> Iterator[None]:
    """Three models that cannot work, each for a reason of its own."""
    models = [
        _model("no-weights", source="pvc://models/does-not-exist"),
        _model("no-image", image="localhost/no-such-engine:1", gpus=0),
        _model("no-gpus", gpus=99),
    ]
    try:
        apply(*models)
        yield
    finally:
        names = [model["metadata"]["name"] for model in models]
        kubectl("delete", "mdep", *names, "-n", NAMESPACE, "--ignore-not-found")
        wait_for("pods gone", lambda: not any(_pods(name) for name in names), 120)


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize(
    ("name", "reasons", "word"),
    [
        ("no-image", {"ErrImageNeverPull", "ErrImagePull", "ImagePullBackOff"}, "no-such-engine"),
        ("no-weights", {"ContainerCrashed"}, "does-not-exist"),
    ],
)
def test_a_failed_model_says_why_and_what_to_do(
    master: Proxy, name: str, reasons: set[str], word: str
) -> None:
    model = wait_for(f"{name} has failed", lambda: _failed(name), FAIL_SECONDS)
    failure, ready = model["status"]["lastFailure"], condition(model, "Ready")
    assert ready["status"] == "False"
    assert ready["reason"] in reasons
    assert failure["reason"] in reasons
    assert failure["container"] == "engine"
    assert failure["hint"]
    assert word in failure["message"] + failure["hint"]
    assert failure["hint"] in ready["message"]
    route = wait_for(f"{name}'s route is judged", lambda: _judged_route(name), 30)
    assert condition(route, "Accepted")["status"] == "True"
    assert condition(route, "Ready")["reason"] == "BackendsNotReady"
    assert master.models() == NAMES
    assert master.says(CHAT)


@pytest.mark.usefixtures("broken")
def test_a_model_that_finds_no_gpus_says_which_are_missing(master: Proxy) -> None:
    def unscheduled() -> Object:
        model = get("mdep", "no-gpus", "-n", NAMESPACE)
        return model if condition(model, "Scheduled").get("status") == "False" else {}

    model = wait_for("no-gpus is not scheduled", unscheduled, 60)
    assert "nvidia.com/gpu" in condition(model, "Scheduled")["message"]
    assert "nvidia.com/gpu" in condition(model, "Ready")["message"]
    assert condition(model, "Ready")["status"] == "False"
    assert model["status"]["phase"] == "Pending"
    assert master.models() == NAMES
    assert master.says(CHAT)


@pytest.mark.usefixtures("broken")
def test_a_correction_is_taken_up_at_once(master: Proxy) -> None:
    wait_for("no-image has failed", lambda: _failed("no-image"), FAIL_SECONDS)
    patch = '{"spec":{"engine":{"image":"localhost/another-engine:1"}}}'
    kubectl("patch", "mdep", "no-image", "-n", NAMESPACE, "--type=merge", "-p", patch)

    def names_the_new_image() -> bool:
        failure = get("mdep", "no-image", "-n", NAMESPACE)["status"].get("lastFailure", {})
        return "another-engine" in failure.get("hint", "")

    wait_for("the status is about the new image", names_the_new_image, 60)
    assert master.models() == NAMES


def _model(
    name: str,
    *,
    source: str = "pvc://models/smollm2-135m-instruct",
    image: str | None = None,
    gpus: int = 1,
) -> Object:
    engine = {"kvCacheMemory": "64Mi", "extraArgs": ["--enforce-eager"]}
    return {
        "apiVersion": "ondol.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "model": {"source": source},
            "engine": engine | ({"image": image} if image else {}),
            "resources": {"gpu": {"count": gpus}, "cpu": "50m", "memory": "2Gi"},
            "rollout": {"drainSeconds": 0},
        },
    }


def _failed(name: str) -> Object:
    model = get("mdep", name, "-n", NAMESPACE)
    status = model.get("status", {})
    return model if status.get("phase") == "Failed" and "lastFailure" in status else {}


def _judged_route(name: str) -> Object:
    route = get("proute", name, "-n", NAMESPACE)
    return route if condition(route, "Ready") else {}


def _scale(replicas: int) -> None:
    kubectl("scale", f"mdep/{CHAT}", "-n", NAMESPACE, f"--replicas={replicas}")


def _ready_replicas() -> int:
    return int(get("mdep", CHAT, "-n", NAMESPACE)["status"]["readyReplicas"])


def _pods(model: str) -> list[Object]:
    return items("pods", "-n", NAMESPACE, "-l", f"ondol.dev/model={model}")
