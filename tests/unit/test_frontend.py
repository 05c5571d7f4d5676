"""What a ChatFrontend becomes."""

from typing import Any

import pytest

from ondol.reconcile.frontend import judge
from ondol.render.defaults import Defaults
from ondol.render.frontend_deployment import frontend_deployment, mistakes
from ondol.render.frontend_objects import (
    CHAT_KEY,
    EMBEDDING_KEY,
    admin_name,
    frontend_claim,
    frontend_secret,
    keys_name,
)
from tests.objects import frontend

DEFAULTS = Defaults("vllm:1", "litellm:1", "ui:1", "ondol-system")
URL = "http://default-proxy.ondol-system.svc/v1"


def env(**spec: Any) -> dict[str, Any]:
    rendered = frontend_deployment(frontend(**spec), DEFAULTS, URL)
    variables = rendered["spec"]["template"]["spec"]["containers"][0]["env"]
    return {v["name"]: v.get("value") or v["valueFrom"]["secretKeyRef"] for v in variables}


def test_the_page_points_at_the_proxy_with_a_key_of_its_own() -> None:
    found = env()
    assert found["OPENAI_API_BASE_URL"] == URL
    assert found["OPENAI_API_KEY"] == {"name": keys_name(frontend()), "key": CHAT_KEY}


def test_the_key_for_documents_is_another_one_and_only_there_when_asked_for() -> None:
    found = env(rag={"embeddingModel": "minilm"})
    assert found["RAG_OPENAI_API_KEY"] == {"name": keys_name(frontend()), "key": EMBEDDING_KEY}
    assert found["RAG_EMBEDDING_MODEL"] == "minilm"
    assert "RAG_OPENAI_API_KEY" not in env()


def test_nothing_leaves_the_house_and_nobody_signs_up() -> None:
    found = env()
    assert found["ENABLE_SIGNUP"] == "False"
    assert found["OFFLINE_MODE"] == "True"
    assert found["ENABLE_COMMUNITY_SHARING"] == "False"
    assert found["ENABLE_PERSISTENT_CONFIG"] == "False"


def test_plain_users_see_models_too() -> None:
    assert env()["BYPASS_MODEL_ACCESS_CONTROL"] == "True"


def test_the_administrator_is_given_or_generated() -> None:
    assert admin_name(frontend()) == "chat-ui-admin"
    given = frontend(auth={"adminSecretRef": {"name": "boss"}})
    assert admin_name(given) == "boss"
    assert env(auth={"adminSecretRef": {"name": "boss"}})["WEBUI_ADMIN_EMAIL"]["name"] == "boss"


def test_a_users_variable_wins_over_a_default_and_may_not_touch_what_the_operator_sets() -> None:
    found = env(env=[{"name": "ENABLE_SIGNUP", "value": "True"}])
    assert found["ENABLE_SIGNUP"] == "True"
    [message] = mistakes(frontend(env=[{"name": "OPENAI_API_KEY", "value": "x"}]))
    assert "OPENAI_API_KEY" in message


def test_two_versions_never_share_the_database_file() -> None:
    rendered = frontend_deployment(frontend(), DEFAULTS, URL)
    assert rendered["spec"]["replicas"] == 1
    assert rendered["spec"]["strategy"] == {"type": "Recreate"}
    assert frontend_claim(frontend())["spec"]["accessModes"] == ["ReadWriteOnce"]


def test_no_variable_is_given_twice() -> None:
    spec: dict[str, Any] = {
        "env": [{"name": "ENABLE_SIGNUP", "value": "True"}],
        "rag": {"embeddingModel": "e"},
    }
    rendered = frontend_deployment(frontend(**spec), DEFAULTS, URL)
    names = [v["name"] for v in rendered["spec"]["template"]["spec"]["containers"][0]["env"]]
    assert len(names) == len(set(names))


def test_a_secret_is_in_the_secret_only() -> None:
    secret = frontend_secret(frontend(), "s", {"chat-key": "the-key"})
    assert secret["data"]["chat-key"] != "the-key"
    assert "the-key" not in str(frontend_deployment(frontend(), DEFAULTS, URL))


@pytest.mark.parametrize(
    ("listed", "served", "reason"),
    [
        ({"a", "b"}, {"a", "b"}, "Listed"),
        ({"a"}, {"a", "b"}, "Incomplete"),
        ({"a", "b"}, {"a"}, "Stale"),
        (set(), {"a"}, "Incomplete"),
        (set(), set(), "NoModels"),
    ],
)
def test_models_are_listed_when_the_page_shows_exactly_what_the_proxy_serves(
    listed: set[str], served: set[str], reason: str
) -> None:
    verdict = judge(frozenset(listed), served)
    assert verdict.reason == reason
    assert verdict.holds == (reason == "Listed")
