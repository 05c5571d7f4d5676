"""A streamed chat completion, read in a thread."""

from __future__ import annotations

import json
import threading
from http.client import HTTPConnection

from tests.proxy.harness import MASTER_KEY, Proxy


class Stream:
    """A running stream of `name`; `parts` grows as its chunks come."""

    def __init__(self, proxy: Proxy, name: str) -> None:
        self.parts: list[str] = []
        self.complete = False
        self._first = threading.Event()
        self._connection = HTTPConnection("127.0.0.1", proxy.port, timeout=60)
        messages = [{"role": "user", "content": "hi"}]
        self._body = json.dumps({"model": name, "stream": True, "messages": messages})
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        assert self._first.wait(30), "the stream did not begin"

    def _read(self) -> None:
        headers = {"authorization": f"Bearer {MASTER_KEY}", "content-type": "application/json"}
        self._connection.request("POST", "/v1/chat/completions", self._body, headers)
        for line in self._connection.getresponse():
            text = line.decode().strip()
            if text == "data: [DONE]":
                self.complete = True
            elif text.startswith("data: "):
                choices = json.loads(text.removeprefix("data: ")).get("choices") or [{}]
                part = choices[0].get("delta", {}).get("content")
                self.parts += [part] if part else []
                self._first.set()

    def finish(self) -> str:
        """Wait for the end of the stream; its text. Raises `AssertionError` when it was cut."""
        self._thread.join(60)
        assert self.complete, f"the stream was cut after {len(self.parts)} chunks"
        return "".join(self.parts)
