"""Conditions of a status, and writing a status only when it changed."""

from dataclasses import dataclass
from typing import Any, Literal

from ondol.api import GROUP, VERSION, Condition, Resource
from ondol.cluster.kinds import BY_NAME
from ondol.cluster.store import key_of
from ondol.reconcile.apply import Refused
from ondol.reconcile.context import Context

Truth = Literal["True", "False", "Unknown"]
MAX_MESSAGE = 1024


@dataclass(frozen=True)
class Verdict:
    """A condition's status, reason and message, before it has a time."""

    status: Truth
    reason: str
    message: str = ""

    @property
    def holds(self) -> bool:
        """Whether the status is True."""
        return self.status == "True"


def yes(reason: str, message: str = "") -> Verdict:
    """Make a verdict that holds."""
    return Verdict("True", reason, message)


def no(reason: str, message: str = "") -> Verdict:
    """Make a verdict that does not hold."""
    return Verdict("False", reason, message)


def unknown(reason: str, message: str = "") -> Verdict:
    """Make a verdict that cannot be given."""
    return Verdict("Unknown", reason, message)


def conditions(
    verdicts: dict[str, Verdict], previous: list[Condition], generation: int, now: str
) -> list[dict[str, Any]]:
    """Render conditions; the time of one changes only with its status."""
    known = {condition.type: condition for condition in previous}
    rendered = []
    for name, verdict in verdicts.items():
        old = known.get(name)
        same = old is not None and old.status == verdict.status and old.last_transition_time
        rendered.append(
            {
                "type": name,
                "status": verdict.status,
                "reason": verdict.reason,
                "message": verdict.message[:MAX_MESSAGE],
                "observedGeneration": generation,
                "lastTransitionTime": same or now,
            }
        )
    return rendered


def applied(refused: list[Refused]) -> Verdict:
    """Tell whether all children are as rendered, else why not."""
    if not refused:
        return yes("Applied")
    return no(refused[0].reason, "; ".join(r.message for r in refused))


def first_no(*verdicts: Verdict) -> Verdict | None:
    """Find the first verdict that does not hold."""
    return next((verdict for verdict in verdicts if not verdict.holds), None)


async def write_status(
    ctx: Context, resource: Resource, status: dict[str, Any], verdicts: dict[str, Verdict]
) -> None:
    """Write the status if it says something new."""
    meta = resource.metadata
    kind = type(resource).__name__
    live = ctx.store.get((kind, meta.namespace, meta.name))
    if live is None:
        return
    before = live.get("status", {})
    previous = [Condition.model_validate(c) for c in before.get("conditions", [])]
    wanted = {
        "observedGeneration": meta.generation,
        **{k: v for k, v in status.items() if v is not None},
        "conditions": conditions(verdicts, previous, meta.generation, ctx.now()),
    }
    if wanted == before or ctx.written.same(key_of(live), wanted, before):
        return
    manifest = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": kind,
        "metadata": {"name": meta.name, "namespace": meta.namespace, "uid": meta.uid},
        "status": wanted,
    }
    answer = await ctx.client.apply(BY_NAME[kind], manifest, force=True, subresource="status")
    ctx.wrote(answer, key_of(live))
    ctx.written.note(key_of(live), wanted, answer.get("status", {}))
