"""Objects as the API server would give them, for tests."""

from typing import Any

from ondol.api import ChatFrontend, ModelDeployment, ModelProxy, ProxyRoute

CREATED = "2026-01-01T00:00:00Z"

Spec = dict[str, Any]


def obj(kind: str, name: str, spec: Spec, namespace: str = "team-a", **meta: Any) -> dict[str, Any]:
    return {
        "apiVersion": "ondol.dev/v1alpha1",
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{namespace}-{name}",
            "generation": 1,
            "resourceVersion": "1",
            "creationTimestamp": CREATED,
            **meta,
        },
        "spec": spec,
    }


def model(name: str = "qwen", source: str = "pvc://weights/qwen", **spec: Any) -> ModelDeployment:
    full = {"model": {"source": source}, "resources": {"gpu": {"count": 1}}, **spec}
    return ModelDeployment.parse(obj("ModelDeployment", name, full))


def route(name: str, namespace: str = "team-a", created: str = CREATED, **spec: Any) -> ProxyRoute:
    full = {"backends": [{"modelDeploymentRef": {"name": name}}], **spec}
    return ProxyRoute.parse(obj("ProxyRoute", name, full, namespace, creationTimestamp=created))


def proxy(name: str = "default", **spec: Any) -> ModelProxy:
    return ModelProxy.parse(obj("ModelProxy", name, spec, "ondol-system"))


def frontend(name: str = "chat", **spec: Any) -> ChatFrontend:
    return ChatFrontend.parse(obj("ChatFrontend", name, spec))
