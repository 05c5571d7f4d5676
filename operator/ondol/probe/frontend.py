"""What a user of a chat frontend sees."""

import aiohttp

from ondol.probe.http import ask


async def sign_in(session: aiohttp.ClientSession, url: str, email: str, password: str) -> str:
    """Sign in to Open WebUI and return the session's token.

    Raises
    ------
    ProbeError
        When the page does not answer or refuses.
    """
    answer = await ask(
        session,
        "POST",
        f"{url}/api/v1/auths/signin",
        body={"email": email, "password": password},
    )
    return str(answer["token"])


async def listed_models(session: aiohttp.ClientSession, url: str, token: str) -> frozenset[str]:
    """Names in the page's model list.

    Raises
    ------
    ProbeError
        When the page does not answer or refuses.
    """
    answer = await ask(session, "GET", f"{url}/api/models", bearer=token)
    return frozenset(str(model["id"]) for model in answer["data"])
