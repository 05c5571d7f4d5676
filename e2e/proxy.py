"""The proxy's OpenAI-compatible API, as client programs call it."""

import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from e2e.openwebui import PageError, call


@dataclass(frozen=True)
class Proxy:
    """A proxy's address, without `/v1`, and the key that one client has for it."""

    url: str
    key: str

    def models(self) -> list[str]:
        """Names that this key may list."""
        listed = call("GET", f"{self.url}/v1/models", token=self.key)["data"]
        return sorted(str(model["id"]) for model in listed)

    def chat(self, model: str, question: str, *, max_tokens: int = 32, **options: Any) -> Any:
        """Ask a question and return the whole answer.

        Raises
        ------
        PageError
            When the answer is not a success.
        """
        body = chat_body(model, question, max_tokens, options)
        return call("POST", f"{self.url}/v1/chat/completions", token=self.key, body=body)

    def says(self, model: str, question: str = "Say yes.") -> str:
        """Ask a question and return the answer's text."""
        return str(self.chat(model, question)["choices"][0]["message"]["content"])

    def refusal(self, model: str) -> int:
        """HTTP status with which a question is refused; 0 when it is answered."""
        try:
            self.chat(model, "Say yes.", max_tokens=1)
        except PageError as error:
            return error.status or 599
        return 0

    def embed(self, model: str, texts: list[str]) -> list[list[float]]:
        """Vectors of texts, in their order."""
        body = {"model": model, "input": texts}
        answer = call("POST", f"{self.url}/v1/embeddings", token=self.key, body=body)
        vectors = sorted(answer["data"], key=lambda item: int(item["index"]))
        return [item["embedding"] for item in vectors]


def chat_body(
    model: str, question: str, max_tokens: int, options: dict[str, Any]
) -> dict[str, Any]:
    """Body of a chat request, without chance in the answer."""
    messages = [{"role": "user", "content": question}]
    return {
        "model": model, "messages": messages, "max_tokens": max_tokens, "temperature": 0, **options
    }  # fmt: skip


class Stream:
    """A streamed answer that is read in the background from when this is made."""

    def __init__(
        self, proxy: Proxy, model: str, question: str, *, max_tokens: int = 32, **options: Any
    ) -> None:
        options = {"stream": True, "stream_options": {"include_usage": True}, **options}
        data = json.dumps(chat_body(model, question, max_tokens, options)).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {proxy.key}"}
        self._request = urllib.request.Request(
            f"{proxy.url}/v1/chat/completions", data, headers, method="POST"
        )
        self.lines: list[str] = []
        self.content_type = ""
        self.error = ""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(self._request, timeout=120) as answer:
                self.content_type = answer.headers.get_content_type()
                for line in answer:
                    if text := line.decode().strip():
                        self.lines.append(text.removeprefix("data: "))
        except Exception as error:  # noqa: BLE001 - told by the reader's test
            self.error = f"{type(error).__name__}: {error}"

    @property
    def running(self) -> bool:
        """Whether more may come."""
        return self._thread.is_alive()

    def finish(self, seconds: float = 120) -> None:
        """Wait for the end of the answer."""
        self._thread.join(seconds)

    @property
    def complete(self) -> bool:
        """Whether the answer came to its proper end."""
        return not self.running and not self.error and self.lines[-1:] == ["[DONE]"]

    @property
    def chunks(self) -> list[dict[str, Any]]:
        """What came before `[DONE]`."""
        return [json.loads(line) for line in self.lines if line != "[DONE]"]

    @property
    def text(self) -> str:
        """The answer's text so far."""
        choices = [choice for chunk in self.chunks for choice in chunk["choices"]]
        return "".join(choice["delta"].get("content") or "" for choice in choices)


@dataclass
class Poll:
    """Answers to a question that is asked again and again."""

    answered: int = 0
    failures: list[str] = field(default_factory=list)


@contextmanager
def asked_all_the_time(proxy: Proxy, model: str, every: float = 0.5) -> Iterator[Poll]:
    """Ask while the context is open; the last answer is waited for."""
    poll, stop = Poll(), threading.Event()

    def ask() -> None:
        while not stop.wait(every):
            began = time.strftime("%H:%M:%S")
            try:
                proxy.chat(model, "Say yes.", max_tokens=4)
                poll.answered += 1
            except PageError as error:
                poll.failures.append(f"{began} {error}")

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield poll
    finally:
        stop.set()
        thread.join()
