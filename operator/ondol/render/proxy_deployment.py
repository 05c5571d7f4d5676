"""The Deployment of proxy pods.

Only what cannot be reloaded is in the pod template: image, environment, the launcher's code.
Routes, backends' keys and clients' keys reach running pods as files.
"""

from typing import Any

from ondol.api import GROUP, ModelProxy
from ondol.render.defaults import Defaults
from ondol.render.meta import (
    EMPTY,
    RESTRICTED_CONTAINER,
    RESTRICTED_POD,
    Manifest,
    env_from_secret,
    metadata,
    stamped,
)
from ondol.render.proxy_objects import (
    MASTER_KEY,
    PORT,
    backend_keys_name,
    child_name,
    client_keys_name,
    code_name,
    config_name,
    master_name,
    proxy_labels,
    selector,
)

UID = 65534
PRE_STOP_SECONDS = 10
"""Wait before SIGTERM so that no endpoint list still has the pod; 0 errors measured with 5."""
CODE_HASH = f"{GROUP}/code-hash"
"""Pods are replaced when the launcher's code changes, and only then."""
SYNC_HASH = f"{GROUP}/config-hash"
"""Annotation that makes kubelet sync a pod's files now (0.6 s) instead of within a minute."""


def proxy_deployment(proxy: ModelProxy, defaults: Defaults, code_hash: str) -> Manifest:
    """Render the Deployment."""
    spec = proxy.spec
    return stamped(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata(proxy, child_name(proxy), proxy_labels(proxy)),
            "spec": {
                "replicas": spec.replicas,
                "revisionHistoryLimit": 2,
                "selector": {"matchLabels": selector(proxy)},
                "strategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
                },
                "template": {
                    "metadata": {
                        "labels": proxy_labels(proxy),
                        "annotations": {CODE_HASH: code_hash},
                    },
                    "spec": _pod(proxy, defaults),
                },
            },
        }
    )


def _pod(proxy: ModelProxy, defaults: Defaults) -> dict[str, Any]:
    return {
        "enableServiceLinks": False,  # LiteLLM reads PORT and REDIS_* from its environment
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": PRE_STOP_SECONDS + proxy.spec.drain_seconds + 15,
        "securityContext": {**RESTRICTED_POD, "runAsUser": UID, "runAsGroup": UID, "fsGroup": UID},
        "containers": [_container(proxy, defaults)],
        "volumes": [
            {"name": "code", "configMap": {"name": code_name(proxy)}},
            {"name": "config", "configMap": {"name": config_name(proxy)}},
            {"name": "secrets", "secret": {"secretName": backend_keys_name(proxy)}},
            {"name": "keys", "secret": {"secretName": client_keys_name(proxy)}},
            {"name": "run", "emptyDir": EMPTY},
            {"name": "tmp", "emptyDir": EMPTY},
        ],
    }


def _container(proxy: ModelProxy, defaults: Defaults) -> dict[str, Any]:
    resources = proxy.spec.resources
    # The status answers as soon as the launcher runs, also while there is no config that loads.
    alive = {"httpGet": {"path": "/ondol/status", "port": "http"}}
    return {
        "name": "litellm",
        "image": proxy.spec.image or defaults.proxy_image,
        "command": ["gunicorn", "-c", "/etc/ondol/code/gunicorn_conf.py", "app:app"],
        "env": _env(proxy),
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "resources": {
            "requests": {"cpu": resources.cpu, "memory": resources.memory},
            "limits": {"memory": resources.memory},
        },
        "volumeMounts": [
            {"name": "code", "mountPath": "/etc/ondol/code", "readOnly": True},
            {"name": "config", "mountPath": "/etc/ondol/config", "readOnly": True},
            {"name": "secrets", "mountPath": "/etc/ondol/secrets", "readOnly": True},
            {"name": "keys", "mountPath": "/etc/ondol/keys", "readOnly": True},
            {"name": "run", "mountPath": "/run/ondol"},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the pod's own volume
        ],
        "securityContext": {**RESTRICTED_CONTAINER, "readOnlyRootFilesystem": True},
        "lifecycle": {"preStop": {"sleep": {"seconds": PRE_STOP_SECONDS}}},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        # Import alone takes 5 to 17 s of CPU.
        "startupProbe": {**alive, "periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": 90},
        "readinessProbe": {
            "httpGet": {"path": "/health/readiness", "port": "http"},
            "periodSeconds": 5,
            "timeoutSeconds": 10,
            "failureThreshold": 3,
        },
        "livenessProbe": {
            **alive,
            "periodSeconds": 10,
            "timeoutSeconds": 10,
            "failureThreshold": 6,
        },
    }


def _env(proxy: ModelProxy) -> list[dict[str, Any]]:
    ref = proxy.spec.master_key_secret_ref
    secret, key = (ref.name, ref.key) if ref else (master_name(proxy), MASTER_KEY)
    plain = {
        "PYTHONPATH": "/etc/ondol/code",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": "/tmp",  # noqa: S108 - the pod's own volume
        "ONDOL_LISTEN": f"0.0.0.0:{PORT}",
        "ONDOL_DRAIN_SECONDS": str(proxy.spec.drain_seconds),
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOG": "ERROR",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "DISABLE_ADMIN_UI": "True",
        "NO_DOCS": "True",
    }
    variables = [{"name": name, "value": value} for name, value in plain.items()]
    return [env_from_secret("LITELLM_MASTER_KEY", secret, key), *variables]
