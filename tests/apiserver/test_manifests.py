"""Every manifest that the operator renders is valid to the last field."""

from typing import Any

import pytest

from ondol.render.defaults import Defaults
from ondol.render.engine_deployment import engine_deployment
from ondol.render.engine_networkpolicy import engine_networkpolicy
from ondol.render.engine_route import engine_route
from ondol.render.engine_secret import engine_secret
from ondol.render.engine_service import engine_service
from ondol.render.frontend_deployment import frontend_deployment
from ondol.render.frontend_objects import frontend_claim, frontend_secret, frontend_service
from ondol.render.match import first_difference
from ondol.render.proxy_code import CODE
from ondol.render.proxy_deployment import proxy_deployment
from ondol.render.proxy_objects import (
    proxy_backend_keys,
    proxy_budget,
    proxy_client_keys,
    proxy_code,
    proxy_config,
    proxy_master,
    proxy_service,
)
from ondol.render.proxy_plan import plan
from tests.apiserver.support import APPLY, KINDS, Cluster
from tests.objects import frontend, model, proxy

pytestmark = pytest.mark.apiserver

DEFAULTS = Defaults("vllm:1", "litellm:1", "ui:1", "ondol-system")
FULL: dict[str, Any] = {
    "model": {"source": "hf://o/n", "tokenSecretRef": {"name": "hf", "key": "t"}},
    "engine": {"task": "embed", "kvCacheMemory": "1500Mi", "env": [{"name": "A", "value": "b"}]},
    "resources": {"gpu": {"count": 2}, "cpu": "1000m", "memory": "2048Mi"},
    "scheduling": {
        "nodeSelector": {"a": "b"},
        "tolerations": [{"key": "x", "operator": "Exists"}],
    },
    "publish": {"aliases": ["other"]},
}
PAGE: dict[str, Any] = {
    "rag": {"embeddingModel": "e"},
    "models": {"default": "m"},
    "env": [{"name": "A", "secretKeyRef": {"name": "s", "key": "k"}}],
    "storage": {"size": "1024Mi", "storageClassName": "local"},
}
MANIFESTS = [
    *(engine_deployment(m, DEFAULTS) for m in (model(), model("full", **FULL))),
    engine_networkpolicy(model(), DEFAULTS),
    engine_route(model("full", **FULL)),
    engine_secret(model(), "key"),
    engine_service(model()),
    proxy_deployment(proxy(masterKeySecretRef={"name": "m", "key": "k"}), DEFAULTS, "hash"),
    proxy_backend_keys(proxy(), {"A": "Yg=="}),
    proxy_budget(proxy()),
    proxy_client_keys(proxy(), {"hash": {"name": "n", "models": []}}),
    proxy_code(proxy(), CODE),
    proxy_config(proxy(), plan(proxy(), [])),
    proxy_master(proxy(), "sk-x"),
    proxy_service(proxy()),
    frontend_claim(frontend(**PAGE)),
    frontend_deployment(frontend(**PAGE), DEFAULTS, "http://proxy/v1"),
    frontend_secret(frontend(), "s", {"a": "b"}),
    frontend_service(frontend()),
]


@pytest.mark.parametrize(
    "manifest", MANIFESTS, ids=lambda m: f"{m['kind']}-{m['metadata']['name']}"
)
def test_strict_validation_takes_it_and_gives_it_back_unchanged(
    cluster: Cluster, manifest: dict[str, Any]
) -> None:
    meta = {**manifest["metadata"], "namespace": "default"}
    path = KINDS[manifest["kind"]].path("default", meta["name"])
    strict = "?fieldManager=test&force=true&dryRun=All&fieldValidation=Strict"
    sent = {**manifest, "metadata": meta}
    answer = cluster.request("PATCH", path + strict, sent, APPLY)
    assert first_difference(sent, answer) is None
