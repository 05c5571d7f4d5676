"""What a proxy pod serves now."""

import asyncio
from dataclasses import dataclass

import aiohttp

from ondol.probe.http import ProbeError, ask

PORT = 8000


@dataclass(frozen=True)
class PodAnswer:
    """What one proxy pod says.

    Attributes
    ----------
    hash
        Hash of the config that it serves.
    names
        Public names that it lists.
    error
        Why it does not serve the newest config it was given, or why it did not answer.
    answered
        Whether it answered at all.
    """

    hash: str
    names: frozenset[str]
    error: str = ""
    answered: bool = True


async def ask_pod(session: aiohttp.ClientSession, address: str, key: str) -> PodAnswer:
    """Ask one pod for its config and its models; never raises for a pod that does not answer."""
    base = f"http://{_host(address)}:{PORT}"
    try:
        status = await ask(session, "GET", f"{base}/ondol/status")
        models = await ask(session, "GET", f"{base}/v1/models", bearer=key)
        names = frozenset(str(model["id"]) for model in models["data"])
        return PodAnswer(str(status["hash"]), names, str(status.get("error", "")))
    except (ProbeError, KeyError, TypeError) as error:
        return PodAnswer("", frozenset(), f"a pod does not answer: {error}", answered=False)


async def ask_pods(
    session: aiohttp.ClientSession, addresses: list[str], key: str
) -> list[PodAnswer]:
    """Ask all pods at once."""
    return list(await asyncio.gather(*(ask_pod(session, a, key) for a in addresses)))


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
