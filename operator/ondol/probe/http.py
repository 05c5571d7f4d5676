"""One bounded HTTP request that answers JSON."""

from typing import Any

import aiohttp

TIMEOUT = aiohttp.ClientTimeout(total=10)


class ProbeError(Exception):
    """The other side did not answer as it should; the text says how."""


async def ask(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    *,
    bearer: str = "",
    body: dict[str, Any] | None = None,
) -> Any:
    """Send a request and read its JSON answer.

    Raises
    ------
    ProbeError
        When there is no answer within 10 s, or one that is not a success or not JSON. The text
        has no key in it.
    """
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    try:
        async with session.request(
            method, url, headers=headers, json=body, timeout=TIMEOUT
        ) as response:
            if response.status != 200:
                raise ProbeError(f"{url} answered {response.status}")
            return await response.json(content_type=None)
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
        raise ProbeError(f"{url}: {type(error).__name__} {error}".strip()) from error
