"""What was begun is finished and what was changed by hand is put back."""

import json
from typing import Any

from e2e.conftest import NAMES, Page
from e2e.deploy import CHAT_MODEL, PROXY
from e2e.kubectl import Object, apply, get, items, kubectl, wait_for, wait_ready
from e2e.proxy import Proxy

NAMESPACE, CHAT = CHAT_MODEL[1], CHAT_MODEL[2]
SYSTEM = PROXY[1]
OPERATOR = "app.kubernetes.io/component=operator"
SECOND = ("modeldeployments", NAMESPACE, "second")
CHILDREN = "deployments,replicasets,pods,services,secrets,networkpolicies,proxyroutes"
START_SECONDS = 300


def test_an_operator_killed_in_the_middle_leaves_nothing_half_done(
    chat: Proxy, master: Proxy, page: Page
) -> None:
    before = _pods()
    try:
        apply(_second())
        kubectl("delete", "pod", "-n", SYSTEM, "-l", OPERATOR, "--grace-period=0", "--force")
        wait_ready([SECOND], START_SECONDS)
        assert chat.says("second")
        assert master.models() == sorted([*NAMES, "second"])
        wait_for("the page lists it", lambda: page.models() == ["second", CHAT], 60)
        assert len(_children()) == 7
        assert _pods() == before
    finally:
        kubectl("delete", "mdep", "second", "-n", NAMESPACE, "--ignore-not-found")
    wait_for("name gone", lambda: chat.refusal("second") == 403, 30, every=0.2)
    wait_for("names", lambda: master.models() == NAMES, 30)
    wait_for("the page forgets it", lambda: page.models() == [CHAT], 60)
    wait_for("children gone", lambda: not _children(), 120)
    assert _pods() == before


def test_a_deleted_service_of_an_engine_comes_back(chat: Proxy) -> None:
    before = _pods()
    old = get("service", CHAT, "-n", NAMESPACE)["metadata"]["uid"]
    kubectl("delete", "service", CHAT, "-n", NAMESPACE)
    wait_for("service", lambda: _uid("service", CHAT) not in ("", old), 15, every=0.2)
    wait_for("answers", lambda: chat.refusal(CHAT) == 0, 60)
    assert _pods() == before


def test_a_config_edited_by_hand_is_put_back(chat: Proxy, master: Proxy) -> None:
    before, name = _pods(), f"{PROXY[2]}-proxy-config"
    data = get("configmap", name, "-n", SYSTEM)["data"]
    patch = json.dumps({"data": {"config.yaml": "model_list: []\n"}})
    kubectl("patch", "configmap", name, "-n", SYSTEM, "--type=merge", "-p", patch)
    wait_for("config", lambda: get("configmap", name, "-n", SYSTEM)["data"] == data, 15, every=0.2)
    wait_for("names", lambda: master.models() == NAMES, 60)
    assert chat.says(CHAT)
    assert _pods() == before


def test_a_replica_count_changed_behind_the_models_back_is_put_back() -> None:
    before = _pods()
    kubectl("scale", f"deployment/{CHAT}", "-n", NAMESPACE, "--replicas=2")
    wait_for("1 replica", lambda: _replicas() == 1, 15, every=0.2)
    wait_for("1 pod", lambda: _pods() == before, 120)


def _second() -> Object:
    """The example's chat model under another name."""
    spec: dict[str, Any] = get("mdep", CHAT, "-n", NAMESPACE)["spec"]
    return {
        "apiVersion": "ondol.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": "second", "namespace": NAMESPACE},
        "spec": spec,
    }


def _children() -> list[str]:
    """Kind and name of all that belongs to the second model, at the first hand or the second."""
    return [
        f"{found['kind']}/{found['metadata']['name']}"
        for found in items(CHILDREN, "-n", NAMESPACE, "-l", "ondol.dev/model=second")
    ]


def _pods() -> dict[str, int]:
    """UID and restarts of all pods but the operator's and the second model's."""
    return {
        pod["metadata"]["uid"]: sum(
            c["restartCount"] for c in pod["status"].get("containerStatuses", [])
        )
        for namespace in (NAMESPACE, SYSTEM)
        for pod in items("pods", "-n", namespace)
        if pod["metadata"]["labels"].get("ondol.dev/model") != "second"
        and pod["metadata"]["labels"].get("app.kubernetes.io/component") != "operator"
    }


def _uid(kind: str, name: str) -> str:
    return str(get(kind, name, "-n", NAMESPACE).get("metadata", {}).get("uid", ""))


def _replicas() -> int:
    return int(get("deployment", CHAT, "-n", NAMESPACE)["spec"]["replicas"])
