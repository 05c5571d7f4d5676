"""Creates objects, many at a time."""

import asyncio
import json
import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp


class LoadError(RuntimeError):
    """The API server refused a request of the benchmark itself."""


def client(
    url: str, ca: Path, token: str, *, connections: int, agent: str
) -> aiohttp.ClientSession:
    """Return a session whose paths are relative to the API server; must be closed."""
    return aiohttp.ClientSession(
        base_url=url,
        connector=aiohttp.TCPConnector(
            ssl=ssl.create_default_context(cafile=str(ca)), limit=connections
        ),
        headers={"Authorization": f"Bearer {token}", "User-Agent": agent},
        timeout=aiohttp.ClientTimeout(total=None, connect=10),
    )


async def create(
    session: aiohttp.ClientSession,
    path: str,
    items: Mapping[str, Mapping[str, Any]],
    concurrency: int,
) -> dict[str, float]:
    """Create objects and return when each request was sent (`time.perf_counter`).

    Raises
    ------
    LoadError
        When one is refused.
    """
    bodies = [(name, json.dumps(item).encode()) for name, item in items.items()]
    sent: dict[str, float] = {}
    queue = iter(bodies)

    async def worker() -> None:
        for name, body in queue:
            sent[name] = time.perf_counter()
            await send(session, "POST", path, body)

    await asyncio.gather(*(worker() for _ in range(min(concurrency, len(bodies)))))
    return sent


async def send(
    session: aiohttp.ClientSession,
    method: str,
    path: str,
    body: bytes | None,
    content_type: str = "application/json",
) -> None:
    """Send one request and read its answer.

    Raises
    ------
    LoadError
        When the answer is no 2xx.
    """
    headers = {"Content-Type": content_type, "Accept": "application/json"}
    async with session.request(method, path, data=body, headers=headers) as response:
        text = await response.read()
        if response.status >= 300:
            raise LoadError(f"{method} {path}: {response.status} {text[:500].decode()}")
