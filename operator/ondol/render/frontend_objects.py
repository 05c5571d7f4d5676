"""Service, claim and Secrets of a chat frontend."""

import base64
from collections.abc import Mapping
from typing import Any

from ondol.api import ChatFrontend
from ondol.render.meta import FRONTEND_LABEL, Manifest, labels, metadata, stamped

PORT = 8080
SERVICE_PORT = 80
CHAT_KEY = "chat-key"
EMBEDDING_KEY = "embedding-key"
SESSION_KEY = "session-key"


def child_name(frontend: ChatFrontend) -> str:
    """Name of the frontend's Deployment, Service and claim."""
    return f"{frontend.metadata.name}-ui"


def keys_name(frontend: ChatFrontend) -> str:
    """Name of the Secret with the keys that the page itself uses."""
    return f"{child_name(frontend)}-keys"


def admin_name(frontend: ChatFrontend) -> str:
    """Name of the Secret with the first administrator's email and password."""
    ref = frontend.spec.auth.admin_secret_ref
    return ref.name if ref else f"{child_name(frontend)}-admin"


def frontend_labels(frontend: ChatFrontend) -> dict[str, str]:
    """Labels of everything that belongs to the frontend."""
    return labels(frontend.metadata.name, "open-webui", **{FRONTEND_LABEL: frontend.metadata.name})


def selector(frontend: ChatFrontend) -> dict[str, str]:
    """Labels that find exactly the frontend's pods."""
    return {FRONTEND_LABEL: frontend.metadata.name}


def service_url(frontend: ChatFrontend) -> str:
    """Address of the page inside the cluster."""
    return f"http://{child_name(frontend)}.{frontend.metadata.namespace}.svc"


def frontend_service(frontend: ChatFrontend) -> Manifest:
    """Render the Service."""
    port = {"name": "http", "port": SERVICE_PORT, "targetPort": "http", "protocol": "TCP"}
    spec = {"type": "ClusterIP", "selector": selector(frontend), "ports": [port]}
    return _child(frontend, "v1", "Service", child_name(frontend), spec=spec)


def frontend_claim(frontend: ChatFrontend) -> Manifest:
    """Render the claim for chats, users and documents."""
    storage = frontend.spec.storage
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": storage.storage_class_name,
        "resources": {"requests": {"storage": storage.size}},
    }
    return _child(frontend, "v1", "PersistentVolumeClaim", child_name(frontend), spec=spec)


def frontend_secret(frontend: ChatFrontend, name: str, values: Mapping[str, str]) -> Manifest:
    """Render a Secret with values that the caller has drawn."""
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return _child(frontend, "v1", "Secret", name, type="Opaque", data=data)


def _child(
    frontend: ChatFrontend, api_version: str, kind: str, name: str, **content: Any
) -> Manifest:
    return stamped(
        {
            "apiVersion": api_version,
            "kind": kind,
            "metadata": metadata(frontend, name, frontend_labels(frontend)),
            **content,
        }
    )
