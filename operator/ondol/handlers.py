"""kopf: the watches, and nothing else.

A handler stores the object and enqueues keys. kopf's higher handlers, indices, daemons and
timers are not used: they cost writes on every object, and lose deletes in a watch gap.
"""

from collections.abc import Callable, Iterator
from typing import Any

import kopf
from kopf._core.engines.peering import Identity
from kopf._core.reactor.inventory import ResourceMemories, ResourceMemory

from ondol.cluster.kinds import WATCHED, Kind
from ondol.render.meta import MANAGED_SELECTOR

Observe = Callable[[str | None, dict[str, Any]], None]
"""Called with the event's type (None for what a list found) and the object."""


IDENTITY = Identity("ondol")
"""kopf would look for a user's name, which a container has not."""


class Backoffs:
    """Seconds between tries of kopf's own requests; it never ends, so neither does the watch."""

    def __iter__(self) -> Iterator[float]:
        """Start anew for each request."""
        yield from (0.5, 1, 2, 4, 8)
        while True:
            yield 10


class NoDiffBase(kopf.DiffBaseStorage):
    """kopf's record of the state that was handled last: not kept, as nothing is handled by diff.

    kopf would copy every object on every event for it, a third of the cost of an event.
    """

    def build(self, *, body: Any, extra_fields: Any = None) -> Any:
        """Find nothing to compare."""
        return {}

    def fetch(self, *, body: Any) -> None:
        """Find no earlier state."""

    def store(self, *, body: Any, patch: Any, essence: Any) -> None:
        """Write nothing."""


class NoProgress(kopf.ProgressStorage):
    """kopf's record of handlers that are to be tried again: there are none."""

    def fetch(self, *, key: Any, body: Any) -> None:
        """Find no record."""

    def store(self, *, key: Any, record: Any, body: Any, patch: Any) -> None:
        """Write nothing."""

    def purge(self, *, key: Any, body: Any, patch: Any) -> None:
        """Remove nothing."""

    def touch(self, *, body: Any, patch: Any, value: Any) -> None:
        """Mark nothing."""

    def clear(self, *, essence: Any) -> Any:
        """Find nothing to remove."""
        return essence


class NoMemories(ResourceMemories):
    """kopf's memo of each object, not kept: on.event has no use for it, and it is 5 KB each."""

    async def recall(self, raw_body: Any, **kwargs: Any) -> ResourceMemory:
        """Make a memo that is forgotten."""
        return await super().recall(raw_body, **{**kwargs, "ephemeral": True})


def registry(observe: Observe) -> kopf.OperatorRegistry:
    """Make the handlers: one for each kind, all the same."""
    handlers = kopf.OperatorRegistry()

    # A plain function would be run in a thread, and nothing here is safe for threads.
    async def on_event(event: Any, **_: Any) -> None:
        observe(event["type"], event["object"])

    for kind in WATCHED:
        kopf.on.event(kind.group, kind.version, kind.plural, registry=handlers)(on_event)

    @kopf.on.login(registry=handlers)
    def login(**kwargs: Any) -> Any:
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

    return handlers


def settings() -> kopf.OperatorSettings:
    """Make kopf's settings."""
    chosen = kopf.OperatorSettings()
    chosen.posting.enabled = False
    # Foreign operators of the framework must not pause this one.
    chosen.peering.standalone = True
    chosen.scanning.disabled = True
    chosen.persistence.diffbase_storage = NoDiffBase()
    chosen.persistence.progress_storage = NoProgress()
    chosen.watching.server_timeout = 300
    chosen.watching.client_timeout = 330
    chosen.watching.connect_timeout = 5
    chosen.watching.chunk_size = 500
    chosen.networking.request_timeout = 30
    chosen.networking.connect_timeout = 5
    chosen.networking.error_backoffs = Backoffs()
    chosen.queueing.idle_timeout = 1
    for kind in WATCHED:
        if not kind.ours:
            chosen.watching.label_selectors[_selector_key(kind)] = MANAGED_SELECTOR
    return chosen


def _selector_key(kind: Kind) -> tuple[str, str, str]:
    return (kind.group, kind.version, kind.plural)
