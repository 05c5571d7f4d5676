"""The Lease that decides which operator acts.

The loop of the official client waits up to five minutes for an answer, long after the lease
ended; here no request may outlast the time that is left.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from ondol.cluster.client import ApiError, Client
from ondol.cluster.kinds import Kind

LEASE = Kind("Lease", "coordination.k8s.io", "v1", "leases")
DURATION_SECONDS = 15
RENEW_SECONDS = 5
RETRY_SECONDS = 2
FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


class LeaseLostError(Exception):
    """Somebody else acts now, or the API server could not be reached in time."""


class Lease:
    """One candidate for the lease."""

    def __init__(self, client: Client, namespace: str, name: str, identity: str) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self.holder = ""
        """Who holds the lease, as last seen."""
        self._seen: tuple[str, float] = ("", 0.0)

    @property
    def held(self) -> bool:
        """Whether this candidate was the holder when last seen."""
        return self.holder == self._identity

    async def acquire(self, waiting: Callable[[str], Awaitable[None]]) -> None:
        """Wait until this candidate holds the lease; `waiting` is told each new holder."""
        told = ""
        while not await self._attempt():
            if self.holder != told:
                told = self.holder
                await waiting(told)
            await asyncio.sleep(RETRY_SECONDS)

    async def hold(self) -> None:
        """Renew until that fails for as long as the lease lasts.

        Raises
        ------
        LeaseLostError
            When the caller must stop acting at once.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + DURATION_SECONDS - RENEW_SECONDS
        while True:
            await asyncio.sleep(RENEW_SECONDS if deadline - loop.time() > RENEW_SECONDS else 1)
            started = loop.time()
            try:
                async with asyncio.timeout_at(deadline):
                    held = await self._attempt()
            except TimeoutError as error:
                raise LeaseLostError("the lease could not be renewed in time") from error
            if held:
                deadline = started + DURATION_SECONDS - RENEW_SECONDS
            elif not self.held:
                raise LeaseLostError(f"the lease is held by {self.holder or 'nobody'}")

    async def release(self) -> None:
        """Give the lease up so that the next candidate need not wait."""
        live = await self._client.get(LEASE, self._namespace, self._name)
        if live and live["spec"].get("holderIdentity") == self._identity:
            live["spec"]["holderIdentity"] = ""
            await self._client.replace(LEASE, live)

    async def _attempt(self) -> bool:
        """Take or renew the lease when that is allowed; never raises for a failed request."""
        try:
            live = await self._client.get(LEASE, self._namespace, self._name)
            if live is None:
                await self._client.create(LEASE, self._fresh(transitions=0))
                self.holder = self._identity
                return True
            if not self._may_take(live):
                return False
            await self._client.replace(LEASE, self._renewed(live))
        except ApiError as error:
            if error.status not in (0, HTTPStatus.CONFLICT) and error.status < 500:
                raise
            return False
        self.holder = self._identity
        return True

    def _may_take(self, live: dict[str, Any]) -> bool:
        """Judge by our own clock how long the record has not changed, not by the holder's."""
        spec = live["spec"]
        self.holder = spec.get("holderIdentity") or ""
        record = f"{self.holder} {spec.get('renewTime')}"
        now = asyncio.get_running_loop().time()
        if self._seen[0] != record:
            self._seen = (record, now)
        expired = now - self._seen[1] > spec.get("leaseDurationSeconds", DURATION_SECONDS)
        return self.holder in ("", self._identity) or expired

    def _renewed(self, live: dict[str, Any]) -> dict[str, Any]:
        spec = live["spec"]
        transitions = spec.get("leaseTransitions", 0)
        if spec.get("holderIdentity") != self._identity:
            fresh = self._fresh(transitions + 1)
            return {**fresh, "metadata": live["metadata"]}
        return {**live, "spec": {**spec, "renewTime": _now()}}

    def _fresh(self, transitions: int) -> dict[str, Any]:
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": DURATION_SECONDS,
                "acquireTime": _now(),
                "renewTime": _now(),
                "leaseTransitions": transitions,
            },
        }


def _now() -> str:
    return datetime.now(UTC).strftime(FORMAT)
