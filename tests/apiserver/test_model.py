"""A ModelDeployment and its children, at a real API server, under the operator's real RBAC."""

import base64
import json

import pytest

from ondol.cluster.kinds import WATCHED
from tests.apiserver.support import (
    CHILDREN,
    MERGE,
    Cluster,
    Operator,
    children,
    model,
    others,
    sentinel,
    settle,
    wait_for,
)

pytestmark = pytest.mark.apiserver


def test_all_children_are_made_and_owned(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    created = cluster.apply(model(namespace, "qwen"))
    settle(cluster, namespace, "qwen")
    for child in children(cluster, namespace, "qwen"):
        [owner] = child["metadata"]["ownerReferences"]
        assert owner["uid"] == created["metadata"]["uid"]
        assert "finalizers" not in child["metadata"]
    live = cluster.get("ModelDeployment", namespace, "qwen")
    assert live is not None
    assert "finalizers" not in live["metadata"]
    assert "annotations" not in live["metadata"]
    assert live["status"]["observedGeneration"] == 1


def test_the_first_status_says_what_is_waited_for(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.apply(model(namespace, "qwen"))
    settle(cluster, namespace, "qwen")
    assert cluster.condition("ModelDeployment", namespace, "qwen", "Accepted")["status"] == "True"
    ready = cluster.condition("ModelDeployment", namespace, "qwen", "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "Pending")


def test_nothing_is_written_once_all_is_said(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.apply(model(namespace, "qwen"))
    before = settle(cluster, namespace, "qwen")
    sentinel(cluster, namespace)
    assert others(cluster.versions(namespace)) == before


@pytest.mark.parametrize(("kind", "pattern"), CHILDREN)
def test_a_deleted_child_comes_back(
    cluster: Cluster, operator: Operator, namespace: str, kind: str, pattern: str
) -> None:
    cluster.apply(model(namespace, "qwen"))
    settle(cluster, namespace, "qwen")
    name = pattern.format("qwen")
    old = cluster.get(kind, namespace, name)
    assert old is not None
    cluster.delete(kind, namespace, name)

    def is_new() -> bool:
        new = cluster.get(kind, namespace, name)
        return new is not None and new["metadata"]["uid"] != old["metadata"]["uid"]

    wait_for(is_new)


def test_a_changed_field_is_put_back_and_what_others_added_stays(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.apply(model(namespace, "qwen"))
    settle(cluster, namespace, "qwen")
    patch = {"metadata": {"labels": {"team": "red"}}, "spec": {"replicas": 7}}
    cluster.merge("Deployment", namespace, "qwen", patch)

    def restored() -> bool:
        live = cluster.get("Deployment", namespace, "qwen")
        return live is not None and live["spec"]["replicas"] == 1

    wait_for(restored)
    live = cluster.get("Deployment", namespace, "qwen")
    assert live is not None
    assert live["metadata"]["labels"]["team"] == "red"


def test_a_field_that_is_no_longer_wanted_goes(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.apply(model(namespace, "qwen", scheduling={"nodeSelector": {"zone": "a"}}))
    settle(cluster, namespace, "qwen")
    cluster.apply(model(namespace, "qwen"))

    def gone() -> bool:
        live = cluster.get("Deployment", namespace, "qwen")
        return live is not None and "nodeSelector" not in live["spec"]["template"]["spec"]

    wait_for(gone)


def test_a_change_keeps_the_engines_key(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.apply(model(namespace, "qwen"))
    settle(cluster, namespace, "qwen")
    before = cluster.get("Secret", namespace, "qwen-engine-key")
    cluster.apply(model(namespace, "qwen", replicas=2))
    wait_for(lambda: (cluster.get("Deployment", namespace, "qwen") or {})["spec"]["replicas"] == 2)
    assert cluster.get("Secret", namespace, "qwen-engine-key") == before


def test_the_key_is_in_its_secret_and_nowhere_else(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.apply(model(namespace, "qwen"))
    settle(cluster, namespace, "qwen")
    secret = cluster.get("Secret", namespace, "qwen-engine-key")
    assert secret is not None
    encoded = secret["data"]["api-key"]
    key = base64.b64decode(encoded).decode()
    for kind in WATCHED:
        if kind.name != "Secret":
            text = json.dumps(cluster.list(kind, namespace))
            assert key not in text
            assert encoded not in text
    assert key not in operator.log.read_text()


def test_a_mistake_makes_nothing_and_the_correction_does(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.apply(model(namespace, "qwen", engine={"extraArgs": ["-tp", "2"]}))
    accepted = wait_for(
        lambda: (
            (c := cluster.condition("ModelDeployment", namespace, "qwen", "Accepted"))["reason"]
            and c
        )
    )
    assert accepted["status"] == "False"
    assert "-tp" in accepted["message"]
    assert "spec.parallelism.tensor" in accepted["message"]
    assert children(cluster, namespace, "qwen") == []
    cluster.apply(model(namespace, "qwen", parallelism={"tensor": 2}))
    settle(cluster, namespace, "qwen")


def test_somebody_elses_object_of_the_same_name_is_not_touched(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    foreign = {
        "metadata": {"name": "qwen"},
        "spec": {"selector": {"app": "other"}, "ports": [{"port": 1234, "name": "http"}]},
    }
    cluster.create(f"/api/v1/namespaces/{namespace}/services", foreign)
    before = cluster.get("Service", namespace, "qwen")
    cluster.apply(model(namespace, "qwen"))
    applied = wait_for(
        lambda: (
            (c := cluster.condition("ModelDeployment", namespace, "qwen", "Applied"))["reason"]
            and c
        )
    )
    assert (applied["status"], applied["reason"]) == ("False", "NameTaken")
    assert f"Service {namespace}/qwen" in applied["message"]
    assert cluster.get("Service", namespace, "qwen") == before


def forbid_services(cluster: Cluster, namespace: str) -> str:
    """Let a quota refuse every Service, and return the quota's path."""
    hard = {"count/services": "0"}
    path = f"/api/v1/namespaces/{namespace}/resourcequotas"
    cluster.create(path, {"metadata": {"name": "q"}, "spec": {"hard": hard}})
    # What the controller would fill in.
    status = {"status": {"hard": hard, "used": hard}}
    cluster.request("PATCH", f"{path}/q/status", status, MERGE)
    return f"{path}/q"


def test_one_object_that_cannot_be_made_holds_up_nobody(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    forbid_services(cluster, namespace)
    cluster.apply(model(namespace, "bad", resources={"gpu": {"count": 1}, "memory": "1Gi"}))
    cluster.create("/api/v1/namespaces", {"metadata": {"name": f"{namespace}-2"}})
    cluster.apply(model(f"{namespace}-2", "good"))
    settle(cluster, f"{namespace}-2", "good")
    refused = cluster.condition("ModelDeployment", namespace, "bad", "Applied")
    assert refused["reason"] == "ChildRefused"
    assert "exceeded quota" in refused["message"]


def test_a_model_that_is_not_published_has_no_route(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.apply(model(namespace, "qwen"))
    settle(cluster, namespace, "qwen")
    cluster.apply(model(namespace, "qwen", publish={"enabled": False}))
    wait_for(lambda: cluster.get("ProxyRoute", namespace, "qwen") is None)
    published = cluster.condition("ModelDeployment", namespace, "qwen", "Published")
    wait_for(
        lambda: (
            cluster.condition("ModelDeployment", namespace, "qwen", "Published")["reason"]
            == "Disabled"
        )
    )
    assert published


def test_the_scale_subresource_reads_and_writes_replicas(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.apply(model(namespace, "qwen"))
    settle(cluster, namespace, "qwen")
    cluster.server.kubectl("scale", "mdep/qwen", "--replicas=2", "-n", namespace)
    wait_for(lambda: (cluster.get("Deployment", namespace, "qwen") or {})["spec"]["replicas"] == 2)
    path = f"/apis/ondol.dev/v1alpha1/namespaces/{namespace}/modeldeployments/qwen/scale"
    assert cluster.request("GET", path)["status"]["selector"] == "ondol.dev/model=qwen"


def pod_of(cluster: Cluster, namespace: str, name: str, state: dict[str, object]) -> None:
    """Make a pod of the engine with a container in some state, as kubelet would tell it."""
    owner = cluster.get("Deployment", namespace, name)
    assert owner is not None
    template = owner["spec"]["template"]
    container = {"name": "engine", "image": "vllm:1"}
    spec = {"containers": [container], "automountServiceAccountToken": False}
    meta = {"name": f"{name}-1", "labels": template["metadata"]["labels"]}
    cluster.create(f"/api/v1/namespaces/{namespace}/pods", {"metadata": meta, "spec": spec})
    found = {**container, "imageID": "", "ready": False, "restartCount": 0, "state": state}
    status = {"phase": "Pending", "containerStatuses": [found]}
    cluster.merge("Pod", namespace, f"{name}-1", {"status": status}, "status")


def test_a_model_that_fails_says_why_and_gives_its_gpu_to_the_corrected_one(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.apply(model(namespace, "qwen"))
    settle(cluster, namespace, "qwen")
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    pod_of(cluster, namespace, "qwen", {"waiting": waiting})

    def strategy() -> str:
        live = cluster.get("Deployment", namespace, "qwen")
        return str(live and live["spec"]["strategy"]["type"])

    wait_for(lambda: strategy() == "Recreate")
    ready = wait_for(
        lambda: (
            (c := cluster.condition("ModelDeployment", namespace, "qwen", "Ready"))["reason"]
            == "ImagePullBackOff"
            and c
        )
    )
    assert "no such image" in ready["message"]
    live = cluster.get("ModelDeployment", namespace, "qwen")
    assert live is not None
    assert live["status"]["phase"] == "Failed"
    assert live["status"]["lastFailure"]["hint"]
    cluster.delete("Pod", namespace, "qwen-1")
    wait_for(lambda: strategy() == "RollingUpdate")


def test_a_refused_child_is_made_once_what_was_in_its_way_is_gone(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    quota = forbid_services(cluster, namespace)
    cluster.apply(model(namespace, "qwen"))
    wait_for(
        lambda: (
            cluster.condition("ModelDeployment", namespace, "qwen", "Applied")["reason"]
            == "ChildRefused"
        )
    )
    cluster.request("DELETE", quota)
    wait_for(lambda: cluster.get("Service", namespace, "qwen"), 40)
