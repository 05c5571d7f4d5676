"""ProxyRoute: say whether its name is answered. Its proxy does the work."""

from typing import Any

from ondol.api import Condition, ProxyRoute
from ondol.cluster.store import Key
from ondol.reconcile.conditions import Verdict, first_no, no, write_status, yes
from ondol.reconcile.context import Context, ProxyFacts
from ondol.render.proxy_plan import BackendFacts
from ondol.render.proxy_plan import Verdict as RouteVerdict


async def reconcile_route(ctx: Context, key: Key, obj: dict[str, Any]) -> None:
    """Write the status of a ProxyRoute from what its proxy was seen to do."""
    route = ProxyRoute.parse(obj)
    proxy_key = ctx.routes.proxy_of(route.key)
    if proxy_key is None:
        return
    if ctx.store.get(("ModelProxy", *proxy_key)) is None:
        missing = no("NoSuchProxy", f"ModelProxy {'/'.join(proxy_key)} does not exist; create it "
                     "or name another one in spec.proxyRef")  # fmt: skip
        await write_status(ctx, route, {}, _all(missing))
        return
    facts = ctx.proxies.get(proxy_key)
    verdict = facts and facts.plan.verdicts.get(route.key)
    if not facts or not verdict:
        return  # the proxy's own pass comes first, and asks for this one
    verdicts = judge(route, facts, verdict)
    if verdicts is None:
        return
    status = {"backends": [_backend(b) for b in verdict.backends], "proxyURL": facts.url}
    await write_status(ctx, route, status, verdicts)


def _all(verdict: Verdict) -> dict[str, Verdict]:
    return dict.fromkeys(("Accepted", "ResolvedRefs", "Programmed", "Ready"), verdict)


def judge(route: ProxyRoute, facts: ProxyFacts, verdict: RouteVerdict) -> dict[str, Verdict] | None:
    """Make the conditions of a route from what was seen of its proxy.

    None while the proxy moves and what was said of this route still holds: a change of one route
    must not make the others flap.
    """
    if not verdict.accepted:
        return _all(no(verdict.accepted_reason, verdict.accepted_message))
    resolved = (
        yes("ResolvedRefs") if verdict.resolved else no("RefNotFound", verdict.resolved_message)
    )
    programmed = _programmed(route, facts, verdict)
    if programmed is None:
        return None
    answering = (
        yes("Answering", f"{route.public_name} is answered")
        if any(b.healthy for b in verdict.backends)
        else no("BackendsNotReady", _why(verdict.backends))
    )
    blocking = first_no(answering, programmed)
    return {
        "Accepted": yes("Accepted"),
        "ResolvedRefs": resolved,
        "Programmed": programmed,
        "Ready": blocking or answering,
    }


def _programmed(route: ProxyRoute, facts: ProxyFacts, verdict: RouteVerdict) -> Verdict | None:
    if not verdict.served:
        return no("BackendsNotReady", "held back until a backend answers")
    if facts.ready == 0:
        return no("ProxyNotReady", "no proxy pod is ready")
    missing = [name for name in route.names if name not in facts.listed]
    if facts.converged and not missing:
        return yes("Programmed", "every ready proxy pod lists the name")
    if facts.error:
        return (
            no("ConfigRefused", facts.error)
            if missing
            else yes("Programmed", "every ready proxy pod lists the name")
        )
    if not missing and _said(route.status.conditions, route.metadata.generation):
        return None
    return no("Pending", "the proxy pods are loading the route")


def _said(conditions: list[Condition], generation: int) -> bool:
    """Whether Programmed was already true for this generation."""
    return any(
        c.type == "Programmed" and c.status == "True" and c.observed_generation == generation
        for c in conditions
    )


def _why(backends: tuple[BackendFacts, ...]) -> str:
    return "; ".join(f"{b.name}: {b.reason}" for b in backends if not b.healthy)


def _backend(backend: BackendFacts) -> dict[str, Any]:
    return {"name": backend.name, "healthy": backend.healthy, "reason": backend.reason}
