"""The operator as a process: restarts, stops, the lease, and other operators beside it."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.apiserver.support import (
    Cluster,
    Operator,
    model,
    others,
    release_lease,
    sentinel,
    settle,
    wait_for,
)

pytestmark = pytest.mark.apiserver

LEASE = "/apis/coordination.k8s.io/v1/namespaces/ondol-system/leases/ondol"


def test_a_restart_writes_nothing(
    cluster: Cluster, start: Callable[..., Operator], namespace: str
) -> None:
    first = start().wait_acting()
    cluster.apply(model(namespace, "qwen"))
    before = settle(cluster, namespace, "qwen")
    assert first.stop() == 0
    start().wait_acting()
    sentinel(cluster, namespace)
    assert others(cluster.versions(namespace)) == before


def test_stop_is_clean_and_gives_the_lease_back(
    cluster: Cluster, start: Callable[..., Operator], namespace: str
) -> None:
    assert start().wait_acting().stop() == 0
    path = "/apis/coordination.k8s.io/v1/namespaces/ondol-system/leases/ondol"
    assert not cluster.request("GET", path)["spec"].get("holderIdentity")


def test_a_killed_operator_leaves_half_a_job_and_the_next_one_ends_it(
    cluster: Cluster, start: Callable[..., Operator], namespace: str
) -> None:
    first = start().wait_acting()
    for number in range(20):
        cluster.apply(model(namespace, f"m{number}"))
    wait_for(lambda: cluster.get("Deployment", namespace, "m3"))
    first.kill()
    cluster.apply(model(namespace, "late"))
    second = start()
    wait_for(lambda: "holds the lease" in second.log.read_text(), 30)
    for number in range(20):
        settle(cluster, namespace, f"m{number}")
    settle(cluster, namespace, "late")
    assert "Traceback" not in second.log.read_text()


def peering(kind: str, plural: str, scope: str) -> dict[str, Any]:
    """Make the CRD by which operators of the same framework find each other."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.kopf.dev"},
        "spec": {
            "group": "kopf.dev",
            "scope": scope,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def test_a_foreign_operator_of_the_same_framework_does_not_pause_this_one(
    cluster: Cluster, start: Callable[..., Operator], namespace: str
) -> None:
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    foreign = {"foreign": {"priority": 100, "lifetime": 3600, "lastseen": "2099-01-01T00:00:00"}}
    places = {
        "clusterkopfpeerings": "/apis/kopf.dev/v1/clusterkopfpeerings",
        "kopfpeerings": "/apis/kopf.dev/v1/namespaces/ondol-system/kopfpeerings",
    }
    cluster.create(definitions, peering("ClusterKopfPeering", "clusterkopfpeerings", "Cluster"))
    cluster.create(definitions, peering("KopfPeering", "kopfpeerings", "Namespaced"))
    made = {}
    for plural, path in places.items():
        kind = "ClusterKopfPeering" if plural.startswith("cluster") else "KopfPeering"
        body = {"apiVersion": "kopf.dev/v1", "kind": kind, "metadata": {"name": "default"}}
        cluster.server.kubectl("wait", "--for=condition=Established", f"crd/{plural}.kopf.dev")
        cluster.server.kubectl("get", plural, "-A")  # served from now on
        made[path] = cluster.create(path, {**body, "status": foreign})

    start().wait_acting()
    cluster.apply(model(namespace, "qwen"))
    settle(cluster, namespace, "qwen")
    for path, before in made.items():
        assert cluster.request("GET", f"{path}/default") == before
    for plural in places:
        cluster.request("DELETE", f"{definitions}/{plural}.kopf.dev")
    cluster.apply(model(namespace, "after"))
    settle(cluster, namespace, "after")


def test_no_object_carries_a_mark_of_the_framework(
    cluster: Cluster, start: Callable[..., Operator], namespace: str
) -> None:
    start().wait_acting()
    cluster.apply(model(namespace, "qwen"))
    settle(cluster, namespace, "qwen")
    live = cluster.get("ModelDeployment", namespace, "qwen")
    assert "kopf" not in str(live)


def test_a_second_operator_waits_and_takes_over_when_the_first_is_killed(
    cluster: Cluster, start: Callable[..., Operator], namespace: str
) -> None:
    first = start(ONDOL_IDENTITY="first").wait_acting()
    second = start(ONDOL_IDENTITY="second")
    wait_for(lambda: "that first_" in second.log.read_text())
    assert second.answers("/healthz") == 200
    assert cluster.request("GET", LEASE)["spec"]["holderIdentity"].startswith("first_")
    first.kill()
    cluster.apply(model(namespace, "qwen"))
    wait_for(
        lambda: cluster.request("GET", LEASE)["spec"]["holderIdentity"].startswith("second_"), 30
    )
    settle(cluster, namespace, "qwen")


def test_an_operator_that_loses_the_lease_ends(
    cluster: Cluster, start: Callable[..., Operator]
) -> None:
    running = start().wait_acting()
    lease = cluster.request("GET", LEASE)
    lease["spec"]["holderIdentity"] = "thief"
    cluster.request("PUT", LEASE, lease)
    assert running.process.wait(20) == 1
    release_lease(cluster)
    assert "thief" in running.log.read_text()
    assert "Traceback" not in running.log.read_text()


def test_a_wrong_setting_is_named(start: Callable[..., Operator]) -> None:
    running = start(ONDOL_WORKERS="many")
    assert running.process.wait(20) == 2
    assert "ONDOL_WORKERS" in running.log.read_text()
    assert "Traceback" not in running.log.read_text()
