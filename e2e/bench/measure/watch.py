"""Watch streams whose events are stamped when they arrive.

A watch line is decoded only after the measurement: decoding would take time from the operator,
which shares the machine.
"""

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import aiohttp

from e2e.bench.config import Kind

_RESUMES = 100
_ADDED = b'{"type":"ADDED"'


class WatchError(RuntimeError):
    """A stream ended early or told of an error: the measurement is void."""


@dataclass(frozen=True)
class Event:
    """One watch event; ``at`` is of `time.perf_counter`, when the bytes arrived."""

    at: float
    type: str
    name: str


class Stream:
    """One kind in one namespace, from now on.

    The server ends a watch that it could not serve for a tenth of a second, which happens on a
    busy machine. The stream goes on behind the last event, so that none is lost.
    """

    def __init__(self, session: aiohttp.ClientSession, kind: Kind, namespace: str) -> None:
        self.kind = kind
        self.namespace = namespace
        self.added = 0
        self.resumed = 0
        self._session = session
        self._lines: list[tuple[float, bytes]] = []
        self._version = ""
        self._task: asyncio.Task[None] | None = None

    @property
    def resource_group(self) -> str:
        """``plural.group``, or ``plural`` for the core group."""
        return self.kind.resource_group

    async def open(self) -> None:
        """Return when the server has accepted the watch.

        Raises
        ------
        WatchError
            When it does not.
        """
        path = self.kind.path(self.namespace)
        async with self._session.get(path, params={"limit": "1"}) as response:
            found = await response.json()
        if response.status != 200:
            raise WatchError(f"{self.kind.plural}: {response.status} {found}")
        self._version = found["metadata"]["resourceVersion"]
        self._task = asyncio.create_task(self._read(await self._connect()))

    async def close(self) -> None:
        """End the stream."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def check(self) -> None:
        """Raise what went wrong.

        Raises
        ------
        WatchError
            When the stream has ended.
        """
        if self._task is not None and self._task.done():
            raise WatchError(f"the watch of {self.kind.plural} ended") from self._task.exception()

    def events(self) -> list[Event]:
        """Decode what has arrived.

        Raises
        ------
        WatchError
            When the server sent an error.
        """
        return [parse_line(at, line) for at, line in self._lines]

    async def _connect(self) -> aiohttp.ClientResponse:
        response = await self._session.get(
            self.kind.path(self.namespace),
            params={"watch": "1", "timeoutSeconds": "7200", "resourceVersion": self._version},
        )
        if response.status != 200:
            raise WatchError(f"{self.kind.plural}: {response.status} {await response.text()}")
        return response

    async def _read(self, response: aiohttp.ClientResponse) -> None:
        while self.resumed < _RESUMES:
            with contextlib.suppress(aiohttp.ClientPayloadError):  # it ended within a line
                await self._read_one(response)
            if self._lines:
                self._version = version_of(self._lines[-1][1])
            self.resumed += 1
            response = await self._connect()

    async def _read_one(self, response: aiohttp.ClientResponse) -> None:
        rest = b""
        async with response:
            async for chunk in response.content.iter_any():
                now = time.perf_counter()
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._lines.append((now, line))
                    self.added += line.startswith(_ADDED)


def version_of(line: bytes) -> str:
    """Return the resource version of a watch line.

    Raises
    ------
    WatchError
        When it is an error: a stream cannot go on behind it.
    """
    event = json.loads(line)
    if event["type"] == "ERROR":
        raise WatchError(str(event["object"].get("message", event["object"])))
    return str(event["object"]["metadata"]["resourceVersion"])


def parse_line(at: float, line: bytes) -> Event:
    """Decode one line of a watch.

    Raises
    ------
    WatchError
        When it is an error.
    """
    event = json.loads(line)
    if event["type"] == "ERROR":
        raise WatchError(str(event["object"].get("message", event["object"])))
    return Event(at, event["type"], event["object"]["metadata"]["name"])


@dataclass
class Arrivals:
    """When the things of each object were there, and how often each changed."""

    first: dict[tuple[str, str], float] = field(default_factory=dict)  # (resource, name)
    count: Counter[tuple[str, str, str]] = field(default_factory=Counter)


def arrivals(streams: Sequence[Stream]) -> Arrivals:
    """Gather the events of streams."""
    found = Arrivals()
    for stream in streams:
        for event in stream.events():
            found.count[stream.resource_group, stream.namespace, event.name] += 1
            if event.type == "ADDED":
                found.first.setdefault((stream.resource_group, event.name), event.at)
    return found


def latencies(
    sent: Mapping[str, float],
    children: Mapping[str, Sequence[tuple[str, str]]],
    first: Mapping[tuple[str, str], float],
) -> dict[str, float]:
    """Return seconds from sending each object to its last child; incomplete ones are left out."""
    return {
        name: max(first[child] for child in children[name]) - at
        for name, at in sent.items()
        if all(child in first for child in children[name])
    }
