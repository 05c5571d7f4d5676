"""A change of a route reaches the running proxy, and each route is told what becomes of it."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from e2e.conftest import NAMES, Page
from e2e.deploy import CHAT_MODEL, EMBEDDING_MODEL, PROXY
from e2e.kubectl import Object, apply, condition, get, items, kubectl, never, wait_for
from e2e.proxy import Proxy, Stream

NAMESPACE, CHAT = CHAT_MODEL[1], CHAT_MODEL[2]
EMBEDDING = EMBEDDING_MODEL[2]
A_FEW_SECONDS = 20
STREAM_SECONDS = 25
"""Long enough to see the proxy change meanwhile, shorter than the proxy's drainSeconds."""

AtEnd = Callable[[Callable[[], object]], None]

pytestmark = pytest.mark.usefixtures("names_back")


def test_a_new_alias_is_answered_while_a_running_stream_goes_on(
    chat: Proxy, master: Proxy, page: Page, at_end: AtEnd
) -> None:
    at_end(lambda: _set_aliases([]))
    before = _proxy_pods()
    stream = Stream(chat, CHAT, "Tell a long story.", **_long(chat))
    wait_for("the first words", lambda: stream.text or not stream.running, 30, every=0.1)

    _set_aliases(["gpt-4o"])
    wait_for("alias", lambda: chat.refusal("gpt-4o") == 0, A_FEW_SECONDS, every=0.2)
    assert stream.running, "the stream ended before the alias was there: it proves nothing"
    assert chat.says(CHAT)
    assert master.models() == sorted([*NAMES, "gpt-4o"])
    wait_for("the page lists the alias", lambda: page.models() == ["gpt-4o", CHAT], 60)

    stream.finish()
    assert stream.complete, stream.error or stream.lines[-1:]
    assert stream.chunks[-1]["usage"]["completion_tokens"] > 0
    assert _proxy_pods() == before

    _set_aliases([])
    wait_for("alias gone", lambda: chat.refusal("gpt-4o") == 403, A_FEW_SECONDS, every=0.2)
    wait_for("names", lambda: master.models() == NAMES, A_FEW_SECONDS)
    assert master.refusal("gpt-4o") == 400
    assert chat.says(CHAT)
    assert _proxy_pods() == before
    wait_for("the page forgets the alias", lambda: page.models() == [CHAT], 60)


def test_a_handwritten_route_is_answered_until_it_is_deleted(
    chat: Proxy, master: Proxy, at_end: AtEnd
) -> None:
    _create_route("assistant", at_end, CHAT)
    _wait_condition("assistant", "Ready", "True", "Answering")
    assert chat.says("assistant")
    assert master.models() == sorted([*NAMES, "assistant"])
    assert chat.models() == sorted(["assistant", CHAT])

    _delete_route("assistant")
    wait_for("name gone", lambda: chat.refusal("assistant") == 403, A_FEW_SECONDS, every=0.2)
    wait_for("names", lambda: master.models() == NAMES, A_FEW_SECONDS)
    assert chat.says(CHAT)


def test_the_older_route_keeps_its_name(chat: Proxy, embeddings: Proxy, at_end: AtEnd) -> None:
    _create_route("second-smollm2", at_end, EMBEDDING, model=CHAT)
    refused = _wait_condition("second-smollm2", "Accepted", "False", "NameTaken")
    assert f"{NAMESPACE}/{CHAT}" in refused["message"]
    assert _condition("second-smollm2", "Ready")["status"] == "False"
    assert _condition(CHAT, "Ready")["status"] == "True"
    assert get("modelproxy", PROXY[2], "-n", PROXY[1])["status"]["routes"]["rejected"] == 1
    assert chat.says(CHAT)
    assert len(embeddings.embed(EMBEDDING, ["text"])) == 1


def test_a_name_that_gets_free_goes_to_the_route_that_waits_for_it(
    chat: Proxy, at_end: AtEnd
) -> None:
    _create_route("holder", at_end, CHAT, model="shared")
    _wait_condition("holder", "Ready", "True", "Answering")
    _next_second()  # the older one is told by a time in whole seconds
    _create_route("waiter", at_end, CHAT, model="shared")
    _wait_condition("waiter", "Accepted", "False", "NameTaken")
    _delete_route("holder")
    _wait_condition("waiter", "Ready", "True", "Answering")
    assert chat.says("shared")


def test_a_route_to_a_missing_model_is_told_so_and_blocks_nobody(
    chat: Proxy, master: Proxy, at_end: AtEnd
) -> None:
    _create_route("hopeless", at_end, "no-such-model")
    refused = _wait_condition("hopeless", "ResolvedRefs", "False", "RefNotFound")
    assert "no-such-model" in refused["message"]
    assert _condition("hopeless", "Accepted")["status"] == "True"
    assert _condition("hopeless", "Ready")["status"] == "False"
    assert chat.says(CHAT)
    # The config is written a moment after the last change: look for longer than that.
    never("names", lambda: [n for n in [master.models()] if n != NAMES], 5)


def _long(proxy: Proxy) -> dict[str, Any]:
    """Options for an answer that takes about STREAM_SECONDS on this machine."""
    began = time.monotonic()
    proxy.chat(CHAT, "Tell a long story.", max_tokens=30, min_tokens=30)
    tokens = int(30 * STREAM_SECONDS / (time.monotonic() - began))
    tokens = min(max(tokens, 60), 1900)
    return {"max_tokens": tokens, "min_tokens": tokens}


def _next_second() -> None:
    began = time.time()
    wait_for("the next second", lambda: int(time.time()) > int(began), 2, every=0.05)


def _set_aliases(aliases: list[str]) -> None:
    patch = json.dumps({"spec": {"publish": {"aliases": aliases}}})
    kubectl("patch", "mdep", CHAT, "-n", NAMESPACE, "--type=merge", "-p", patch)


def _create_route(name: str, at_end: AtEnd, target: str, **spec: str) -> None:
    at_end(lambda: _delete_route(name))
    apply(
        {
            "apiVersion": "ondol.dev/v1alpha1",
            "kind": "ProxyRoute",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {**spec, "backends": [{"modelDeploymentRef": {"name": target}}]},
        }
    )


def _delete_route(name: str) -> None:
    kubectl("delete", "proute", name, "-n", NAMESPACE, "--ignore-not-found")


def _condition(route: str, name: str) -> Object:
    return condition(get("proute", route, "-n", NAMESPACE), name)


def _wait_condition(route: str, name: str, status: str, reason: str) -> Object:
    def reached() -> Object | None:
        found = _condition(route, name)
        return found if (found.get("status"), found.get("reason")) == (status, reason) else None

    found: Object = wait_for(f"{route}: {name}={status} {reason}", reached, A_FEW_SECONDS)
    return found


def _proxy_pods() -> dict[str, int]:
    """UID and restarts of the proxy's pods."""
    pods = items("pods", "-n", PROXY[1], "-l", f"ondol.dev/proxy={PROXY[2]}")
    return {
        pod["metadata"]["uid"]: sum(c["restartCount"] for c in pod["status"]["containerStatuses"])
        for pod in pods
    }
