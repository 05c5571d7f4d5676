"""Which keys need a look when an object was seen to change."""

from typing import Any

from ondol.api import GROUP
from ondol.cluster.store import OUR_KINDS, Key, key_of
from ondol.reconcile.context import Context
from ondol.render.meta import FRONTEND_LABEL, MODEL_LABEL, PROXY_LABEL

KIND_OF_LABEL = {
    MODEL_LABEL: "ModelDeployment",
    PROXY_LABEL: "ModelProxy",
    FRONTEND_LABEL: "ChatFrontend",
}


def seen(
    ctx: Context, obj: dict[str, Any], *, gone: bool, low: bool = False, by: Key | None = None
) -> None:
    """Take in a change and ask for a look at all that depends on it.

    Parameters
    ----------
    ctx
        The operator.
    obj
        The object as it is now, or was last.
    gone
        Whether it was deleted.
    low
        For what start-up and resync find: live events go first.
    by
        The key whose own reconciler wrote this: it has taken the change into account.
    """
    key = key_of(obj)
    kind, namespace, name = key
    if kind == "ProxyRoute":
        _ask_proxies(ctx, {ctx.routes.proxy_of((namespace, name))})
        if gone:
            ctx.routes.remove((namespace, name))
        else:
            ctx.routes.put(obj)
            _ask_proxies(ctx, {ctx.routes.proxy_of((namespace, name))})
    if kind in OUR_KINDS and key != by:
        ctx.queue.add(key, low=low)
    if kind == "ModelDeployment":
        _ask_proxies(ctx, ctx.routes.proxies_of_model((namespace, name)))
    elif kind == "ChatFrontend":
        _ask_proxies(ctx, set(ctx.proxies))
    if owner := _owner(obj):
        if owner != by and not _is_early(ctx, owner, obj, gone=gone):
            ctx.queue.add(owner, low=low)
        if owner[0] == "ModelDeployment" and kind in ("Deployment", "Secret"):
            _ask_proxies(ctx, ctx.routes.proxies_of_model(owner[1:]))
        if owner[0] == "ChatFrontend" and kind == "Secret":
            _ask_proxies(ctx, set(ctx.proxies))


def _owner(obj: dict[str, Any]) -> Key | None:
    """The object of ours that a child or a pod belongs to."""
    meta = obj["metadata"]
    for reference in meta.get("ownerReferences", []):
        if reference.get("controller") and reference["apiVersion"].startswith(f"{GROUP}/"):
            return (reference["kind"], meta["namespace"], reference["name"])
    if obj["kind"] == "Pod":
        for label, kind in KIND_OF_LABEL.items():
            if label in meta.get("labels", {}):
                return (kind, meta["namespace"], meta["labels"][label])
    return None


def _is_early(ctx: Context, owner: Key, obj: dict[str, Any], *, gone: bool) -> bool:
    """Whether a route's state says nothing to its model yet: the engine does not answer."""
    if obj["kind"] != "ProxyRoute" or gone or obj["metadata"]["generation"] > 1:
        return False
    model = ctx.store.get(owner) or {}
    conditions = model.get("status", {}).get("conditions", [])
    return any(c["type"] == "EngineReady" and c["status"] != "True" for c in conditions)


def _ask_proxies(ctx: Context, proxies: set[tuple[str, str]] | set[tuple[str, str] | None]) -> None:
    """Ask for a look at proxies once their routes are quiet: many changes, one config."""
    for proxy in proxies:
        if proxy is not None:
            ctx.queue.add_when_quiet(("ModelProxy", *proxy))


def seen_no_proxy(ctx: Context, proxy: tuple[str, str]) -> None:
    """Ask for a look at all that needs a proxy which is gone."""
    for route in ctx.routes.of_proxy(proxy):
        ctx.queue.add(("ProxyRoute", *route))
    for frontend in ctx.store.keys("ChatFrontend"):
        ctx.queue.add(frontend)
