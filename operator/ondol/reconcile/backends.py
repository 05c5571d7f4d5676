"""What is known of the backends of a route."""

from datetime import datetime
from typing import Any

from ondol.api import ModelDeployment, ProxyRoute
from ondol.api.proxyroute import Backend
from ondol.cluster.store import Store
from ondol.render.engine_secret import KEY, secret_name
from ondol.render.engine_service import endpoint
from ondol.render.meta import digest
from ondol.render.proxy_plan import BackendFacts, RouteFacts

MODE_OF_TASK = {"generate": "chat", "embed": "embedding", "rerank": "rerank"}

HOLD_SECONDS = 15
"""An engine that stops answering stays in the config for so long: one that flaps must not make
the config flap, and LiteLLM tries another one meanwhile."""


def route_facts(store: Store, route: ProxyRoute, now: str) -> RouteFacts:
    """Look up the backends of a route."""
    return RouteFacts(
        route, tuple(_facts(store, route, backend, now) for backend in route.spec.backends)
    )


def key_variable(namespace: str, model: str) -> str:
    """Environment variable of the proxy that holds an engine's key."""
    return f"ONDOL_KEY_{digest([namespace, model]).upper()}"


def engine_key(store: Store, model: ModelDeployment) -> str | None:
    """The engine's key as the Secret has it, base64-encoded; None when it is not there."""
    secret = store.get(("Secret", model.metadata.namespace, secret_name(model)))
    value = (secret or {}).get("data", {}).get(KEY)
    return str(value) if value else None


def _facts(store: Store, route: ProxyRoute, backend: Backend, now: str) -> BackendFacts:
    if service := backend.service:
        host = f"{service.name}.{route.metadata.namespace}.svc:{service.port}"
        return BackendFacts(
            name=f"Service/{service.name}",
            exists=True,
            healthy=True,
            api_base=f"http://{host}{service.path}".rstrip("/"),
            model=service.model,
            weight=backend.weight,
        )
    name = backend.model_deployment_ref.name if backend.model_deployment_ref else ""
    label = f"ModelDeployment/{name}"
    obj = store.get(("ModelDeployment", route.metadata.namespace, name))
    if obj is None or obj["metadata"].get("deletionTimestamp"):
        return BackendFacts(label, exists=False, healthy=False, reason="does not exist")
    model = ModelDeployment.parse(obj)
    deployment = store.get(("Deployment", *model.key))
    healthy = engine_key(store, model) is not None and _answers(deployment, now)
    return BackendFacts(
        name=label,
        exists=True,
        healthy=healthy,
        reason="" if healthy else "the engine does not answer yet",
        api_base=endpoint(model),
        model=model.served_name,
        weight=backend.weight,
        key_variable=key_variable(*model.key),
        mode=MODE_OF_TASK[model.spec.engine.task],
    )


def _answers(deployment: dict[str, Any] | None, now: str) -> bool:
    """Whether an engine pod is ready, or was until a moment ago."""
    if deployment is None or deployment["spec"].get("replicas") == 0:
        return False
    status = deployment.get("status", {})
    if status.get("readyReplicas", 0):
        return True
    for condition in status.get("conditions", []):
        if condition["type"] == "Available" and condition["reason"] != "MinimumReplicasAvailable":
            # A Deployment that was never available has this condition since it was made.
            return (
                _seconds_between(condition["lastTransitionTime"], now) < HOLD_SECONDS
                and _seconds_between(deployment["metadata"]["creationTimestamp"], now)
                > HOLD_SECONDS
                and condition["lastTransitionTime"] > deployment["metadata"]["creationTimestamp"]
            )
    return False


def _seconds_between(earlier: str, later: str) -> float:
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()
