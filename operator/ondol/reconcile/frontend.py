"""ChatFrontend: run Open WebUI with keys of its own, and look at it as a user does."""

import asyncio
import base64
import secrets
from typing import Any

from ondol.api import ChatFrontend, ModelProxy
from ondol.cluster.kinds import BY_NAME
from ondol.cluster.store import Key
from ondol.diagnose import pods as diagnose
from ondol.probe.frontend import listed_models, sign_in
from ondol.probe.http import ProbeError
from ondol.reconcile.apply import Refused
from ondol.reconcile.conditions import Verdict, applied, first_no, no, unknown, write_status, yes
from ondol.reconcile.context import Context, ProxyKey
from ondol.render.frontend_deployment import frontend_deployment, mistakes
from ondol.render.frontend_objects import (
    CHAT_KEY,
    EMBEDDING_KEY,
    SESSION_KEY,
    admin_name,
    child_name,
    frontend_claim,
    frontend_secret,
    frontend_service,
    keys_name,
    service_url,
)
from ondol.render.meta import FRONTEND_LABEL
from ondol.render.proxy_objects import proxy_url

ADMIN_EMAIL = "admin@ondol.local"
CHANGING_SECONDS = 2.0
SETTLED_SECONDS = 60.0


async def reconcile_frontend(ctx: Context, key: Key, obj: dict[str, Any]) -> None:
    """Bring a frontend's children to its spec and write what its users see."""
    frontend = ChatFrontend.parse(obj)
    accepted = _accepted(ctx, frontend)
    refused = await _ensure_children(ctx, frontend) if accepted.holds else []
    available = _available(ctx, frontend)
    count, listed = 0, no("NotAvailable", "the page does not answer yet")
    if available.holds:
        seen = await _models(ctx, frontend)
        if seen is None:
            ctx.queue.add_after(key, CHANGING_SECONDS)
            return
        count, listed = seen
    verdicts = {
        "Accepted": accepted,
        "Applied": applied(refused),
        "Available": available,
        "ModelsListed": listed,
    }
    blocking = first_no(*verdicts.values())
    verdicts["Ready"] = (
        no(blocking.reason, blocking.message)
        if blocking
        else yes("Answering", f"the page lists {count} models")
    )
    status = {
        "url": frontend.spec.public_url or service_url(frontend),
        "models": count,
        "adminSecret": admin_name(frontend),
    }
    await write_status(ctx, frontend, status, verdicts)
    settled = listed.holds or not available.holds
    ctx.queue.add_after(key, SETTLED_SECONDS if settled else CHANGING_SECONDS)


def _proxy_key(ctx: Context, frontend: ChatFrontend) -> ProxyKey:
    ref = frontend.spec.proxy_ref
    return (ref.namespace or ctx.defaults.proxy_namespace, ref.name)


def _accepted(ctx: Context, frontend: ChatFrontend) -> Verdict:
    if wrong := mistakes(frontend):
        return no("Invalid", "; ".join(wrong))
    key = _proxy_key(ctx, frontend)
    obj = ctx.store.get(("ModelProxy", *key))
    if obj is None:
        return no("NoSuchProxy", f"ModelProxy {'/'.join(key)} does not exist; create it or name "
                  "another one in spec.proxyRef")  # fmt: skip
    if not ModelProxy.parse(obj).allows(frontend.metadata.namespace):
        return no("NotAllowedByProxy", f"ModelProxy {'/'.join(key)} serves its own namespace "
                  "only; its spec.allowedRoutes.namespaces.from has to be All")  # fmt: skip
    return yes("Accepted")


async def _ensure_children(ctx: Context, frontend: ChatFrontend) -> list[Refused]:
    drawn = {
        CHAT_KEY: f"sk-{secrets.token_urlsafe(32)}",
        EMBEDDING_KEY: f"sk-{secrets.token_urlsafe(32)}",
        SESSION_KEY: secrets.token_urlsafe(32),
    }
    first = [
        ctx.applier.ensure_created(frontend_secret(frontend, keys_name(frontend), drawn)),
        ctx.applier.ensure_created(frontend_claim(frontend)),
        ctx.applier.ensure(frontend_service(frontend)),
    ]
    if frontend.spec.auth.admin_secret_ref is None:
        admin = {"email": ADMIN_EMAIL, "password": secrets.token_urlsafe(18)}
        secret = frontend_secret(frontend, admin_name(frontend), admin)
        first.append(ctx.applier.ensure_created(secret))
    results = list(await asyncio.gather(*first))
    proxy = ModelProxy.parse(ctx.store.get(("ModelProxy", *_proxy_key(ctx, frontend))) or {})
    deployment = frontend_deployment(frontend, ctx.defaults, proxy_url(proxy))
    results.append(await ctx.applier.ensure(deployment))
    return [result for result in results if result]


def _available(ctx: Context, frontend: ChatFrontend) -> Verdict:
    deployment = ctx.store.get(("Deployment", frontend.metadata.namespace, child_name(frontend)))
    if (deployment or {}).get("status", {}).get("readyReplicas", 0):
        return yes("Available", "the page answers")
    finding = diagnose.newest(ctx.pods(FRONTEND_LABEL, frontend.key))
    if finding is None:
        return no("Pending", "no pod exists yet")
    return no(finding.reason, finding.summary)


async def _models(ctx: Context, frontend: ChatFrontend) -> tuple[int, Verdict] | None:
    """Sign in and compare the page's list with what the proxy serves.

    None while the page does not answer and that is not to be believed yet.
    """
    try:
        listed = await _listed(ctx, frontend)
    except ProbeError as error:
        ctx.tokens.pop(frontend.key, None)
        if not ctx.is_silent(("ChatFrontend", *frontend.key), answered=False):
            return None
        return 0, no("PageNotAnswering", str(error))
    ctx.is_silent(("ChatFrontend", *frontend.key), answered=True)
    facts = ctx.proxies.get(_proxy_key(ctx, frontend))
    if facts is None:
        return len(listed), unknown("ProxyUnknown", "the proxy was not looked at yet")
    chat = {name for name, mode in facts.plan.names.items() if mode == "chat"}
    return len(listed), judge(listed, chat)


def judge(listed: frozenset[str], served: set[str]) -> Verdict:
    """Compare what the page lists with the chat models that the proxy serves."""
    if missing := sorted(served - listed):
        return no("Incomplete", f"the page does not list {', '.join(missing)} yet")
    if extra := sorted(listed - served):
        return no("Stale", f"the page still lists {', '.join(extra)}")
    if not listed:
        return no("NoModels", "the page lists no model: no chat model is ready at the proxy")
    return yes("Listed", f"the page lists {len(listed)} models")


async def _listed(ctx: Context, frontend: ChatFrontend) -> frozenset[str]:
    url = service_url(frontend)
    if frontend.key not in ctx.tokens:
        email, password = await _admin(ctx, frontend)
        ctx.tokens[frontend.key] = await sign_in(ctx.session, url, email, password)
    return await listed_models(ctx.session, url, ctx.tokens[frontend.key])


async def _admin(ctx: Context, frontend: ChatFrontend) -> tuple[str, str]:
    """Email and password of the administrator.

    Raises
    ------
    ProbeError
        When the Secret is not there or lacks one of them.
    """
    namespace, name = frontend.metadata.namespace, admin_name(frontend)
    secret = ctx.store.get(("Secret", namespace, name)) or await ctx.client.get(
        BY_NAME["Secret"], namespace, name
    )
    data = (secret or {}).get("data", {})
    if "email" not in data or "password" not in data:
        raise ProbeError(f"Secret {namespace}/{name} has to hold email and password")
    return base64.b64decode(data["email"]).decode(), base64.b64decode(data["password"]).decode()
