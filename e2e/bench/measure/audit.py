"""Lines of the API server's audit log as records, and a reader that follows the log."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

_WRITES = frozenset({"create", "update", "patch", "apply", "delete", "deletecollection"})


@dataclass(frozen=True, slots=True)
class Record:
    """One request that was answered. Times are seconds since the epoch."""

    received: float
    done: float
    verb: str  # the audit log's verb, but `apply` for a server-side apply with `force`
    user: str
    agent: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int
    uri: str
    body: Any = None  # only in a log of level Request

    @property
    def is_write(self) -> bool:
        """Whether the request asks for a change, be it granted or not."""
        return self.verb in _WRITES

    @property
    def succeeded(self) -> bool:
        """Whether the answer was a 2xx."""
        return 200 <= self.code < 300

    @property
    def resource_group(self) -> str:
        """``plural.group``, or ``plural`` for the core group."""
        return f"{self.resource}.{self.group}" if self.group else self.resource

    @property
    def target(self) -> tuple[str, str, str]:
        """Which object it was about: resource with group, namespace, name."""
        return self.resource_group, self.namespace, self.name


def parse_line(line: str | bytes) -> Record | None:
    """Make a record of a line; None when it tells of no answered request about a resource.

    Raises
    ------
    ValueError
        When the line is not JSON.
    """
    event = json.loads(line)
    if event.get("stage") != "ResponseComplete" or "objectRef" not in event:
        return None
    ref = event["objectRef"]
    uri = event["requestURI"]
    return Record(
        received=_seconds(event["requestReceivedTimestamp"]),
        done=_seconds(event["stageTimestamp"]),
        verb=_verb(event["verb"], uri),
        user=event.get("user", {}).get("username", ""),
        agent=event.get("userAgent", ""),
        group=ref.get("apiGroup", ""),
        resource=ref.get("resource", ""),
        subresource=ref.get("subresource", ""),
        namespace=ref.get("namespace", ""),
        name=ref.get("name", ""),
        code=event.get("responseStatus", {}).get("code", 0),
        uri=uri,
        body=event.get("requestObject"),
    )


class AuditLog:
    """Follows an audit log and keeps the records that one client caused, and others' writes."""

    def __init__(self, path: Path, is_mine: Callable[[Record], bool]) -> None:
        self._path = path
        self._is_mine = is_mine
        self._offset = 0
        self._rest = b""
        self.mine: list[Record] = []
        self.others_writes: list[Record] = []

    def read(self) -> None:
        """Read what was written since the last call."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            chunk = file.read()
        self._offset += len(chunk)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            record = parse_line(line) if line else None
            if record is None:
                continue
            if self._is_mine(record):
                self.mine.append(record)
            elif record.is_write:
                self.others_writes.append(record)


def recogniser(user: str, agent: str) -> Callable[[Record], bool]:
    """Return a test for one client's requests: by user agent (its start) or else by user name."""
    if agent:
        return lambda record: record.agent.startswith(agent)
    return lambda record: record.user == user


def count_by_verb(records: Iterable[Record]) -> Counter[str]:
    """Count requests by verb."""
    return Counter(record.verb for record in records)


def count_in_detail(records: Iterable[Record]) -> Counter[str]:
    """Count requests by verb, resource and subresource, as in ``apply secrets``."""
    details: Counter[str] = Counter()
    for record in records:
        suffix = f"/{record.subresource}" if record.subresource else ""
        failed = "" if record.code < 400 else f" -> {record.code}"
        details[f"{record.verb} {record.resource_group}{suffix}{failed}"] += 1
    return details


def _verb(verb: str, uri: str) -> str:
    # The log calls every kind of patch a patch and leaves the content type out. The server refuses
    # `force`, true or false, with anything but an apply; an apply may do without it, and then
    # stays a patch here.
    if verb == "patch" and "force" in parse_qs(urlsplit(uri).query):
        return "apply"
    return verb


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()
