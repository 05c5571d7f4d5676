"""What the API server takes and what it refuses, with the reason a user reads."""

from typing import Any

import pytest

from tests.apiserver.support import Cluster, Object, RefusedError, model

pytestmark = pytest.mark.apiserver


def of_kind(kind: str, namespace: str, spec: Any, name: str = "x") -> Object:
    return {
        "apiVersion": "ondol.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


REF = {"modelDeploymentRef": {"name": "m"}}
SERVICE = {"service": {"name": "s", "port": 80, "model": "m"}}


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("ModelDeployment", {"model": {"source": "hf://org/name"}, "resources": {}}),
        ("ModelDeployment", {"model": {"source": "pvc://claim"}, "resources": {"cpu": "500m"}}),
        ("ProxyRoute", {"backends": [REF]}),
        ("ProxyRoute", {"backends": [SERVICE, REF], "aliases": ["gpt-4o", "a/b:c"]}),
        ("ModelProxy", {}),
        ("ChatFrontend", {}),
    ],
)
def test_taken(cluster: Cluster, kind: str, spec: Any) -> None:
    cluster.apply(of_kind(kind, "default", spec))
    cluster.delete(kind, "default", "x")


@pytest.mark.parametrize(
    ("kind", "spec", "words"),
    [
        ("ModelDeployment", {"resources": {}}, "spec.model"),
        ("ModelDeployment", {"model": {"source": "org/name"}, "resources": {}}, "source"),
        (
            "ModelDeployment",
            {"model": {"source": "pvc://c/m", "revision": "main"}, "resources": {}},
            "spec.model.revision belongs to an hf:// source",
        ),
        (
            "ModelDeployment",
            {"model": {"source": "pvc://c"}, "resources": {}, "engine": {"dtype": "int7"}},
            "dtype",
        ),
        (
            "ModelDeployment",
            {"model": {"source": "pvc://c"}, "resources": {"gpu": {"count": -1}}},
            "count",
        ),
        (
            "ModelDeployment",
            {
                "model": {"source": "pvc://c"},
                "resources": {},
                "engine": {"gpuMemoryUtilization": 0},
            },
            "gpuMemoryUtilization",
        ),
        ("ProxyRoute", {"backends": []}, "backends"),
        ("ProxyRoute", {"backends": [{}]}, "exactly one of modelDeploymentRef and service"),
        ("ProxyRoute", {"backends": [REF | SERVICE]}, "exactly one of"),
        ("ProxyRoute", {"backends": [REF], "model": "two words"}, "model"),
        ("ProxyRoute", {"backends": [REF], "aliases": ["team/*"]}, "aliases"),
        ("ModelProxy", {"drainSeconds": 0}, "drainSeconds"),
        ("ChatFrontend", {"publicURL": "chat.example.com"}, "publicURL"),
    ],
)
def test_refused_with_the_field(cluster: Cluster, kind: str, spec: Any, words: str) -> None:
    with pytest.raises(RefusedError) as refused:
        cluster.apply(of_kind(kind, "default", spec))
    assert words in str(refused.value)


@pytest.mark.parametrize("name", ["llama-3.2-3b", "a" * 64, "3b-chat"])
def test_a_name_that_a_service_cannot_have_is_refused_with_the_rule(
    cluster: Cluster, name: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        cluster.apply(model("default", name))
    assert "at most 63 characters" in str(refused.value)
    assert "spec.publish.as" in str(refused.value)


def test_a_typo_in_a_field_is_refused_by_kubectl(cluster: Cluster) -> None:
    typo = of_kind("ModelProxy", "default", {"replcas": 2})
    path = "/apis/ondol.dev/v1alpha1/namespaces/default/modelproxies?fieldValidation=Strict"
    with pytest.raises(RefusedError) as refused:
        cluster.create(path, typo)
    assert "replcas" in str(refused.value)


@pytest.mark.parametrize(
    "field",
    [
        "mdep.spec.resources.gpu", "mdep.spec.engine.kvCacheMemory", "proute.spec.backends",
        "mproxy.spec.allowedRoutes", "chatui.spec.rag", "mdep.status.conditions",
    ],
)  # fmt: skip
def test_kubectl_explains_every_block(cluster: Cluster, field: str) -> None:
    explained = cluster.server.kubectl("explain", field)
    assert "<empty>" not in explained
    assert "DESCRIPTION" in explained
