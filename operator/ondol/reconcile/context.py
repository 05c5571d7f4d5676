"""What every reconciler works with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from ondol.cluster.client import Client
from ondol.cluster.queue import Queue
from ondol.cluster.store import Key, Store
from ondol.reconcile.apply import Applier, Wrote
from ondol.reconcile.index import RouteIndex
from ondol.render.defaults import Defaults
from ondol.render.proxy_plan import Plan

ProxyKey = tuple[str, str]
SILENCES = 3


@dataclass(frozen=True)
class ProxyFacts:
    """What was seen of a proxy since the operator started.

    Attributes
    ----------
    plan
        Verdicts and config that are wanted.
    url
        Address of the API inside the cluster.
    converged
        Whether every ready pod serves the wanted config.
    listed
        Public names that every ready pod lists.
    ready
        Number of ready pods.
    error
        Why the pods do not serve the wanted config.
    """

    plan: Plan
    url: str
    converged: bool
    listed: frozenset[str]
    ready: int
    error: str = ""


class Written:
    """Statuses that the API server keeps differently from how they were written.

    An older CRD drops fields that it does not know; writing them again would never end.
    """

    def __init__(self) -> None:
        self._last: dict[Key, tuple[Any, Any]] = {}

    def same(self, key: Key, wanted: Any, live: Any) -> bool:
        """Whether this was written before and the answer is still what is there."""
        return self._last.get(key) == (wanted, live)

    def note(self, key: Key, wanted: Any, answer: Any) -> None:
        """Remember what the API server made of a status, when it is not the same."""
        if wanted == answer:
            self._last.pop(key, None)
        else:
            self._last[key] = (wanted, answer)


@dataclass
class Context:
    """Client, memory and clock of one operator.

    `proxies` holds observations: they save questions, and a restart makes them anew.
    """

    client: Client
    store: Store
    queue: Queue[Key]
    wrote: Wrote
    applier: Applier
    routes: RouteIndex
    defaults: Defaults
    session: aiohttp.ClientSession
    now: Callable[[], str]
    written: Written = field(default_factory=Written)
    proxies: dict[ProxyKey, ProxyFacts] = field(default_factory=dict)
    tokens: dict[tuple[str, str], str] = field(default_factory=dict)
    """Session token by frontend."""
    silences: dict[Key, int] = field(default_factory=dict)
    """How often in a row an object's pods did not answer."""

    def is_silent(self, key: Key, *, answered: bool) -> bool:
        """Whether no answer is to be believed: one slow answer on a busy node is none yet."""
        if answered:
            self.silences.pop(key, None)
            return False
        self.silences[key] = self.silences.get(key, 0) + 1
        return self.silences[key] >= SILENCES

    def pods(self, label: str, key: tuple[str, str]) -> list[dict[str, Any]]:
        """Pods of the object with this namespace and name."""
        return self.store.pods(label, *key)
