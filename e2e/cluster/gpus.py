"""Pretended GPUs: the capacity and the labels that NVIDIA's device plugin and GFD would set."""

import json

from e2e.cluster.control_plane import kubectl


def pretend(node: str, count: int) -> None:
    """Give a node ``count`` NVIDIA A10 with 24 GB for the scheduler; engines run on the CPU.

    Raises
    ------
    ClusterError
        When the API server refuses it.
    """
    labels = {
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.product": "NVIDIA-A10",
        "nvidia.com/gpu.family": "ampere",
        "nvidia.com/gpu.memory": "23028",
        "nvidia.com/gpu.count": str(count),
        "nvidia.com/gpu.replicas": "1",
        "nvidia.com/gpu.compute.major": "8",
        "nvidia.com/gpu.compute.minor": "6",
    }
    _patch(node, {"metadata": {"labels": labels}})
    amount = {"nvidia.com/gpu": str(count)}
    _patch(node, {"status": {"capacity": amount, "allocatable": amount}}, "--subresource=status")


def _patch(node: str, change: dict[str, object], *options: str) -> None:
    kubectl("patch", "node", node, "--type=merge", *options, "-p", json.dumps(change))
