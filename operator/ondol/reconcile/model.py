"""ModelDeployment: make its children, say how it is."""

import asyncio
import secrets
from typing import Any

from ondol.api import ModelDeployment
from ondol.cluster.store import Key
from ondol.diagnose import pods as diagnose
from ondol.reconcile.apply import Refused
from ondol.reconcile.conditions import Verdict, applied, first_no, no, unknown, write_status, yes
from ondol.reconcile.context import Context
from ondol.render.engine_args import mistakes
from ondol.render.engine_deployment import engine_deployment, selector
from ondol.render.engine_networkpolicy import engine_networkpolicy
from ondol.render.engine_route import engine_route
from ondol.render.engine_secret import engine_secret
from ondol.render.engine_service import endpoint, engine_service
from ondol.render.meta import MODEL_LABEL, Manifest

KEY_BYTES = 32
REFUSED_SECONDS = 15.0
"""Time until a child that was refused is tried again: what is in its way is not watched."""


async def reconcile_model(ctx: Context, key: Key, obj: dict[str, Any]) -> None:
    """Bring the children of a ModelDeployment to its spec and write its status."""
    model = ModelDeployment.parse(obj)
    wrong = mistakes(model)
    pods = ctx.pods(MODEL_LABEL, model.key)
    finding = diagnose.newest(pods)
    failing = finding is not None and finding.failed and not any(map(diagnose.is_ready, pods))
    refused = [] if wrong else await _ensure_children(ctx, model, failing=failing)
    if refused:
        ctx.queue.add_after(key, REFUSED_SECONDS)
    deployment = ctx.store.get(("Deployment", *model.key))
    verdicts = {
        "Accepted": no("Invalid", "; ".join(wrong)) if wrong else yes("Accepted"),
        "Applied": applied(refused),
        "Scheduled": _scheduled(model, pods),
        "EngineReady": _engine_ready(model, deployment, finding),
    }
    verdicts["Published"] = _published(ctx, model, verdicts["EngineReady"])
    verdicts["Ready"] = _ready(model, verdicts)
    ready = (deployment or {}).get("status", {}).get("readyReplicas", 0)
    status = {
        "phase": _phase(model, ready, finding),
        "endpoint": endpoint(model),
        "servedModels": [model.served_name],
        "replicas": (deployment or {}).get("status", {}).get("replicas", 0),
        "readyReplicas": ready,
        "selector": ",".join(f"{k}={v}" for k, v in selector(model).items()),
        "lastFailure": _failure(finding),
    }
    await write_status(ctx, model, status, verdicts)


async def _ensure_children(ctx: Context, model: ModelDeployment, *, failing: bool) -> list[Refused]:
    """Write what is missing or differs; return what cannot be written."""
    manifests = [
        engine_deployment(model, ctx.defaults, failing=failing),
        engine_service(model),
        engine_networkpolicy(model, ctx.defaults),
    ]
    if model.spec.publish.enabled:
        manifests.append(engine_route(model))
    results = await asyncio.gather(
        _ensure_key(ctx, model), *(ctx.applier.ensure(manifest) for manifest in manifests)
    )
    if not model.spec.publish.enabled:
        await ctx.applier.remove(_route_key(model), model.metadata.uid)
    return [result for result in results if result]


async def _ensure_key(ctx: Context, model: ModelDeployment) -> Refused | None:
    """Draw the engine's key once; it is never changed afterwards."""
    drawn = engine_secret(model, secrets.token_urlsafe(KEY_BYTES))
    return await ctx.applier.ensure_created(drawn)


def _route_key(model: ModelDeployment) -> Key:
    return ("ProxyRoute", *model.key)


def _scheduled(model: ModelDeployment, pods: list[dict[str, Any]]) -> Verdict:
    if model.spec.replicas == 0:
        return unknown("ScaledToZero", "spec.replicas is 0")
    for pod in pods:
        for condition in pod.get("status", {}).get("conditions", []):
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                return no(condition.get("reason", "Unschedulable"), condition.get("message", ""))
    return yes("Scheduled") if pods else unknown("NoPods", "no pod exists yet")


def _engine_ready(
    model: ModelDeployment,
    deployment: Manifest | None,
    finding: diagnose.Finding | None,
) -> Verdict:
    if deployment is None:
        return no("NotCreated", "the Deployment does not exist yet")
    wanted = model.spec.replicas
    ready = deployment.get("status", {}).get("readyReplicas", 0)
    if wanted == 0:
        return no("ScaledToZero", "spec.replicas is 0")
    if ready:
        return yes("Answering", f"{ready} of {wanted} pods answer")
    if finding is None:
        return no("Pending", "no pod exists yet")
    return no(finding.reason, finding.summary)


def _published(ctx: Context, model: ModelDeployment, engine: Verdict) -> Verdict:
    """Follow the route, but only once the engine answers: before that nothing can be said."""
    if not model.spec.publish.enabled:
        return no("Disabled", "spec.publish.enabled is false")
    if not engine.holds:
        return no("EngineNotReady", "the proxy gets the model when the engine answers")
    route = ctx.store.get(_route_key(model)) or {}
    for condition in route.get("status", {}).get("conditions", []):
        if condition["type"] == "Ready":
            if condition.get("observedGeneration") != route["metadata"]["generation"]:
                break
            return Verdict(condition["status"], condition["reason"], condition["message"])
    return no("Pending", "the route is being set up")


def _ready(model: ModelDeployment, verdicts: dict[str, Verdict]) -> Verdict:
    blocking = first_no(verdicts["Accepted"], verdicts["EngineReady"])
    if blocking is None and model.spec.publish.enabled:
        blocking = first_no(verdicts["Published"])
    if blocking is None:
        where = "at the proxy" if model.spec.publish.enabled else "at its own endpoint"
        return yes("Answering", f"{model.public_name} is answered {where}")
    if verdicts["Accepted"].holds and not verdicts["Applied"].holds:
        return no(verdicts["Applied"].reason, verdicts["Applied"].message)
    return no(blocking.reason, blocking.message)


def _phase(model: ModelDeployment, ready: int, finding: diagnose.Finding | None) -> str:
    if model.spec.replicas == 0:
        return "Idle"
    if ready:
        return "Degraded" if finding and finding.failed else "Serving"
    return finding.phase if finding else "Pending"


def _failure(finding: diagnose.Finding | None) -> dict[str, Any] | None:
    if finding is None or not finding.failed:
        return None
    return {
        "container": finding.container,
        "reason": finding.reason,
        "message": finding.message,
        "hint": finding.hint,
    }
