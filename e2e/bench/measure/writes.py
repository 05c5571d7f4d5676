"""Which writes belong to which object, and which of them changed nothing. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from e2e.bench.measure.audit import Record

Target = tuple[str, str, str]


@dataclass(frozen=True)
class Writes:
    """A client's writes."""

    total: int
    failed: int
    per_object_max: int
    per_object_mean: float
    unattributed: int  # to things that belong to no single object
    no_effect: int
    unverified: int  # to things that nobody watched, so that their effect is unknown


class Owners:
    """Knows the object that a write was for.

    ``known`` maps (resource with group, name) to the object's name, the object itself included.
    Something that is not known may still start with an object's name, as names of events do.
    """

    def __init__(self, known: Mapping[tuple[str, str], str]) -> None:
        self._known = known
        self.names = frozenset(known.values())

    def of(self, record: Record) -> str | None:
        """Return the object's name, or None when the write belongs to none."""
        if owner := self._known.get((record.resource_group, record.name)):
            return owner
        name = record.name
        for end in range(len(name), 0, -1):
            if (end == len(name) or name[end] in ".-") and name[:end] in self.names:
                return name[:end]
        return None


def summarise(
    mine: Iterable[Record],
    others: Iterable[Record],
    *,
    owners: Owners,
    events: Mapping[Target, int],
    watched: Iterable[tuple[str, str]],
) -> Writes:
    """Summarise the writes in ``mine``.

    The API server stores nothing and tells no watcher when a write leaves an object as it was.
    So a client's writes without effect are those for which no watch event was seen:
    its writes, less the events, where others' writes account for one event each.

    Parameters
    ----------
    mine, others
        Writes of the client, and of everybody else.
    owners
        Tells whose write it was.
    events
        Watch events by object.
    watched
        The pairs of resource (with group) and namespace of which every event was seen.
    """
    mine = list(mine)
    succeeded = [record for record in mine if record.succeeded]
    seen = set(watched)
    checked = [record for record in succeeded if (record.resource_group, record.namespace) in seen]
    whose = Counter(owners.of(record) for record in mine)
    attributed = [whose[name] for name in owners.names]
    return Writes(
        total=len(mine),
        failed=len(mine) - len(succeeded),
        per_object_max=max(attributed, default=0),
        per_object_mean=sum(attributed) / len(attributed) if attributed else 0.0,
        unattributed=whose[None],
        no_effect=_without_event(checked, others, events),
        # What is created always has an effect, watched or not.
        unverified=sum(record.verb != "create" for record in succeeded)
        - sum(record.verb != "create" for record in checked),
    )


def _without_event(
    mine: Iterable[Record], others: Iterable[Record], events: Mapping[Target, int]
) -> int:
    by_others = Counter(record.target for record in others if record.succeeded)
    silent = 0
    for target, count in Counter(record.target for record in mine).items():
        seen = events.get(target, 0) - by_others[target]
        silent += max(0, count - max(0, seen))
    return silent
