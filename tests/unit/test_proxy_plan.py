"""Which routes a proxy serves, and the config that LiteLLM gets."""

from typing import Any

import yaml

from ondol.api import ProxyRoute
from ondol.render.proxy_objects import proxy_config
from ondol.render.proxy_plan import BackendFacts, Plan, RouteFacts, plan
from tests.objects import proxy, route

OPEN: dict[str, Any] = {"allowedRoutes": {"namespaces": {"from": "All"}}}


def backend(name: str = "m", **facts: Any) -> BackendFacts:
    given: dict[str, Any] = {
        "name": f"ModelDeployment/{name}", "exists": True, "healthy": True, "model": name,
        "api_base": f"http://{name}.team-a.svc:8000/v1", "key_variable": f"ONDOL_KEY_{name}",
        "mode": "chat", **facts,
    }  # fmt: skip
    return BackendFacts(**given)


def facts(one: ProxyRoute, *backends: BackendFacts) -> RouteFacts:
    return RouteFacts(one, backends or (backend(one.metadata.name),))


def plan_of(*routes: RouteFacts, **spec: Any) -> Plan:
    return plan(proxy(**{**OPEN, **spec}), list(routes))


def names(result: Plan) -> list[str]:
    return [entry["model_name"] for entry in result.config["model_list"]]


def test_a_route_with_an_answering_backend_is_served_with_the_engines_own_key() -> None:
    result = plan_of(facts(route("chat")))
    [entry] = result.config["model_list"]
    assert entry["model_name"] == "chat"
    assert entry["litellm_params"]["model"] == "hosted_vllm/chat"
    assert entry["litellm_params"]["api_base"] == "http://chat.team-a.svc:8000/v1"
    assert entry["litellm_params"]["api_key"] == "os.environ/ONDOL_KEY_chat"
    assert result.verdicts["team-a", "chat"].served
    assert result.key_variables == {"ONDOL_KEY_chat"}


def test_a_backend_that_does_not_answer_is_held_back_and_the_others_stay() -> None:
    dead = backend("dead", healthy=False, reason="the engine does not answer yet")
    result = plan_of(facts(route("chat"), dead, backend("live")))
    [entry] = result.config["model_list"]
    assert entry["litellm_params"]["model"] == "hosted_vllm/live"
    assert result.key_variables == {"ONDOL_KEY_live"}


def test_a_route_without_an_answering_backend_is_held_back_and_blocks_nobody() -> None:
    dead = backend(healthy=False)
    result = plan_of(facts(route("bad"), dead), facts(route("good")))
    assert names(result) == ["good"]
    assert result.verdicts["team-a", "bad"].accepted
    assert not result.verdicts["team-a", "bad"].served


def test_the_older_route_keeps_a_name_that_two_want() -> None:
    old = route("zeta", model="chat", created="2026-01-01T00:00:00Z")
    new = route("alpha", model="chat", created="2026-01-02T00:00:00Z")
    result = plan_of(facts(new), facts(old))
    assert result.verdicts["team-a", "zeta"].accepted
    refused = result.verdicts["team-a", "alpha"]
    assert (refused.accepted, refused.accepted_reason) == (False, "NameTaken")
    assert "team-a/zeta" in refused.accepted_message
    assert len(names(result)) == 1


def test_an_alias_counts_as_a_name() -> None:
    old = route("a", aliases=["gpt-4o"], created="2026-01-01T00:00:00Z")
    new = route("b", model="gpt-4o", created="2026-01-02T00:00:00Z")
    assert not plan_of(facts(old), facts(new)).verdicts["team-a", "b"].accepted


def test_a_refused_route_takes_no_name_from_others() -> None:
    first = route("a", model="x", created="2026-01-01T00:00:00Z")
    refused = route("b", model="x", aliases=["y"], created="2026-01-02T00:00:00Z")
    third = route("c", model="y", created="2026-01-03T00:00:00Z")
    result = plan_of(facts(first), facts(refused), facts(third))
    assert result.verdicts["team-a", "c"].accepted


def test_routes_of_other_namespaces_are_refused_unless_the_proxy_takes_all() -> None:
    result = plan_of(facts(route("chat")), allowedRoutes={"namespaces": {"from": "Same"}})
    verdict = result.verdicts["team-a", "chat"]
    assert verdict.accepted_reason == "NotAllowedByProxy"
    assert "allowedRoutes" in verdict.accepted_message
    assert names(result) == []


def test_fallbacks_are_given_for_the_name_and_for_every_alias() -> None:
    chat = route("chat", aliases=["gpt-4o"], fallbacks=["small"])
    result = plan_of(facts(chat), facts(route("small")))
    assert result.config["router_settings"]["fallbacks"] == [
        {"chat": ["small"]},
        {"gpt-4o": ["small"]},
    ]
    assert result.config["router_settings"]["model_group_alias"] == {"gpt-4o": "chat"}


def test_an_unknown_fallback_is_named_and_the_route_stays() -> None:
    result = plan_of(facts(route("chat", fallbacks=["nope"])))
    verdict = result.verdicts["team-a", "chat"]
    assert not verdict.resolved
    assert "nope" in verdict.resolved_message
    assert names(result) == ["chat"]
    assert "fallbacks" not in result.config["router_settings"]


def test_a_fallback_to_itself_is_named_and_left_out() -> None:
    result = plan_of(facts(route("chat", aliases=["c"], fallbacks=["c"])))
    assert not result.verdicts["team-a", "chat"].resolved
    assert "fallbacks" not in result.config["router_settings"]


def test_a_missing_backend_is_named() -> None:
    gone = backend("gone", exists=False, healthy=False, reason="does not exist")
    verdict = plan_of(facts(route("chat"), gone)).verdicts["team-a", "chat"]
    assert "ModelDeployment/gone: does not exist" in verdict.resolved_message


def test_weight_zero_drains_a_backend() -> None:
    result = plan_of(facts(route("chat"), backend("a", weight=0), backend("b", weight=3)))
    [entry] = result.config["model_list"]
    assert entry["litellm_params"]["weight"] == 3


def test_the_mode_comes_from_the_route_else_from_the_backend() -> None:
    embed = backend("e", mode="embedding")
    result = plan_of(facts(route("a"), embed), facts(route("b", mode="rerank"), embed))
    assert result.names == {"a": "embedding", "b": "rerank"}


def test_the_hash_does_not_depend_on_the_order_of_routes() -> None:
    one, two = facts(route("a")), facts(route("b"))
    assert plan_of(one, two).hash == plan_of(two, one).hash
    assert plan_of(one, two).hash != plan_of(one).hash


def test_the_config_has_no_secret_and_says_its_hash() -> None:
    result = plan_of(facts(route("chat")))
    data = proxy_config(proxy(), result)["data"]
    assert yaml.safe_load(data["config.yaml"]) == result.config
    assert data["hash"] == result.hash
    assert "master_key" not in data["config.yaml"]


def test_every_address_is_literal() -> None:
    """LiteLLM sends a request with an unset os.environ address to a public provider."""
    for entry in plan_of(facts(route("a")), facts(route("b"))).config["model_list"]:
        assert entry["litellm_params"]["api_base"].startswith("http://")
