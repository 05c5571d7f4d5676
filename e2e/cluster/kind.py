"""The same with kind, where it and a Docker engine are there.

Not tried by its authors yet: the machine that this was written on has neither. Kept small for that.
"""

import json
import os
import shutil
from collections.abc import Iterable

from e2e.cluster import images as catalogue
from e2e.cluster.log import say
from e2e.cluster.paths import KUBECONFIG
from e2e.cluster.shell import run, succeeds

_NAME = "ondol"
_NODE = f"{_NAME}-control-plane"
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
    if _NAME not in run("kind", "get", "clusters").split():
        run("kind", "create", "cluster", "--name", _NAME, "--kubeconfig", KUBECONFIG)
    load(catalogue.PRODUCT)
    amount = {"nvidia.com/gpu": str(gpu_count)}
    status = json.dumps({"status": {"capacity": amount, "allocatable": amount}})
    patch = ("patch", "node", _NODE, "--subresource=status", "--type=merge", "-p", status)
    run("kubectl", "--kubeconfig", KUBECONFIG, *patch)


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
