"""Admission changes the children: no endless writing, no endless roll-outs."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.apiserver.support import (
    Cluster,
    Object,
    Operator,
    model,
    others,
    sentinel,
    settle,
    wait_for,
)

pytestmark = pytest.mark.apiserver

POLICIES = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies"
BINDINGS = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings"


@pytest.fixture
def policy(cluster: Cluster, namespace: str) -> Iterator[Callable[[str], None]]:
    """Make a policy that changes every Deployment of the test's namespace."""

    def make(expression: str) -> None:
        only_here = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
        rule = {
            "apiGroups": ["apps"],
            "apiVersions": ["v1"],
            "operations": ["CREATE", "UPDATE"],
            "resources": ["deployments"],
        }
        spec = {
            "matchConstraints": {"namespaceSelector": only_here, "resourceRules": [rule]},
            "reinvocationPolicy": "Never",
            "failurePolicy": "Fail",
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}],
        }
        meta = {"metadata": {"name": namespace}}
        cluster.create(POLICIES, {**meta, "spec": spec})
        cluster.create(BINDINGS, {**meta, "spec": {"policyName": namespace}})
        wait_for(lambda: changes(cluster, namespace))

    yield make
    cluster.request("DELETE", f"{BINDINGS}/{namespace}")
    cluster.request("DELETE", f"{POLICIES}/{namespace}")


def changes(cluster: Cluster, namespace: str) -> bool:
    """Whether the policy is in force: it changes a Deployment that is not kept."""
    labels = {"matchLabels": {"a": "b"}}
    container = {"name": "engine", "image": "x"}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}}
    probe: Object = {
        "metadata": {"name": "probe"},
        "spec": {"selector": labels, "template": template},
    }
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments?dryRun=All"
    answer = cluster.create(path, probe)
    return bool(
        answer["metadata"].get("annotations")
        or answer["spec"]["template"]["spec"]["containers"][0]["image"] != "x"
    )


ADDITIONS = """[
  JSONPatch{op: "add", path: "/metadata/annotations",
            value: (has(object.metadata.annotations) ? object.metadata.annotations : {})},
  JSONPatch{op: "add", path: "/metadata/annotations/company.example~1seen",
            value: has(object.metadata.resourceVersion) ? object.metadata.resourceVersion : "new"},
  JSONPatch{op: "add", path: "/spec/template/spec/tolerations",
            value: [{"key": "company.example/pool", "operator": "Exists"},
                    {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]},
  JSONPatch{op: "add",
            path: "/spec/template/spec/containers/0/resources",
            value: {"requests": {"nvidia.com/gpu": "1", "memory": "2Gi"},
                    "limits": {"nvidia.com/gpu": "1", "memory": "2Gi",
                               "ephemeral-storage": "10Gi"}}}
]"""


def test_what_admission_adds_is_left_alone_and_nothing_is_written_again(
    cluster: Cluster, operator: Operator, namespace: str, policy: Callable[[str], None]
) -> None:
    policy(ADDITIONS)
    cluster.apply(model(namespace, "qwen"))
    before = settle(cluster, namespace, "qwen")
    sentinel(cluster, namespace)
    assert others(cluster.versions(namespace)) == before
    live = cluster.get("Deployment", namespace, "qwen")
    assert live is not None
    assert live["metadata"]["generation"] == 1
    assert "company.example/seen" in live["metadata"]["annotations"]
    assert cluster.condition("ModelDeployment", namespace, "qwen", "Applied")["status"] == "True"


def test_a_rollout_restart_is_not_undone(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.apply(model(namespace, "qwen"))
    settle(cluster, namespace, "qwen")
    cluster.server.kubectl("rollout", "restart", "deployment/qwen", "-n", namespace)
    sentinel(cluster, namespace)
    live = cluster.get("Deployment", namespace, "qwen")
    assert live is not None
    annotations = live["spec"]["template"]["metadata"]["annotations"]
    assert "kubectl.kubernetes.io/restartedAt" in annotations
    assert live["metadata"]["generation"] == 2


IMAGE = """[JSONPatch{op: "replace", path: "/spec/template/spec/containers/0/image",
  value: "mirror.example/" + object.spec.template.spec.containers[0].image}]"""


def test_a_field_that_admission_changes_is_told_after_a_few_tries_and_then_left(
    cluster: Cluster, operator: Operator, namespace: str, policy: Callable[[str], None]
) -> None:
    policy(IMAGE)
    cluster.apply(model(namespace, "qwen", engine={"image": "vllm:1"}))

    def told() -> Any:
        condition = cluster.condition("ModelDeployment", namespace, "qwen", "Applied")
        return condition if condition["reason"] == "ChangedByAdmission" else None

    condition = wait_for(told)
    for word in ("Deployment", "image", "vllm:1", "mirror.example/vllm:1"):
        assert word in condition["message"]
    generation = wait_for(lambda: quiet_generation(cluster, namespace))
    assert generation <= 3
    sentinel(cluster, namespace)
    assert quiet_generation(cluster, namespace) == generation


def quiet_generation(cluster: Cluster, namespace: str) -> int:
    """Generation of the Deployment: it grows with each write that changes it."""
    live = cluster.get("Deployment", namespace, "qwen")
    assert live is not None
    generation: int = live["metadata"]["generation"]
    return generation
