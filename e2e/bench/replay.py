"""The floor's requests, made of requests that the operator sent. Pure.

The operator's writes for one object are recorded with their bodies. The floor sends the same
writes under other names, as many of each sort as the operator sent in the measured run.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from e2e.bench.config import LOAD_NAMESPACE, TAPE_NAMESPACE
from e2e.bench.measure.audit import Record

Sort = tuple[str, str, str]  # verb, resource with group, subresource

_METHODS = {"create": "POST", "update": "PUT", "delete": "DELETE", "deletecollection": "DELETE"}


@dataclass(frozen=True)
class Request:
    """A write, ready to be sent."""

    method: str
    path: str
    content_type: str
    body: str

    def renamed(self, old: str, new: str) -> "Request":
        """Return the same write for an object of another name, in the load's namespace."""

        def rename(text: str) -> str:
            return text.replace(old, new).replace(TAPE_NAMESPACE, LOAD_NAMESPACE)

        return Request(self.method, rename(self.path), self.content_type, rename(self.body))


def sort_of(record: Record) -> Sort:
    """Return what kind of write a record is."""
    return record.verb, record.resource_group, record.subresource


def request_of(record: Record) -> Request:
    """Make a request of a record with a body."""
    return Request(
        _METHODS.get(record.verb, "PATCH"),
        record.uri,
        _content_type(record),
        json.dumps(_portable(record.body)) if record.body is not None else "",
    )


def chains(
    created: Request,
    recorded: Sequence[Record],
    counts: Mapping[Sort, int],
    *,
    old: str,
    names: Sequence[str],
) -> list[list[list[Request]]]:
    """Return for each name the writes of that object.

    Writes to one thing must follow each other and form a chain; chains may run side by side.

    Parameters
    ----------
    created
        Creates the object ``old``.
    recorded
        The operator's writes for the object ``old``.
    counts
        How many writes of each sort the operator sent for as many objects as there are names.
        They are spread evenly.
    old, names
        The name of the recorded object, and those that take its place.
    """
    objects = []
    for index, name in enumerate(names):
        wanted = {
            sort: (index + 1) * count // len(names) - index * count // len(names)
            for sort, count in counts.items()
        }
        by_target: dict[str, list[Request]] = {_target(created.path, created.body): [created]}
        for record in _choose(recorded, wanted):
            target = f"{record.resource_group}/{record.name}"
            by_target.setdefault(target, []).append(request_of(record))
        objects.append([[one.renamed(old, name) for one in chain] for chain in by_target.values()])
    return objects


def missing(recorded: Sequence[Record], counts: Mapping[Sort, int]) -> int:
    """Return how many writes cannot be replayed, because none of their sort was recorded."""
    known = {sort_of(record) for record in recorded}
    return sum(count for sort, count in counts.items() if sort not in known)


def _choose(recorded: Sequence[Record], wanted: Mapping[Sort, int]) -> list[Record]:
    """Take as many records of each sort as wanted: the last ones, and again when too few."""
    have = Counter(sort_of(record) for record in recorded)
    skip = Counter({sort: max(0, have[sort] - wanted.get(sort, 0)) for sort in have})
    chosen = []
    for record in recorded:
        sort = sort_of(record)
        if skip[sort] > 0:
            skip[sort] -= 1
        else:
            chosen.append(record)
    for sort, count in wanted.items():
        same = [record for record in recorded if sort_of(record) == sort]
        # Alternating bodies, where there are two: a repeated body would change nothing.
        chosen += [same[i % len(same)] for i in range(count - len(same))] if same else []
    return chosen


def _target(path: str, body: str) -> str:
    """Return the chain of the object's own create: the plural with its group, and its name."""
    parts = urlsplit(path).path.strip("/").split("/")
    group = parts[1] if parts[0] == "apis" else ""
    plural = f"{parts[-1]}.{group}" if group else parts[-1]
    return f"{plural}/{json.loads(body)['metadata']['name']}"


def _portable(body: Any) -> Any:
    """Leave out what ties a body to the object that it was written for."""
    if not isinstance(body, dict) or not isinstance(body.get("metadata"), dict):
        return body
    tied = {"ownerReferences", "resourceVersion", "uid", "managedFields"}
    metadata = {key: value for key, value in body["metadata"].items() if key not in tied}
    return {**body, "metadata": metadata}


def _content_type(record: Record) -> str:
    if record.verb == "apply":
        return "application/apply-patch+yaml"
    if record.verb != "patch":
        return "application/json"
    if isinstance(record.body, list):
        return "application/json-patch+json"
    # A whole object under a field manager can be an apply without force; a merge patch with the
    # same body costs the server about as much.
    query = parse_qs(urlsplit(record.uri).query)
    is_whole = isinstance(record.body, dict) and {"apiVersion", "kind"} <= set(record.body)
    if is_whole and "fieldManager" in query and not record.subresource:
        return "application/apply-patch+yaml"
    return "application/merge-patch+json"
