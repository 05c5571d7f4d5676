"""Does in the master, once, what LiteLLM would do at a worker's first requests.

Some 120 modules are imported late and FastAPI builds its routes when they are first matched:
0.3 to 0.8 s for the first user of each new worker. Done before the fork it costs a worker nothing
and its memory is shared.
"""

from __future__ import annotations

import contextlib
import importlib
from typing import Any

_LATE_MODULES = (
    "anyio._backends._asyncio",
    "litellm.integrations.otel.logger",
    "litellm.integrations.otel.presets",
    "litellm.integrations.shadow_eval_logger",
    "litellm.integrations.websearch_interception.handler",
    "litellm.litellm_core_utils.default_encoding",
    "litellm.llms.hosted_vllm.embedding.transformation",
    "litellm.llms.vertex_ai.vertex_ai_partner_models.anthropic.transformation",
    "litellm.proxy._experimental.mcp_server.auth.user_api_key_auth_mcp",
    "litellm.proxy._experimental.mcp_server.mcp_debug",
    "litellm.proxy._experimental.mcp_server.mcp_server_manager",
    "litellm.proxy._experimental.mcp_server.outbound_credentials.bridge_credentials",
    "litellm.types.litellm_core_utils.streaming_chunk_builder_utils",
    "litellm.types.proxy.litellm_pre_call_utils",
    "prometheus_client.asgi",
)
"""Best effort: a name that another version of LiteLLM does not have costs time, nothing else."""

_FIRST_PATHS = (
    ("GET", "/health/liveliness"),
    ("GET", "/health/readiness"),
    ("GET", "/v1/models"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/completions"),
    ("POST", "/v1/embeddings"),
    ("POST", "/v1/rerank"),
)


def prepare(app: Any) -> None:
    """Import late modules and build the routes of the usual paths. Never raises for either."""
    for name in _LATE_MODULES:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    for method, path in _FIRST_PATHS:
        with contextlib.suppress(Exception):
            _match(app, method, path)


def _match(app: Any, method: str, path: str) -> None:
    """Match a request as the router does: in order, up to the first route that takes it."""
    from starlette.routing import Match  # noqa: PLC0415 - late, like the rest

    scope = {"type": "http", "method": method, "path": path, "root_path": "", "headers": []}
    for route in app.router.routes:
        if route.matches({**scope, "app": app})[0] is Match.FULL:
            return
