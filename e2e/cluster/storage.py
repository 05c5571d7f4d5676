"""Volumes: a default StorageClass with eight empty ones, and the models for everybody to read."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from e2e.cluster.control_plane import kubectl
from e2e.cluster.paths import MODELS, STATE

_CLASS = "local"
_COUNT = 8
_SIZE = "5Gi"
_MODELS_VOLUME = "ondol-models"
_MODELS_CLAIM = {"namespace": "demo", "name": "models"}


def start() -> None:
    """Create what is missing, and make volumes whose claim is gone empty and free again.

    Raises
    ------
    ClusterError
        When the API server refuses something.
    """
    phases = _phases()
    for name, phase in phases.items():
        if phase in ("Released", "Failed"):
            kubectl("delete", "persistentvolume", name)
    taken = {name for name, phase in phases.items() if phase == "Bound"}
    names = (f"local-{number}" for number in range(1, _COUNT + 1))
    volumes = [_empty_volume(name) for name in names if name not in taken]
    objects = {"apiVersion": "v1", "kind": "List", "items": [_storage_class(), *volumes]}
    kubectl("apply", "-f", "-", stdin=json.dumps(objects))
    if _MODELS_VOLUME not in taken:
        share_models(MODELS)


def share_models(folder: Path) -> None:
    """Create the volume with the models, which lie in ``folder`` on the node.

    Raises
    ------
    ClusterError
        When the API server refuses it.
    """
    spec = {
        "storageClassName": "",
        "capacity": {"storage": _SIZE},
        "accessModes": ["ReadOnlyMany"],
        "claimRef": _MODELS_CLAIM,
    }
    kubectl("apply", "-f", "-", stdin=json.dumps(_volume(_MODELS_VOLUME, folder, spec)))


def _phases() -> dict[str, str]:
    listed = json.loads(kubectl("get", "persistentvolumes", "-o", "json"))
    return {item["metadata"]["name"]: item["status"].get("phase", "") for item in listed["items"]}


def _storage_class() -> dict[str, object]:
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": _CLASS, "annotations": default},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def _empty_volume(name: str) -> dict[str, object]:
    folder = STATE / "volumes" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    folder.chmod(0o777)  # hostPath knows no fsGroup: pods run as whatever user they like
    spec = {
        "storageClassName": _CLASS,
        "capacity": {"storage": _SIZE},
        "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
    }
    return _volume(name, folder, spec)


def _volume(name: str, folder: Path, spec: Mapping[str, object]) -> dict[str, object]:
    host_path = {"path": str(folder), "type": "Directory"}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {"persistentVolumeReclaimPolicy": "Retain", "hostPath": host_path, **spec},
    }
