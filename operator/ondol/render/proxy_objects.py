"""Service, PodDisruptionBudget, ConfigMaps and Secrets of a proxy."""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import yaml

from ondol.api import ModelProxy
from ondol.render.meta import PROXY_LABEL, Manifest, labels, metadata, stamped
from ondol.render.proxy_plan import Plan

PORT = 8000
SERVICE_PORT = 80
MASTER_KEY = "master-key"


def child_name(proxy: ModelProxy) -> str:
    """Name of the proxy's Deployment and Service."""
    return f"{proxy.metadata.name}-proxy"


def config_name(proxy: ModelProxy) -> str:
    """Name of the ConfigMap with LiteLLM's config."""
    return f"{child_name(proxy)}-config"


def code_name(proxy: ModelProxy) -> str:
    """Name of the ConfigMap with the launcher and the key check."""
    return f"{child_name(proxy)}-code"


def backend_keys_name(proxy: ModelProxy) -> str:
    """Name of the Secret with the backends' keys, one for each environment variable."""
    return f"{child_name(proxy)}-backend-keys"


def client_keys_name(proxy: ModelProxy) -> str:
    """Name of the Secret with the hashes of the clients' keys."""
    return f"{child_name(proxy)}-client-keys"


def master_name(proxy: ModelProxy) -> str:
    """Name of the generated Secret with the master key."""
    return f"{child_name(proxy)}-master"


def proxy_labels(proxy: ModelProxy) -> dict[str, str]:
    """Labels of everything that belongs to the proxy."""
    return labels(proxy.metadata.name, "litellm", **{PROXY_LABEL: proxy.metadata.name})


def selector(proxy: ModelProxy) -> dict[str, str]:
    """Labels that find exactly the proxy's pods."""
    return {PROXY_LABEL: proxy.metadata.name}


def proxy_url(proxy: ModelProxy) -> str:
    """Address of the proxy's OpenAI-compatible API inside the cluster."""
    return f"http://{child_name(proxy)}.{proxy.metadata.namespace}.svc/v1"


def proxy_service(proxy: ModelProxy) -> Manifest:
    """Render the Service."""
    port = {"name": "http", "port": SERVICE_PORT, "targetPort": "http", "protocol": "TCP"}
    spec = {"type": "ClusterIP", "selector": selector(proxy), "ports": [port]}
    return _child(proxy, "v1", "Service", child_name(proxy), spec=spec)


def proxy_budget(proxy: ModelProxy) -> Manifest:
    """Render the PodDisruptionBudget: one pod at a time leaves."""
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": selector(proxy)}}
    return _child(proxy, "policy/v1", "PodDisruptionBudget", child_name(proxy), spec=spec)


def proxy_config(proxy: ModelProxy, plan: Plan) -> Manifest:
    """Render the ConfigMap that running pods load without a restart."""
    data = {
        "config.yaml": yaml.safe_dump(plan.config, sort_keys=False, width=10_000),
        "hash": plan.hash,
    }
    return _child(proxy, "v1", "ConfigMap", config_name(proxy), data=data)


def proxy_code(proxy: ModelProxy, files: Mapping[str, str]) -> Manifest:
    """Render the ConfigMap with what runs inside the pod beside LiteLLM."""
    return _child(proxy, "v1", "ConfigMap", code_name(proxy), data=dict(files))


def proxy_backend_keys(proxy: ModelProxy, encoded: Mapping[str, str]) -> Manifest:
    """Render the Secret with the backends' keys, given base64-encoded."""
    return _child(
        proxy, "v1", "Secret", backend_keys_name(proxy), type="Opaque", data=dict(encoded)
    )


def key_hash(key: str) -> str:
    """What the proxy keeps of a client's key."""
    return hashlib.sha256(key.encode()).hexdigest()


def proxy_client_keys(proxy: ModelProxy, clients: Mapping[str, Any]) -> Manifest:
    """Render the Secret with the clients' key hashes and the models that each may use."""
    text = json.dumps(dict(sorted(clients.items())), sort_keys=True)
    data = {"keys.json": base64.b64encode(text.encode()).decode()}
    return _child(proxy, "v1", "Secret", client_keys_name(proxy), type="Opaque", data=data)


def proxy_master(proxy: ModelProxy, key: str) -> Manifest:
    """Render the Secret with a master key that the caller has drawn."""
    data = {MASTER_KEY: base64.b64encode(key.encode()).decode()}
    return _child(proxy, "v1", "Secret", master_name(proxy), type="Opaque", data=data)


def _child(proxy: ModelProxy, api_version: str, kind: str, name: str, **content: Any) -> Manifest:
    return stamped(
        {
            "apiVersion": api_version,
            "kind": kind,
            "metadata": metadata(proxy, name, proxy_labels(proxy)),
            **content,
        }
    )
