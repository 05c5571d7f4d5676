"""Proxies, routes and frontends, at a real API server; pods are patched statuses."""

import base64
import hashlib
import json
from typing import Any

import pytest
import yaml

from tests.apiserver.support import Cluster, Object, Operator, model, settle, wait_for

pytestmark = pytest.mark.apiserver


def of_kind(kind: str, namespace: str, name: str, **spec: Any) -> Object:
    return {
        "apiVersion": "ondol.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def published(namespace: str, name: str, **spec: Any) -> Object:
    """Make a model that is published at the proxy of its own namespace."""
    ref = {"proxyRef": {"name": "default", "namespace": namespace}}
    return model(namespace, name, publish={**ref, **spec.pop("publish", {})}, **spec)


def answers(cluster: Cluster, namespace: str, name: str) -> None:
    """Let the engine answer, as the Deployment's controller would tell."""
    status = {"replicas": 1, "readyReplicas": 1, "availableReplicas": 1}
    cluster.merge("Deployment", namespace, name, {"status": status}, "status")


def config(cluster: Cluster, namespace: str) -> Any:
    found = cluster.get("ConfigMap", namespace, "default-proxy-config") or {"data": {}}
    return yaml.safe_load(found["data"].get("config.yaml", "{}"))


def names(cluster: Cluster, namespace: str) -> list[str]:
    return [entry["model_name"] for entry in config(cluster, namespace).get("model_list", [])]


def secret(cluster: Cluster, namespace: str, name: str) -> dict[str, str]:
    found = cluster.get("Secret", namespace, name) or {}
    return {k: base64.b64decode(v).decode() for k, v in found.get("data", {}).items()}


def test_a_proxy_gets_all_its_children(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.apply(of_kind("ModelProxy", namespace, "default"))
    for kind, name in (
        ("Deployment", "default-proxy"), ("Service", "default-proxy"),
        ("PodDisruptionBudget", "default-proxy"), ("ConfigMap", "default-proxy-config"),
        ("ConfigMap", "default-proxy-code"), ("Secret", "default-proxy-master"),
        ("Secret", "default-proxy-backend-keys"), ("Secret", "default-proxy-client-keys"),
    ):  # fmt: skip
        wait_for(lambda k=kind, n=name: cluster.get(k, namespace, n))  # type: ignore[misc]
    assert secret(cluster, namespace, "default-proxy-master")["master-key"].startswith("sk-")


def test_a_model_is_in_the_config_once_its_engine_answers_and_leaves_it_with_the_object(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.apply(of_kind("ModelProxy", namespace, "default"))
    cluster.apply(published(namespace, "qwen", publish={"aliases": ["gpt-4o"]}))
    cluster.apply(published(namespace, "dead"))
    settle(cluster, namespace, "qwen")
    settle(cluster, namespace, "dead")
    assert names(cluster, namespace) == []
    answers(cluster, namespace, "qwen")
    wait_for(lambda: names(cluster, namespace) == ["qwen"])
    programmed = wait_for(
        lambda: (
            (c := cluster.condition("ProxyRoute", namespace, "qwen", "Programmed"))["reason"]
            == "ProxyNotReady"
            and c
        )
    )
    assert programmed["status"] == "False"
    cluster.delete("ModelDeployment", namespace, "qwen")
    wait_for(lambda: names(cluster, namespace) == [])


def test_the_engines_key_reaches_the_proxy_by_secret_only(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.apply(of_kind("ModelProxy", namespace, "default"))
    cluster.apply(published(namespace, "qwen"))
    settle(cluster, namespace, "qwen")
    answers(cluster, namespace, "qwen")
    wait_for(lambda: names(cluster, namespace) == ["qwen"])
    key = secret(cluster, namespace, "qwen-engine-key")["api-key"]
    [entry] = config(cluster, namespace)["model_list"]
    variable = entry["litellm_params"]["api_key"].removeprefix("os.environ/")
    assert secret(cluster, namespace, "default-proxy-backend-keys") == {variable: key}
    assert key not in json.dumps(cluster.get("ConfigMap", namespace, "default-proxy-config"))


def test_a_proxy_that_takes_its_own_namespace_only_refuses_others(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create("/api/v1/namespaces", {"metadata": {"name": f"{namespace}-2"}})
    cluster.apply(of_kind("ModelProxy", namespace, "default"))
    backends = [{"service": {"name": "s", "port": 80, "model": "m"}}]
    ref = {"name": "default", "namespace": namespace}
    foreign = of_kind("ProxyRoute", f"{namespace}-2", "r", backends=backends, proxyRef=ref)
    cluster.apply(foreign)
    wait_for(
        lambda: (
            cluster.condition("ProxyRoute", f"{namespace}-2", "r", "Accepted")["reason"]
            == "NotAllowedByProxy"
        )
    )
    every = {"allowedRoutes": {"namespaces": {"from": "All"}}}
    cluster.apply(of_kind("ModelProxy", namespace, "default", **every))
    wait_for(lambda: names(cluster, namespace) == ["r"])


def test_a_route_and_a_page_wait_for_their_proxy_and_go_on_when_it_comes(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    ref = {"name": "default", "namespace": namespace}
    backends = [{"service": {"name": "s", "port": 80, "model": "m"}}]
    cluster.apply(of_kind("ProxyRoute", namespace, "r", backends=backends, proxyRef=ref))
    cluster.apply(of_kind("ChatFrontend", namespace, "chat", proxyRef=ref))
    for kind, name in (("ProxyRoute", "r"), ("ChatFrontend", "chat")):
        wait_for(
            lambda k=kind, n=name: (
                cluster.condition(k, namespace, n, "Accepted")[  # type: ignore[misc]
                    "reason"
                ]
                == "NoSuchProxy"
            )
        )
    cluster.apply(of_kind("ModelProxy", namespace, "default"))
    for kind, name in (("ProxyRoute", "r"), ("ChatFrontend", "chat")):
        wait_for(
            lambda k=kind, n=name: (
                cluster.condition(k, namespace, n, "Accepted")[  # type: ignore[misc]
                    "status"
                ]
                == "True"
            )
        )
    cluster.delete("ModelProxy", namespace, "default")
    wait_for(
        lambda: (
            cluster.condition("ProxyRoute", namespace, "r", "Accepted")["reason"] == "NoSuchProxy"
        )
    )


def test_a_page_has_keys_of_its_own_of_which_the_proxy_holds_hashes(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    ref = {"name": "default", "namespace": namespace}
    cluster.apply(of_kind("ModelProxy", namespace, "default"))
    rag = {"embeddingModel": "minilm"}
    cluster.apply(of_kind("ChatFrontend", namespace, "chat", proxyRef=ref, rag=rag))
    for name, task in (("qwen", "generate"), ("minilm", "embed")):
        cluster.apply(published(namespace, name, engine={"task": task}))
        settle(cluster, namespace, name)
        answers(cluster, namespace, name)
    wait_for(lambda: names(cluster, namespace) == ["minilm", "qwen"])

    def clients() -> dict[str, Any]:
        text = secret(cluster, namespace, "default-proxy-client-keys").get("keys.json", "{}")
        found: dict[str, Any] = json.loads(text)
        return found

    keys = secret(cluster, namespace, "chat-ui-keys")
    chat, embed = (
        hashlib.sha256(keys[part].encode()).hexdigest() for part in ("chat-key", "embedding-key")
    )
    wait_for(lambda: clients().get(chat, {}).get("models") == ["qwen"])
    assert clients()[embed]["models"] == ["minilm"]
    assert not any(entry["admin"] for entry in clients().values())
    assert keys["chat-key"] not in json.dumps(clients())


def test_a_config_that_was_changed_by_hand_is_put_back(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.apply(of_kind("ModelProxy", namespace, "default"))
    wait_for(lambda: cluster.get("ConfigMap", namespace, "default-proxy-config"))
    patch = {"data": {"config.yaml": "model_list: nonsense"}}
    cluster.merge("ConfigMap", namespace, "default-proxy-config", patch)
    wait_for(lambda: config(cluster, namespace).get("model_list") == [])
