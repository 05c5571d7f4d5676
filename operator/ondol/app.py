"""The operator as a process: lease, lists, watches, workers."""

import asyncio
import logging
import signal
import uuid
from datetime import UTC, datetime
from typing import Any

import aiohttp
import kopf
from prometheus_client import Counter, Gauge, Histogram
from pydantic import ValidationError

from ondol import handlers, health
from ondol.cluster.client import ApiError, Client
from ondol.cluster.kinds import WATCHED, Kind
from ondol.cluster.lease import Lease
from ondol.cluster.queue import Queue
from ondol.cluster.store import Key, Store
from ondol.reconcile import fanout
from ondol.reconcile.apply import Applier
from ondol.reconcile.context import Context
from ondol.reconcile.frontend import reconcile_frontend
from ondol.reconcile.index import RouteIndex
from ondol.reconcile.model import reconcile_model
from ondol.reconcile.proxy import reconcile_proxy
from ondol.reconcile.route import reconcile_route
from ondol.render.meta import MANAGED_SELECTOR
from ondol.settings import Settings

log = logging.getLogger("ondol")

RECONCILERS = {
    "ModelDeployment": reconcile_model,
    "ProxyRoute": reconcile_route,
    "ModelProxy": reconcile_proxy,
    "ChatFrontend": reconcile_frontend,
}
LEASE_NAME = "ondol"
STUCK_SECONDS = 120
"""A key that waits longer than this means that no worker moves."""

RECONCILE_SECONDS = Histogram("ondol_reconcile_seconds", "Time of one look at an object.", ["kind"])
FAILURES = Counter("ondol_reconcile_failures", "Looks that failed and are repeated.", ["kind"])
LAST_SYNC = Gauge("ondol_last_sync_timestamp_seconds", "When all kinds were last listed whole.")


class Operator:
    """One operator process."""

    def __init__(self, settings: Settings, client: Client, session: aiohttp.ClientSession) -> None:
        self._settings = settings
        loop = asyncio.get_running_loop()
        self._clock = loop.time
        store = Store()
        self._ctx = Context(
            client=client,
            store=store,
            queue=Queue(loop.time),
            wrote=self._wrote,
            applier=Applier(client, store, self._wrote),
            routes=RouteIndex(settings.proxy_namespace),
            defaults=settings.defaults,
            session=session,
            now=lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        identity = f"{settings.identity}_{uuid.uuid4().hex[:8]}"
        self._lease = Lease(client, settings.namespace, LEASE_NAME, identity)
        self._synced_at: float | None = None
        self._waits_for = "the API server"

    async def run(self, stop: asyncio.Event) -> None:
        """Wait for the lease, then act until told to stop.

        Raises
        ------
        ExceptionGroup
            When the lease is lost or a part of the operator ends: the process has to end too.
        """
        async with health.serve(
            self._settings.listen, self._settings.port, alive=self._not_alive, ready=self._not_ready
        ):
            acquiring = asyncio.create_task(self._lease.acquire(self._tell_waiting))
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({acquiring, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not acquiring.done():
                acquiring.cancel()
                return
            await acquiring
            log.info("acting: this operator holds the lease")
            try:
                await self._act(stopping)
            finally:
                stopping.cancel()

    async def _act(self, stopping: "asyncio.Task[bool]") -> None:
        parts = [asyncio.create_task(self._lease.hold())]
        try:
            await self._sync()
            parts += [
                asyncio.create_task(self._resync()),
                asyncio.create_task(self._ctx.queue.run(self._work, self._settings.workers)),
                asyncio.create_task(self._watch()),
            ]
            await asyncio.wait({*parts, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for part in parts:
                if part.done():
                    part.result()  # kopf ends by itself on a signal; all others only by failing
        finally:
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)
            await self._give_back()

    async def _give_back(self) -> None:
        """Let the next operator act at once, if the API server can be told."""
        try:
            await self._lease.release()
        except ApiError as error:
            log.warning("the lease runs out by itself: %s", error)

    async def _watch(self) -> None:
        namespaces = self._settings.watch_namespaces
        await kopf.operator(
            registry=handlers.registry(self._observe),
            settings=handlers.settings(),
            memories=handlers.NoMemories(),
            identity=handlers.IDENTITY,
            standalone=True,
            clusterwide=not namespaces,
            namespaces=namespaces,
        )

    def _observe(self, event: str | None, obj: dict[str, Any]) -> None:
        gone = event == "DELETED"
        changed = self._ctx.store.remove(obj) if gone else self._ctx.store.put(obj)
        if changed:
            fanout.seen(self._ctx, obj, gone=gone)

    def _wrote(self, obj: dict[str, Any], by: Key) -> None:
        if self._ctx.store.put(obj):
            fanout.seen(self._ctx, obj, gone=False, by=by)

    async def _resync(self) -> None:
        while True:
            await asyncio.sleep(self._settings.resync_seconds)
            try:
                await self._sync()
            except ApiError as error:
                log.warning("resync: %s", error)

    async def _sync(self) -> None:
        """List every kind whole; a list that fails changes nothing."""
        namespaces: list[str | None] = [*self._settings.watch_namespaces] or [None]
        for kind in WATCHED:
            for namespace in namespaces:
                await self._sync_kind(kind, namespace)
        self._synced_at = self._clock()
        LAST_SYNC.set_to_current_time()

    async def _sync_kind(self, kind: Kind, namespace: str | None) -> None:
        store = self._ctx.store
        started = store.newest_version()
        selector = "" if kind.ours else MANAGED_SELECTOR
        objects = await self._ctx.client.list_all(kind, namespace, selector)
        changed, gone = store.replace(kind.name, objects, started, namespace)
        for obj in changed:
            fanout.seen(self._ctx, obj, gone=False, low=True)
        for obj in gone:
            fanout.seen(self._ctx, obj, gone=True, low=True)

    async def _work(self, key: Key) -> bool:
        """Look at one object; False when that has to be tried again."""
        kind = key[0]
        obj = self._ctx.store.get(key)
        if obj is None or obj["metadata"].get("deletionTimestamp"):
            self._forget(key)
            return True
        with RECONCILE_SECONDS.labels(kind).time():
            try:
                await RECONCILERS[kind](self._ctx, key, obj)
            except ApiError as error:
                if error.status == 404 and self._ctx.store.get(key) is None:
                    return True
                log.warning("%s: %s, trying again", "/".join(key), error)
            except ValidationError as error:
                log.warning("%s: does not fit this version's schema: %s", "/".join(key), error)
            except Exception:  # one object's trouble must not stop the others
                log.exception("%s: unexpected failure, trying again", "/".join(key))
            else:
                return True
        FAILURES.labels(kind).inc()
        return False

    def _forget(self, key: Key) -> None:
        kind, *rest = key
        name = (rest[0], rest[1])
        if kind == "ModelProxy":
            if name in self._ctx.proxies:
                del self._ctx.proxies[name]
                fanout.seen_no_proxy(self._ctx, name)
        elif kind == "ChatFrontend":
            self._ctx.tokens.pop(name, None)

    async def _tell_waiting(self, holder: str) -> None:
        self._waits_for = f"the lease that {holder or 'nobody'} holds"
        log.info("standing by: waiting for %s", self._waits_for)

    def _not_alive(self) -> str:
        if self._synced_at is None:
            return ""
        if self._clock() - self._synced_at > 3 * self._settings.resync_seconds:
            return "no complete list for too long"
        if (oldest := self._ctx.queue.oldest()) > STUCK_SECONDS:
            return f"a key has waited {oldest:.0f} s for a worker"
        return ""

    def _not_ready(self) -> str:
        if self._synced_at is None and self._lease.held:
            return "reading the cluster"
        return ""


async def run(settings: Settings) -> None:
    """Run the operator until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    client = await Client.connect(settings.kubeconfig)
    try:
        async with aiohttp.ClientSession() as session:
            await Operator(settings, client, session).run(stop)
    finally:
        await client.close()
