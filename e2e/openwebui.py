"""Open WebUI over HTTP, as its page talks to it."""

import json
import urllib.error
import urllib.request
from typing import Any


class PageError(Exception):
    """The other side did not answer as it should.

    Attributes
    ----------
    status
        HTTP status of the refusal, 0 when there was no answer.
    """

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


def call(method: str, url: str, *, token: str = "", body: Any = None, seconds: float = 120) -> Any:
    """Send a JSON request and return the JSON answer.

    Raises
    ------
    PageError
        When there is no answer or one that is not a success.
    """
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)
    # Proxies of the environment are for the world outside.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=seconds) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        text = error.read(500).decode(errors="replace")
        raise PageError(f"{method} {url}: {error.code} {text}", error.code) from error
    except (OSError, ValueError) as error:
        raise PageError(f"{method} {url}: {error}") from error


def sign_in(url: str, email: str, password: str) -> str:
    """Sign in and return the session's token."""
    answer = call("POST", f"{url}/api/v1/auths/signin", body={"email": email, "password": password})
    return str(answer["token"])


def models(url: str, token: str) -> list[str]:
    """Names in the page's model list."""
    return sorted(model["id"] for model in call("GET", f"{url}/api/models", token=token)["data"])


def ask(url: str, token: str, model: str, question: str) -> str:
    """Ask a question as the page does and return the answer's text."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": question}],
        "stream": False,
        "temperature": 0,
        "max_tokens": 48,
    }
    answer = call("POST", f"{url}/api/chat/completions", token=token, body=body)
    return str(answer["choices"][0]["message"]["content"])
