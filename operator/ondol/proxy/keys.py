"""Who may call which model: LiteLLM's `general_settings.custom_auth: keys.user_api_key_auth`.

`keys.json` maps the SHA-256 of a key to its name and its models; the keys themselves are nowhere.
The file is read again when it changes, without a reload.

LiteLLM without a database asks this function and nothing else: it filters the listing by the
models that the function returns and does not enforce them on a call. So the function itself looks
at every place of a request that can name a model (body, query, path and the request's own
fallbacks), and lets keys that are not admin use a fixed set of API paths.

An unknown key is answered with 401, a model or a path that a known key may not use with 403: for
OpenAI's clients 401 means that the key is wrong (`AuthenticationError`), 403 that it is right and
not enough (`PermissionDeniedError`), and they retry neither. The answer is the same whether the
model exists or not.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import HTTPException, Request
from litellm.proxy._types import LitellmUserRoles, UserAPIKeyAuth
from litellm.proxy.common_utils.http_parsing_utils import read_request_body
from proxy_settings import load_settings

_LISTING_PATHS = re.compile(r"(/v1)?/models(/(?P<model>.+))?")
_CALL_PATHS = re.compile(
    r"(/v1)?/(chat/completions|completions|embeddings|rerank|responses|moderations"
    r"|audio/(transcriptions|translations|speech)|images/(generations|edits)"
    r"|messages(/count_tokens)?)"
    r"|/v2/rerank"
    r"|/(engines|openai/deployments)/(?P<model>.+?)"
    r"/(chat/completions|completions|embeddings|images/(generations|edits)"
    r"|audio/(transcriptions|speech))"
)
_UPLOAD_PATHS = re.compile(r"/(audio/(transcriptions|translations)|images/edits)$")
_FALLBACKS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
_DEEPEST_FALLBACK = 10

log = logging.getLogger("ondol.proxy.keys")


@dataclass(frozen=True)
class Key:
    """What a key may do."""

    name: str
    models: frozenset[str]
    admin: bool = False

    def allows(self, model: str) -> bool:
        """Whether the key may call `model`."""
        return self.admin or "*" in self.models or model in self.models


class KeyFile:
    """The keys by the hash of each, read again when the file changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark: tuple[int, int, int] | None = None
        self._keys: Mapping[str, Key] = {}

    def get(self, digest: str) -> Key | None:
        """The key with this SHA-256 (hexadecimal), if there is one."""
        self._refresh()
        return self._keys.get(digest)

    def _refresh(self) -> None:
        """Read the file if it changed.

        A file that cannot be read leaves the keys as they were: a mistake in it must not lock
        everybody out.
        """
        try:
            stat = self._path.stat()
            mark = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if mark == self._mark:
                return
            self._keys = _parse(self._path.read_bytes())
            self._mark = mark
        except FileNotFoundError:
            self._complain("is not mounted", None)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            self._complain("cannot be read", mark)

    def _complain(self, what: str, mark: tuple[int, int, int] | None) -> None:
        """Log once for each state of the file, without its content."""
        if mark != self._mark or (mark is None and self._keys):
            log.error("%s %s; the keys of before stay", self._path.name, what)
        self._mark = mark


_keys = KeyFile(load_settings().keys_file)


async def user_api_key_auth(request: Request, api_key: str) -> UserAPIKeyAuth:
    """Tell LiteLLM who calls.

    Raises `HTTPException`: 401 for a key that is missing or unknown, 400 for a call without a
    model, 415 for a body of another kind, 403 for a model or a path that the key may not use.
    """
    if not api_key:
        raise HTTPException(401, "No API key was given (Authorization: Bearer ...).")
    digest = hashlib.sha256(api_key.encode()).hexdigest()
    key = Key("master", frozenset(), admin=True) if _is_master(api_key) else _keys.get(digest)
    if key is None:
        raise HTTPException(401, "The API key is not known.")
    if not key.admin:
        await _authorize(request, key)
    return _identity(key, digest)


def _is_master(api_key: str) -> bool:
    master = os.environ.get("LITELLM_MASTER_KEY", "")
    return bool(master) and hmac.compare_digest(api_key.encode(), master.encode())


async def _authorize(request: Request, key: Key) -> None:
    """Raise `HTTPException` unless the key may make this request."""
    path = request.url.path
    if listing := _LISTING_PATHS.fullmatch(path):
        names = [listing["model"]] if listing["model"] else []
        allowed = request.method == "GET"
    else:
        call = _CALL_PATHS.fullmatch(path)
        allowed = call is not None and request.method == "POST"
        names = [] if call is None or not allowed else await _named_models(request, call["model"])
        if allowed and not names:
            raise HTTPException(400, "The request names no model.")
    if not allowed:
        raise HTTPException(403, f"The API key may not use {request.method} {path}.")
    for name in names:
        if not key.allows(name):
            raise HTTPException(403, f"The API key may not use the model {name!r}.")


async def _named_models(request: Request, from_path: str | None) -> list[str]:
    """Every model that a call names, wherever LiteLLM may take it from.

    `?model=` is one of the places: the handlers that serve `/engines/{model}/...` read it as a
    query parameter on the paths without it, and prefer it to the body.
    """
    body = await _body(request)
    values: list[object] = [from_path, body.get("target_model_names")]
    values += (value for name, value in body.items() if name.split("[")[0] == "model")
    values += request.query_params.getlist("model")
    values.append(request.headers.get("x-litellm-model"))
    values += (part.get("model") for part in body.values() if isinstance(part, dict))
    override = body.get("router_settings_override")
    for source in (body, override if isinstance(override, dict) else {}):
        for field in _FALLBACKS:
            values += _fallback_models(source.get(field), 0)
    return [name for value in values for name in _names(value)]


async def _body(request: Request) -> dict[str, Any]:
    """The request's body as LiteLLM's handlers see it. Raises `HTTPException` (415).

    Some handlers parse the bytes as JSON whatever the content type says, so a form is only taken
    where an upload belongs: what is checked here must be what is served.
    """
    kind = request.headers.get("content-type", "application/json").split(";")[0].strip().lower()
    if kind == "application/json":
        body = await read_request_body(request)
        return body if isinstance(body, dict) else {}
    if kind != "multipart/form-data" or not _UPLOAD_PATHS.search(request.url.path):
        raise HTTPException(415, "The body must be application/json.")
    fields: dict[str, Any] = {}
    for name, value in (await request.form()).multi_items():
        fields.setdefault(name, []).append(value)
    return fields


def _names(value: object) -> Iterator[str]:
    """The models in one value: a name, a list of names, or names with commas between."""
    if isinstance(value, str) and value:
        yield value
        parts = [part.strip() for part in value.split(",")]
        yield from (part for part in parts if part and part != value)
    elif isinstance(value, list):
        for part in value:
            yield from _names(part)


def _fallback_models(value: object, depth: int) -> Iterator[str]:
    """The models that a request's own fallbacks name, at any depth.

    A fallback is a string, `{"model": ...}` or `{"a": ["b"]}`. Raises `HTTPException` (400) when
    they nest too deep.
    """
    if depth > _DEEPEST_FALLBACK:
        raise HTTPException(400, "The fallbacks nest too deep.")
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from _fallback_models(part, depth + 1)
    elif isinstance(value, dict):
        if isinstance(value.get("model"), str):
            yield value["model"]
            for field in _FALLBACKS:
                yield from _fallback_models(value.get(field), depth + 1)
        else:
            for part in value.values():
                yield from _fallback_models(part, depth + 1)


def _identity(key: Key, digest: str) -> UserAPIKeyAuth:
    """What LiteLLM is told; its listing shows `models`, and everything when that is empty."""
    everything = key.admin or "*" in key.models
    return UserAPIKeyAuth(
        api_key=digest,
        key_alias=key.name,
        user_id=key.name,
        models=[] if everything else sorted(key.models) or ["no-default-models"],
        user_role=LitellmUserRoles.PROXY_ADMIN if key.admin else LitellmUserRoles.INTERNAL_USER,
    )


def _parse(data: bytes) -> dict[str, Key]:
    """The keys in the file. Raises `ValueError`, `TypeError`, `KeyError` or `AttributeError`."""
    entries: dict[str, dict[str, Any]] = json.loads(data)
    return {
        digest.lower(): Key(
            name=str(entry["name"]),
            models=frozenset(map(str, entry["models"])),
            admin=entry.get("admin") is True,
        )
        for digest, entry in entries.items()
    }
