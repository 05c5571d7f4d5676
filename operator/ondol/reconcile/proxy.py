"""ModelProxy: one writer for the proxy's config; what the pods serve is asked, not assumed."""

import asyncio
import base64
import secrets
from typing import Any

from ondol.api import ChatFrontend, ModelDeployment, ModelProxy, ProxyRoute
from ondol.cluster.client import ApiError
from ondol.cluster.kinds import BY_NAME
from ondol.cluster.store import Key
from ondol.diagnose import pods as diagnose
from ondol.probe.proxy import PodAnswer, ask_pods
from ondol.reconcile.apply import Refused
from ondol.reconcile.backends import engine_key, key_variable, route_facts
from ondol.reconcile.conditions import Verdict, applied, first_no, no, write_status, yes
from ondol.reconcile.context import Context, ProxyFacts
from ondol.render.frontend_objects import CHAT_KEY, EMBEDDING_KEY, keys_name
from ondol.render.meta import PROXY_LABEL, digest
from ondol.render.proxy_code import CODE
from ondol.render.proxy_deployment import SYNC_HASH, proxy_deployment
from ondol.render.proxy_objects import (
    MASTER_KEY,
    child_name,
    key_hash,
    master_name,
    proxy_backend_keys,
    proxy_budget,
    proxy_client_keys,
    proxy_code,
    proxy_config,
    proxy_master,
    proxy_service,
    proxy_url,
)
from ondol.render.proxy_plan import Plan, plan

CONFIG_LIMIT_BYTES = 1_000_000
"""A ConfigMap holds 1 MiB in all."""
CONVERGING_SECONDS = 0.4
SETTLED_SECONDS = 15.0
SILENT_SECONDS = 2.0


async def reconcile_proxy(ctx: Context, key: Key, obj: dict[str, Any]) -> None:
    """Bring a proxy's children and running pods to what its routes want."""
    proxy = ModelProxy.parse(obj)
    routes = [
        route_facts(ctx.store, ProxyRoute.parse(found), ctx.now())
        for route in ctx.routes.of_proxy(proxy.key)
        if (found := ctx.store.get(("ProxyRoute", *route)))
        and not found["metadata"].get("deletionTimestamp")
    ]
    wanted = plan(proxy, routes)
    keys, clients = _backend_keys(ctx, wanted), _clients(ctx, proxy, wanted)
    refused = await _ensure_children(ctx, proxy, wanted, keys, clients)
    pods = [p for p in ctx.pods(PROXY_LABEL, proxy.key) if diagnose.is_ready(p)]
    await _sync_files(ctx, proxy, digest([wanted.hash, keys, clients]))
    master = await _master_key(ctx, proxy)
    answers = await ask_pods(ctx.session, [p["status"]["podIP"] for p in pods], master)
    answered = all(answer.answered for answer in answers)
    if not ctx.is_silent(key, answered=answered) and not answered:
        ctx.queue.add_after(key, SILENT_SECONDS)
        return
    facts = _facts(proxy, wanted, answers)
    _tell(ctx, proxy, facts)
    await _write(ctx, proxy, facts, refused, master)
    settled = facts.converged or not facts.ready
    ctx.queue.add_after(key, SETTLED_SECONDS if settled else CONVERGING_SECONDS)


async def _ensure_children(
    ctx: Context,
    proxy: ModelProxy,
    wanted: Plan,
    keys: dict[str, str],
    clients: dict[str, Any],
) -> list[Refused]:
    """Write what is missing or differs. Keys come before the config that refers to them."""
    first = [ctx.applier.ensure(proxy_backend_keys(proxy, keys))]
    if proxy.spec.master_key_secret_ref is None:
        drawn = proxy_master(proxy, f"sk-{secrets.token_urlsafe(32)}")
        first.append(ctx.applier.ensure_created(drawn))
    first.append(ctx.applier.ensure(proxy_client_keys(proxy, clients)))
    first.append(ctx.applier.ensure(proxy_code(proxy, CODE)))
    results = list(await asyncio.gather(*first))
    results.append(await _ensure_config(ctx, proxy, wanted))
    rest = (
        proxy_service(proxy),
        proxy_budget(proxy),
        proxy_deployment(proxy, ctx.defaults, digest(dict(CODE))),
    )
    results += await asyncio.gather(*(ctx.applier.ensure(manifest) for manifest in rest))
    return [result for result in results if result]


async def _ensure_config(ctx: Context, proxy: ModelProxy, wanted: Plan) -> Refused | None:
    manifest = proxy_config(proxy, wanted)
    size = sum(len(text.encode()) for text in manifest["data"].values())
    if size > CONFIG_LIMIT_BYTES:
        return Refused(
            "ConfigTooLarge",
            f"the config of {len(wanted.verdicts)} routes has {size:,} bytes, "
            f"a ConfigMap holds {CONFIG_LIMIT_BYTES:,}: use a second ModelProxy",
        )
    return await ctx.applier.ensure(manifest)


def _backend_keys(ctx: Context, wanted: Plan) -> dict[str, str]:
    """Environment variable -> engine's key, for the engines that the config names."""
    keys = {}
    for verdict in wanted.verdicts.values():
        for backend in verdict.backends:
            if backend.key_variable in wanted.key_variables:
                keys[backend.key_variable] = ""
    for obj in ctx.store.all("ModelDeployment"):
        meta = obj["metadata"]
        variable = key_variable(meta["namespace"], meta["name"])
        if variable in keys:
            keys[variable] = engine_key(ctx.store, ModelDeployment.parse(obj)) or ""
    return dict(sorted(keys.items()))


def _clients(ctx: Context, proxy: ModelProxy, wanted: Plan) -> dict[str, Any]:
    """Hash of each frontend's keys -> what it may use."""
    clients: dict[str, Any] = {}
    chat = sorted(name for name, mode in wanted.names.items() if mode == "chat")
    for obj in ctx.store.all("ChatFrontend"):
        frontend = ChatFrontend.parse(obj)
        ref = frontend.spec.proxy_ref
        if (ref.namespace or ctx.defaults.proxy_namespace, ref.name) != proxy.key:
            continue
        if not proxy.allows(frontend.metadata.namespace):
            continue
        secret = ctx.store.get(("Secret", frontend.metadata.namespace, keys_name(frontend)))
        data = (secret or {}).get("data", {})
        rag = frontend.spec.rag
        for part, models in (
            (CHAT_KEY, chat),
            (EMBEDDING_KEY, [rag.embedding_model] if rag else []),
        ):
            if part in data:
                name = f"ChatFrontend {'/'.join(frontend.key)}"
                hashed = key_hash(base64.b64decode(data[part]).decode())
                clients[hashed] = {"name": name, "models": models, "admin": False}
    return clients


async def _sync_files(ctx: Context, proxy: ModelProxy, files: str) -> None:
    """Touch pods whose files are older than the config: kubelet then syncs them at once.

    `files` is the hash of all that the pods should have.
    """
    stale = [
        pod["metadata"]
        for pod in ctx.pods(PROXY_LABEL, proxy.key)
        if pod["metadata"].get("annotations", {}).get(SYNC_HASH) != files
        and not pod["metadata"].get("deletionTimestamp")
    ]
    patch = {"metadata": {"annotations": {SYNC_HASH: files}}}
    for meta in stale:
        try:
            answer = await ctx.client.merge(BY_NAME["Pod"], meta["namespace"], meta["name"], patch)
        except ApiError as error:
            if error.status != 404:
                raise
            continue  # the pod went meanwhile
        ctx.wrote(answer, ("ModelProxy", *proxy.key))


async def _master_key(ctx: Context, proxy: ModelProxy) -> str:
    """The key with which the operator asks the pods; empty when the Secret is not there."""
    ref = proxy.spec.master_key_secret_ref
    name, part = (ref.name, ref.key) if ref else (master_name(proxy), MASTER_KEY)
    namespace = proxy.metadata.namespace
    secret = ctx.store.get(("Secret", namespace, name)) or await ctx.client.get(
        BY_NAME["Secret"], namespace, name
    )
    value = (secret or {}).get("data", {}).get(part, "")
    return base64.b64decode(value).decode()


def _facts(proxy: ModelProxy, wanted: Plan, answers: list[PodAnswer]) -> ProxyFacts:
    listed = frozenset.intersection(*(a.names for a in answers)) if answers else frozenset()
    served = frozenset(wanted.names)
    return ProxyFacts(
        plan=wanted,
        url=proxy_url(proxy),
        converged=bool(answers)
        and all(a.hash == wanted.hash for a in answers)
        and served <= listed,
        listed=listed,
        ready=len(answers),
        error=next((a.error for a in answers if a.error), ""),
    )


def _tell(ctx: Context, proxy: ModelProxy, facts: ProxyFacts) -> None:
    """Ask for a look at every route and frontend for which something changed."""
    before = ctx.proxies.get(proxy.key)
    ctx.proxies[proxy.key] = facts
    if before == facts:
        return
    for route in ctx.routes.of_proxy(proxy.key):
        if before is None or _seen_by(before, route) != _seen_by(facts, route):
            ctx.queue.add(("ProxyRoute", *route), low=before is None)
    if before is None or before.listed != facts.listed or before.plan.names != facts.plan.names:
        for frontend in ctx.store.keys("ChatFrontend"):
            ctx.queue.add(frontend)


def _seen_by(facts: ProxyFacts, route: tuple[str, str]) -> tuple[Any, ...]:
    """What of the facts a route's status depends on."""
    verdict = facts.plan.verdicts.get(route)
    return (verdict, facts.converged, facts.listed, facts.ready > 0, facts.error)


async def _write(
    ctx: Context, proxy: ModelProxy, facts: ProxyFacts, refused: list[Refused], master: str
) -> None:
    deployment = ctx.store.get(("Deployment", proxy.metadata.namespace, child_name(proxy)))
    ready = (deployment or {}).get("status", {}).get("readyReplicas", 0)
    rejected = sum(not v.accepted for v in facts.plan.verdicts.values())
    served = sum(v.served for v in facts.plan.verdicts.values())
    verdicts = {
        "Applied": applied(refused),
        "ConfigValid": _config_valid(facts, master, proxy),
        "Available": _available(ctx, proxy, ready),
        "Programmed": _programmed(facts),
    }
    blocking = first_no(verdicts["Applied"], verdicts["Available"], verdicts["Programmed"])
    verdicts["Ready"] = blocking or yes("Answering", f"{served} routes are served")
    status = {
        "url": facts.url,
        "configHash": facts.plan.hash,
        "routes": {"programmed": served if facts.converged else 0, "rejected": rejected},
        "readyReplicas": ready,
    }
    if not facts.converged and not facts.error and facts.ready and proxy.status.conditions:
        return  # the pods are loading the config: it takes a second, and is not worth a write
    await write_status(ctx, proxy, status, verdicts)


def _config_valid(facts: ProxyFacts, master: str, proxy: ModelProxy) -> Verdict:
    if not master.startswith("sk-"):
        ref = proxy.spec.master_key_secret_ref
        name = f"Secret {ref.name}, key {ref.key}" if ref else "the generated Secret"
        return no("MasterKeyMissing", f"{name} has to hold a key that starts with sk-")
    return no("Refused", facts.error) if facts.error else yes("Valid")


def _available(ctx: Context, proxy: ModelProxy, ready: int) -> Verdict:
    if ready:
        return yes("Available", f"{ready} of {proxy.spec.replicas} pods answer")
    finding = diagnose.newest(ctx.pods(PROXY_LABEL, proxy.key))
    if finding is None:
        return no("Pending", "no proxy pod exists yet")
    return no(finding.reason, finding.summary)


def _programmed(facts: ProxyFacts) -> Verdict:
    if facts.converged:
        return yes("Programmed", "every ready pod serves the config")
    if facts.error:
        return no("ConfigRefused", facts.error)
    if not facts.ready:
        return no("ProxyNotReady", "no proxy pod is ready")
    return no("Pending", "the pods are loading the config")
