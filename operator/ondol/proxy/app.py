"""The ASGI application: LiteLLM's, with `/ondol/status` in front.

A worker without a config (nothing that loads is mounted yet) answers 503 to everything but the
status, so that the pod is not ready and can still say why.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import asdict
from typing import Any

import proxy_state
from litellm.proxy.proxy_server import app as litellm_app
from proxy_settings import load_settings
from proxy_state import StateFile
from proxy_warmup import prepare

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_STATUS_PATH = "/ondol/status"
_state_file = StateFile(load_settings().run_dir / "state.json")
prepare(litellm_app)  # this module is imported by the master, before it forks


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI entry point that gunicorn is given."""
    waiting = proxy_state.serving.config is None
    if scope["type"] == "http" and scope["path"] == _STATUS_PATH:
        await _answer(send, 200, asdict(_state_file.read()))
    elif not waiting:
        await litellm_app(scope, receive, send)
    elif scope["type"] == "lifespan":
        await _wait_for_shutdown(receive, send)
    elif scope["type"] == "http":
        error = {"message": "The proxy has no config yet.", "type": "server_error", "code": "503"}
        await _answer(send, 503, {"error": error})
    else:
        await send({"type": "websocket.close", "code": 1013})


async def _wait_for_shutdown(receive: Receive, send: Send) -> None:
    """The lifespan of a worker that has nothing to start."""
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


async def _answer(send: Send, code: int, body: object) -> None:
    """Send a JSON answer."""
    data = json.dumps(body).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(data)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": code, "headers": headers})
    await send({"type": "http.response.body", "body": data})
