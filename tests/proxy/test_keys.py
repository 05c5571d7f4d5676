"""Which key may do what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.proxy.harness import MASTER_KEY, Proxy, eventually, model
from tests.proxy.mock_backend import Backend

pytestmark = pytest.mark.litellm

KEYS = {"sk-chat": ["chat"], "sk-all": ["*"], "sk-none": []}


@pytest.fixture(scope="module")
def proxy(make_proxy: Callable[..., Proxy], engine: Backend) -> Proxy:
    """A proxy with two models and three keys."""
    made = make_proxy()
    made.write_config(model("chat", engine.url), model("other", engine.url), hash_="h")
    made.write_keys(KEYS)
    made.start()
    made.serves("h")
    return made


@pytest.mark.parametrize("key", [None, "sk-unknown", "chat", "Sk-chat"])
def test_unknown_and_missing_keys_get_401(proxy: Proxy, key: str | None) -> None:
    code, answer = proxy.chat("chat", key=key)
    assert code == 401
    assert {"message", "type", "code"} <= answer["error"].keys()


@pytest.mark.parametrize(
    ("key", "name", "code"),
    [
        ("sk-chat", "chat", 200),
        ("sk-chat", "other", 403),
        ("sk-chat", "no-such-model", 403),
        ("sk-all", "other", 200),
        ("sk-none", "chat", 403),
        (MASTER_KEY, "other", 200),
    ],
)
def test_a_key_may_call_its_models(proxy: Proxy, key: str, name: str, code: int) -> None:
    assert proxy.chat(name, key=key)[0] == code


@pytest.mark.parametrize(
    "extra",
    [
        {"fallbacks": ["other"]},
        {"fallbacks": [{"model": "other"}]},
        {"fallbacks": [{"chat": ["other"]}]},
        {"context_window_fallbacks": [{"chat": ["other"]}]},
        {"router_settings_override": {"fallbacks": [{"chat": ["other"]}]}},
        {"model": "chat,other"},
        {"model": ["chat", "other"]},
        {"model": "id-other"},
    ],
    ids=str,
)
def test_no_field_of_the_body_escapes_the_list(proxy: Proxy, extra: dict[str, Any]) -> None:
    code, answer = proxy.chat("chat", key="sk-chat", **extra)
    assert code == 403, answer


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("POST", "/v1/chat/completions?model=other", 403),
        ("POST", "/engines/other/chat/completions", 403),
        ("POST", "/openai/deployments/other/chat/completions", 403),
        ("POST", "/v1/embeddings?model=other", 403),
        ("GET", "/v1/models/other", 403),
        ("GET", "/v1/models/chat", 200),
        ("GET", "/health", 403),
        ("GET", "/model/info", 403),
        ("POST", "/key/generate", 403),
        ("GET", "/config/yaml", 403),
        ("POST", "/openai/v1/chat/completions", 403),
    ],
)
def test_no_other_path_escapes_the_list(proxy: Proxy, method: str, path: str, code: int) -> None:
    body = {"model": "chat", "messages": [], "input": "x"} if method == "POST" else None
    assert proxy.request(method, path, body, key="sk-chat")[0] == code


def test_a_form_that_is_also_json_is_refused(proxy: Proxy, engine: Backend) -> None:
    before = len(engine.seen)
    body = '{"model": "other", "input": "&model=chat&"}'
    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert proxy.request("POST", "/v1/embeddings", body, "sk-chat", **kind)[0] == 415
    assert len(engine.seen) == before


def test_a_call_without_a_model_gets_400(proxy: Proxy) -> None:
    assert proxy.request("POST", "/v1/chat/completions", {"messages": []}, "sk-chat")[0] == 400


@pytest.mark.parametrize(
    ("key", "expected"),
    [("sk-chat", {"chat"}), ("sk-all", {"chat", "other"}), ("sk-none", set())],
)
def test_the_listing_shows_what_a_key_may_use(proxy: Proxy, key: str, expected: set[str]) -> None:
    assert proxy.models(key) == expected


def test_other_headers_carry_a_key_too(proxy: Proxy) -> None:
    body = {"model": "other", "messages": []}
    for header in ("x-api-key", "api-key", "x-litellm-api-key"):
        headers = {header: "sk-chat"}
        assert proxy.request("POST", "/v1/chat/completions", body, None, **headers)[0] == 403


def test_keys_change_without_a_reload(proxy: Proxy) -> None:
    workers = proxy.workers()
    proxy.write_keys(KEYS | {"sk-new": ["other"]})
    assert proxy.chat("other", key="sk-new")[0] == 200
    proxy.write_keys(KEYS)
    assert proxy.chat("other", key="sk-new")[0] == 401
    assert (proxy.workers(), proxy.status()["reloads"]) == (workers, 0)


def test_a_broken_key_file_locks_nobody_out(proxy: Proxy) -> None:
    proxy.keys.replace({"keys.json": '{"a": '})
    assert proxy.chat("chat", key="sk-chat")[0] == 200
    proxy.write_keys(KEYS)
    eventually("all is well", lambda: proxy.chat("chat", key="sk-chat")[0] == 200)


def test_no_key_is_in_the_log(proxy: Proxy) -> None:
    proxy.chat("chat", key="sk-a-very-secret-key")
    log = proxy.log.read_text()
    assert not [key for key in (*KEYS, MASTER_KEY, "sk-a-very-secret-key") if key in log]
