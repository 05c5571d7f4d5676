"""What a ProxyRoute says of itself."""

from typing import Any

import pytest

from ondol.api import ProxyRoute
from ondol.reconcile.context import ProxyFacts
from ondol.reconcile.route import judge
from ondol.render.proxy_plan import BackendFacts, RouteFacts, plan
from tests.objects import CREATED, obj, proxy, route

OPEN: dict[str, Any] = {"allowedRoutes": {"namespaces": {"from": "All"}}}
HEALTHY = BackendFacts("ModelDeployment/chat", exists=True, healthy=True, model="chat", mode="chat")
SILENT = BackendFacts("ModelDeployment/chat", exists=True, healthy=False, reason="not yet")


def conditions(one: ProxyRoute, *backends: BackendFacts, **seen: Any) -> dict[str, Any] | None:
    wanted = plan(proxy(**OPEN), [RouteFacts(one, backends)])
    names = frozenset(wanted.names)
    given: dict[str, Any] = {"converged": True, "listed": names, "ready": 1, **seen}
    facts = ProxyFacts(plan=wanted, url="http://proxy/v1", **given)
    verdicts = judge(one, facts, wanted.verdicts[one.key])
    return verdicts and {name: (v.status, v.reason) for name, v in verdicts.items()}


def programmed(generation: int) -> ProxyRoute:
    """Make a route of generation 1 that was programmed at some generation."""
    condition = {"type": "Programmed", "status": "True", "reason": "Programmed"}
    found = obj("ProxyRoute", "chat", {"backends": [{"modelDeploymentRef": {"name": "chat"}}]})
    status = {"conditions": [{**condition, "observedGeneration": generation}]}
    return ProxyRoute.parse({**found, "status": status})


def test_it_is_ready_when_every_proxy_pod_lists_the_name_and_a_backend_answers() -> None:
    assert conditions(route("chat"), HEALTHY) == {
        "Accepted": ("True", "Accepted"),
        "ResolvedRefs": ("True", "ResolvedRefs"),
        "Programmed": ("True", "Programmed"),
        "Ready": ("True", "Answering"),
    }


def test_it_is_not_ready_while_no_backend_answers() -> None:
    found = conditions(route("chat"), SILENT)
    assert found is not None
    assert found["Programmed"] == found["Ready"] == ("False", "BackendsNotReady")


def test_it_is_not_ready_while_the_pods_load_it() -> None:
    found = conditions(route("chat"), HEALTHY, converged=False, listed=frozenset())
    assert found is not None
    assert found["Programmed"] == found["Ready"] == ("False", "Pending")


def test_it_is_not_ready_without_a_ready_proxy_pod() -> None:
    found = conditions(route("chat"), HEALTHY, converged=False, ready=0, listed=frozenset())
    assert found is not None
    assert found["Ready"] == ("False", "ProxyNotReady")


def test_every_alias_has_to_be_listed_too() -> None:
    listed = frozenset({"chat"})
    found = conditions(route("chat", aliases=["gpt-4o"]), HEALTHY, converged=False, listed=listed)
    assert found is not None
    assert found["Programmed"] == ("False", "Pending")


def test_the_change_of_another_route_does_not_make_this_one_flap() -> None:
    assert conditions(programmed(generation=1), HEALTHY, converged=False) is None


def test_its_own_change_is_not_programmed_before_the_pods_serve_it() -> None:
    found = conditions(programmed(generation=0), HEALTHY, converged=False)
    assert found is not None
    assert found["Programmed"] == ("False", "Pending")


@pytest.mark.parametrize("listed", [frozenset(), frozenset({"chat"})])
def test_a_config_that_the_pods_refuse_takes_no_name_that_they_still_serve(
    listed: frozenset[str],
) -> None:
    found = conditions(
        route("chat"), HEALTHY, converged=False, listed=listed, error="does not load"
    )
    assert found is not None
    assert found["Programmed"][0] == ("True" if listed else "False")


def test_a_refused_route_says_so_in_every_condition() -> None:
    other = route("old", model="chat", created="2025-01-01T00:00:00Z")
    one = route("chat", created=CREATED)
    wanted = plan(proxy(**OPEN), [RouteFacts(other, (HEALTHY,)), RouteFacts(one, (HEALTHY,))])
    facts = ProxyFacts(wanted, "http://proxy/v1", True, frozenset({"chat"}), 1)
    verdicts = judge(one, facts, wanted.verdicts[one.key])
    assert verdicts is not None
    assert {(v.status, v.reason) for v in verdicts.values()} == {("False", "NameTaken")}
