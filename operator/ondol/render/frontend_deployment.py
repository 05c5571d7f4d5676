"""The Deployment of Open WebUI.

One pod with a database file on a claim: the old one stops before the new one starts, so that
two versions never share the file.
"""

from typing import Any

from ondol.api import ChatFrontend
from ondol.render.defaults import Defaults
from ondol.render.frontend_objects import (
    CHAT_KEY,
    EMBEDDING_KEY,
    PORT,
    SESSION_KEY,
    admin_name,
    child_name,
    frontend_labels,
    keys_name,
    selector,
    service_url,
)
from ondol.render.meta import (
    EMPTY,
    RESTRICTED_CONTAINER,
    RESTRICTED_POD,
    Manifest,
    env_from_secret,
    env_given,
    env_mistakes,
    metadata,
    stamped,
)

UID = 1000
DATA_DIR = "/data"

OWNED_ENV = frozenset(
    {
        "OPENAI_API_BASE_URL", "OPENAI_API_KEY", "WEBUI_SECRET_KEY", "WEBUI_ADMIN_EMAIL",
        "WEBUI_ADMIN_PASSWORD", "DATA_DIR", "HOME", "PORT", "WEBUI_URL", "DEFAULT_MODELS",
        "RAG_OPENAI_API_BASE_URL", "RAG_OPENAI_API_KEY", "RAG_EMBEDDING_MODEL",
        "RAG_EMBEDDING_ENGINE", "ENABLE_PERSISTENT_CONFIG", "WEBUI_AUTH",
    }
)  # fmt: skip
"""Environment that the operator sets; `spec.env` may not."""

SETTINGS = {
    # Git wins over what an administrator clicks together.
    "ENABLE_PERSISTENT_CONFIG": "False",
    # Only people that an administrator adds.
    "ENABLE_SIGNUP": "False",
    "DEFAULT_USER_ROLE": "pending",
    # Otherwise only administrators see models.
    "BYPASS_MODEL_ACCESS_CONTROL": "True",
    # Nothing leaves the house.
    "OFFLINE_MODE": "True",
    "HF_HUB_OFFLINE": "1",
    "ENABLE_VERSION_UPDATE_CHECK": "False",
    "ENABLE_COMMUNITY_SHARING": "False",
    "ENABLE_OLLAMA_API": "False",
    "ANONYMIZED_TELEMETRY": "False",
    "DO_NOT_TRACK": "1",
    # The page runs no code of its users.
    "ENABLE_CODE_EXECUTION": "False",
    "ENABLE_CODE_INTERPRETER": "False",
    # No speech models on the page's own CPU.
    "AUDIO_STT_ENGINE": "openai",
    "USE_SLIM": "True",
    # The embedded store, one process.
    "VECTOR_DB": "chroma",
    "RAG_EMBEDDING_ENGINE": "openai",
}


def mistakes(frontend: ChatFrontend) -> list[str]:
    """Say what in the spec cannot work, each with the field to change."""
    return env_mistakes("spec.env", frontend.spec.env, OWNED_ENV)


def frontend_deployment(frontend: ChatFrontend, defaults: Defaults, proxy_url: str) -> Manifest:
    """Render the Deployment."""
    return stamped(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata(frontend, child_name(frontend), frontend_labels(frontend)),
            "spec": {
                "replicas": 1,
                "revisionHistoryLimit": 2,
                "selector": {"matchLabels": selector(frontend)},
                "strategy": {"type": "Recreate"},
                "template": {
                    "metadata": {"labels": frontend_labels(frontend)},
                    "spec": _pod(frontend, defaults, proxy_url),
                },
            },
        }
    )


def _pod(frontend: ChatFrontend, defaults: Defaults, proxy_url: str) -> dict[str, Any]:
    return {
        "enableServiceLinks": False,  # Open WebUI reads PORT from its environment
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 30,
        "securityContext": {**RESTRICTED_POD, "runAsUser": UID, "runAsGroup": UID, "fsGroup": UID},
        "containers": [_container(frontend, defaults, proxy_url)],
        "volumes": [
            {"name": "data", "persistentVolumeClaim": {"claimName": child_name(frontend)}},
            {"name": "tmp", "emptyDir": EMPTY},
        ],
    }


def _container(frontend: ChatFrontend, defaults: Defaults, proxy_url: str) -> dict[str, Any]:
    resources = frontend.spec.resources
    return {
        "name": "open-webui",
        "image": frontend.spec.image or defaults.frontend_image,
        "env": _env(frontend, proxy_url),
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "resources": {
            "requests": {"cpu": resources.cpu, "memory": resources.memory},
            "limits": {"memory": resources.memory},
        },
        "volumeMounts": [
            {"name": "data", "mountPath": DATA_DIR},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the pod's own volume
        ],
        "securityContext": RESTRICTED_CONTAINER,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        # The first start migrates the database: 51 s on a quiet machine, minutes on a busy one.
        "startupProbe": {
            **_probe("/health"),
            "periodSeconds": 3,
            "timeoutSeconds": 5,
            "failureThreshold": 200,
        },
        "readinessProbe": {
            **_probe("/health/db"),
            "periodSeconds": 5,
            "timeoutSeconds": 5,
            "failureThreshold": 3,
        },
        "livenessProbe": {
            **_probe("/health"),
            "periodSeconds": 10,
            "timeoutSeconds": 10,
            "failureThreshold": 6,
        },
    }


def _probe(path: str) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": "http"}}


def _env(frontend: ChatFrontend, proxy_url: str) -> list[dict[str, Any]]:
    spec, keys, admin = frontend.spec, keys_name(frontend), admin_name(frontend)
    url = spec.public_url or service_url(frontend)
    plain = {
        "PORT": str(PORT),
        "HOME": "/tmp",  # noqa: S108 - the pod's own volume
        "DATA_DIR": DATA_DIR,
        "WEBUI_URL": url,
        # Without a fixed public address people come by port-forward, from any origin.
        "CORS_ALLOW_ORIGIN": spec.public_url or "*",
        "OPENAI_API_BASE_URL": proxy_url,
        **SETTINGS,
        "BYPASS_EMBEDDING_AND_RETRIEVAL": "False" if spec.rag else "True",
    }
    if spec.models.default:
        plain["DEFAULT_MODELS"] = spec.models.default
    env = [
        env_from_secret("OPENAI_API_KEY", keys, CHAT_KEY),
        env_from_secret("WEBUI_SECRET_KEY", keys, SESSION_KEY),
        env_from_secret("WEBUI_ADMIN_EMAIL", admin, "email"),
        env_from_secret("WEBUI_ADMIN_PASSWORD", admin, "password"),
    ]
    if spec.rag:
        plain["RAG_OPENAI_API_BASE_URL"] = proxy_url
        plain["RAG_EMBEDDING_MODEL"] = spec.rag.embedding_model
        env.append(env_from_secret("RAG_OPENAI_API_KEY", keys, EMBEDDING_KEY))
    given = {var.name for var in spec.env}
    env += [{"name": n, "value": v} for n, v in plain.items() if n not in given]
    return env + env_given(spec.env)
