"""The same with kind, where it and a Docker engine are there.

Not tried by its authors yet: the machine that this was written on has neither. Kept small for that.
"""

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from e2e.cluster import gpus, models, storage
from e2e.cluster import images as catalogue
from e2e.cluster.log import say
from e2e.cluster.paths import KUBECONFIG, MODELS
from e2e.cluster.shell import run, succeeds

_NAME = "ondol"
_NODE = f"{_NAME}-control-plane"
_MODELS_IN_NODE = Path("/ondol-models")
_PYTHON = {"trixie": "python:3.13-slim", "bookworm": "python:3.11-slim"}


def wanted() -> bool:
    """Say whether to use kind: CLUSTER=kind asks for it, CLUSTER=local forbids it."""
    if choice := os.environ.get("CLUSTER"):
        return choice == "kind"
    return bool(shutil.which("kind")) and succeeds("docker", "info")


def up(*, gpu_count: int) -> None:
    """Create the cluster, build and load the images, and pretend GPUs.

    Raises
    ------
    ClusterError
        When one of the tools fails.
    """
    KUBECONFIG.parent.mkdir(parents=True, exist_ok=True)
    MODELS.mkdir(parents=True, exist_ok=True)
    if _NAME not in run("kind", "get", "clusters").split():
        create = ("create", "cluster", "--name", _NAME, "--kubeconfig", KUBECONFIG)
        run("kind", *create, "--config", "-", stdin=json.dumps(_configuration()))
    load(catalogue.PRODUCT)
    prepare_models()
    gpus.pretend(_NODE, gpu_count)
    storage.share_models(_MODELS_IN_NODE)


def prepare_models() -> None:
    """Make the two models with the engine's image in docker.

    Raises
    ------
    ClusterError
        When that fails.
    """
    models.prepare(_run_once)


def load(images: Iterable[catalogue.Image]) -> None:
    """Build images with docker and load them into the node.

    Raises
    ------
    ClusterError
        When a build or a load fails.
    """
    for image in images:
        if not (image.folder / "Dockerfile").exists():
            say(f"{image.name} is left out: it has no Dockerfile yet")
            continue
        say(f"building {image.name}")
        base = f"BASE={_PYTHON[image.suite or 'trixie']}"
        run("docker", "build", "--build-arg", base, "-t", image.name, image.folder)
        run("kind", "load", "docker-image", image.name, "--name", _NAME)


def down() -> None:
    """Delete the cluster.

    Raises
    ------
    ClusterError
        When kind fails.
    """
    run("kind", "delete", "cluster", "--name", _NAME, "--kubeconfig", KUBECONFIG)


def _run_once(image: str, argv: Sequence[str], *, mounts: Sequence[str]) -> None:
    volumes = [option for mount in mounts for option in ("-v", mount)]
    run("docker", "run", "--rm", *volumes, "--entrypoint", argv[0], image, *argv[1:])


def _configuration() -> dict[str, object]:
    mount = {"hostPath": str(MODELS), "containerPath": str(_MODELS_IN_NODE), "readOnly": True}
    return {
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "kind": "Cluster",
        "nodes": [{"role": "control-plane", "extraMounts": [mount]}],
    }
