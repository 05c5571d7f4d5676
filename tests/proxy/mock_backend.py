"""A small OpenAI-compatible backend of the standard library, run in a thread of the test process.

It remembers the `Authorization` of each request. A model called `slow-<n>` streams one chunk each
100 ms for n chunks, any other answers at once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

CHUNK_SECONDS = 0.1


class Backend(ThreadingHTTPServer):
    """The server; `seen` holds (model, Authorization) of every request."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        """The base URL for LiteLLM."""
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Backend

    def do_POST(self) -> None:
        """Answer chat completions and embeddings."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        model = str(body["model"])
        self.server.seen.append((model, self.headers.get("authorization", "")))
        if self.path.endswith("/embeddings"):
            data = [{"object": "embedding", "index": 0, "embedding": [0.5]}]
            self._json({"object": "list", "model": model, "data": data, "usage": _USAGE})
        elif body.get("stream"):
            self._stream(model)
        else:
            message = {"role": "assistant", "content": model}
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            self._json({**_head(model, "chat.completion"), "choices": [choice], "usage": _USAGE})

    def _json(self, answer: object) -> None:
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, model: str) -> None:
        slow = model.startswith("slow-")
        count = int(model.removeprefix("slow-")) if slow else 3
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        for number in range(count):
            choice: dict[str, Any] = {"index": 0, "delta": {"content": f"{number} "}}
            choice["finish_reason"] = None if number + 1 < count else "stop"
            chunk = {**_head(model, "chat.completion.chunk"), "choices": [choice]}
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
            self.wfile.flush()
            time.sleep(CHUNK_SECONDS if slow else 0)  # the pace of the stream, not a wait
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


_USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}


def _head(model: str, kind: str) -> dict[str, Any]:
    return {"id": "chat-1", "object": kind, "created": 1, "model": model}


@contextmanager
def backend() -> Iterator[Backend]:
    """A running backend."""
    server = Backend()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
