"""Names, labels, owners and the stamp that every rendered object carries."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from ondol.api import GROUP, VERSION, Resource
from ondol.api.base import EnvVar

Manifest = dict[str, Any]

MANAGED_BY = "ondol"
MANAGED_SELECTOR = f"app.kubernetes.io/managed-by={MANAGED_BY}"
STAMP = f"{GROUP}/rendered"
"""Annotation with the hash of what was rendered: tells when a field is no longer wanted."""

MODEL_LABEL = f"{GROUP}/model"
PROXY_LABEL = f"{GROUP}/proxy"
FRONTEND_LABEL = f"{GROUP}/frontend"


def owner_reference(owner: Resource) -> dict[str, Any]:
    """Make the reference by which Kubernetes deletes a child with its owner."""
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": type(owner).__name__,
        "name": owner.metadata.name,
        "uid": owner.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def labels(name: str, component: str, **own: str) -> dict[str, str]:
    """Recommended labels of a child, and labels of our own."""
    return {
        "app.kubernetes.io/name": component,
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/part-of": "ondol",
        "app.kubernetes.io/managed-by": MANAGED_BY,
        **own,
    }


def metadata(owner: Resource, name: str, all_labels: dict[str, str]) -> dict[str, Any]:
    """Metadata of a child in its owner's namespace."""
    return {
        "name": name,
        "namespace": owner.metadata.namespace,
        "labels": all_labels,
        "ownerReferences": [owner_reference(owner)],
    }


def digest(value: Any) -> str:
    """Hash of a JSON value, 16 hexadecimal digits, independent of the order of keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def stamped(manifest: Manifest) -> Manifest:
    """Return the manifest, pruned of empty values and with its hash as an annotation."""
    clean = prune(manifest)
    meta = clean["metadata"]
    annotations = {**meta.get("annotations", {}), STAMP: digest(clean)}
    return {**clean, "metadata": {**meta, "annotations": annotations}}


def prune(value: Any) -> Any:
    """Drop None, empty maps and empty lists within maps: the API server drops them too.

    `emptyDir: {}` and the like say something by being there: write such values as `EMPTY`.
    """
    if isinstance(value, _Empty):
        return {}
    if isinstance(value, dict):
        cleaned = {k: prune(v) for k, v in value.items()}
        return {
            k: v
            for k, v in cleaned.items()
            if v is not None and (v not in ({}, []) or isinstance(value[k], _Empty))
        }
    if isinstance(value, list):
        return [prune(item) for item in value]
    return value


class _Empty(dict[str, Any]):
    """A map that is meant to be empty."""


EMPTY: dict[str, Any] = _Empty()


def env_from_secret(name: str, secret: str, key: str) -> dict[str, Any]:
    """Environment variable that a Secret gives."""
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def env_given(variables: Sequence[EnvVar]) -> list[dict[str, Any]]:
    """Environment variables that a spec gives, by value or from a Secret."""
    return [
        env_from_secret(var.name, ref.name, ref.key)
        if (ref := var.secret_key_ref)
        else {"name": var.name, "value": var.value}
        for var in variables
    ]


def env_mistakes(field: str, variables: Sequence[EnvVar], owned: frozenset[str]) -> list[str]:
    """Say which variables of a spec's field cannot be set so."""
    found = []
    for var in variables:
        if var.name in owned:
            found.append(f"{field} sets {var.name}, which the operator sets itself")
        if (var.value is None) == (var.secret_key_ref is None):
            found.append(f"{field} {var.name} needs either value or secretKeyRef")
    return found


RESTRICTED_POD: dict[str, Any] = {
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
RESTRICTED_CONTAINER: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
}
"""Pod Security Standard `restricted`."""
