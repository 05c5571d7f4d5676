"""The Deployment of engine pods."""

from typing import Any

from ondol.api import ModelDeployment
from ondol.render.defaults import Defaults
from ondol.render.engine_args import MODELS_DIR, PORT, claim_name, engine_args
from ondol.render.engine_secret import KEY, secret_name
from ondol.render.meta import (
    EMPTY,
    MODEL_LABEL,
    RESTRICTED_CONTAINER,
    RESTRICTED_POD,
    Manifest,
    env_from_secret,
    env_given,
    labels,
    metadata,
    stamped,
)

CONTAINER = "engine"
CACHE_DIR = "/cache"
UID = 2000
"""User that vLLM's image is prepared for, with group 0."""

PRE_STOP_SECONDS = 10
"""Wait before SIGTERM so that no endpoint list still has the pod: vLLM answers new requests
with 500 while it drains."""
TEARDOWN_SECONDS = 15
"""What vLLM takes to leave after its last request (8 s measured on CPU, 15 s for ROCm)."""
PROGRESS_MARGIN_SECONDS = 600
"""Scheduling and pulling, on top of the time to load."""
PROBE_PERIOD_SECONDS = 5


def engine_labels(model: ModelDeployment) -> dict[str, str]:
    """Labels of everything that belongs to the engine."""
    return labels(model.metadata.name, "vllm", **{MODEL_LABEL: model.metadata.name})


def selector(model: ModelDeployment) -> dict[str, str]:
    """Labels that find exactly the engine's pods."""
    return {MODEL_LABEL: model.metadata.name}


def engine_deployment(
    model: ModelDeployment, defaults: Defaults, *, failing: bool = False
) -> Manifest:
    """Render the Deployment; `failing` tells that no pod serves and waiting will not help."""
    spec = model.spec
    strategy = spec.rollout.strategy
    surge = strategy == "Surge" or (strategy == "Auto" and not failing)
    return stamped(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata(model, model.metadata.name, engine_labels(model)),
            "spec": {
                "replicas": spec.replicas,
                "revisionHistoryLimit": 2,
                "progressDeadlineSeconds": spec.rollout.startup_seconds + PROGRESS_MARGIN_SECONDS,
                "selector": {"matchLabels": selector(model)},
                "strategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
                }
                if surge
                else {"type": "Recreate"},
                "template": {
                    "metadata": {"labels": engine_labels(model)},
                    "spec": _pod(model, defaults),
                },
            },
        }
    )


def _pod(model: ModelDeployment, defaults: Defaults) -> dict[str, Any]:
    spec = model.spec
    claim = claim_name(spec.model.source)
    volumes: list[dict[str, Any]] = [
        {
            "name": "shm",
            "emptyDir": {"medium": "Memory", "sizeLimit": spec.resources.shared_memory},
        },
        {"name": "cache", "emptyDir": EMPTY},
        {"name": "tmp", "emptyDir": EMPTY},
    ]
    if claim:
        volumes.append(
            {"name": "model", "persistentVolumeClaim": {"claimName": claim, "readOnly": True}}
        )
    return {
        # A Service called `vllm` would otherwise inject VLLM_PORT, on which the engine dies.
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": PRE_STOP_SECONDS
        + spec.rollout.drain_seconds
        + TEARDOWN_SECONDS,
        "securityContext": {**RESTRICTED_POD, "runAsUser": UID, "runAsGroup": 0, "fsGroup": 0},
        "nodeSelector": spec.scheduling.node_selector,
        "tolerations": _tolerations(model),
        "containers": [_container(model, defaults)],
        "volumes": volumes,
    }


def _container(model: ModelDeployment, defaults: Defaults) -> dict[str, Any]:
    spec = model.spec
    health = {"httpGet": {"path": "/health", "port": "http"}}
    mounts = [
        {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 - the pod's own memory
        {"name": "cache", "mountPath": CACHE_DIR},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the pod's own volume
    ]
    if claim_name(spec.model.source):
        mounts.append({"name": "model", "mountPath": MODELS_DIR, "readOnly": True})  # type: ignore[dict-item]
    return {
        "name": CONTAINER,
        "image": spec.engine.image or defaults.engine_image,
        "args": engine_args(model),
        "env": _env(model),
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "resources": _resources(model),
        "volumeMounts": mounts,
        "securityContext": {**RESTRICTED_CONTAINER, "readOnlyRootFilesystem": True},
        "lifecycle": {"preStop": {"sleep": {"seconds": PRE_STOP_SECONDS}}},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        # The port opens only when the model is loaded: /health is right for all three.
        "startupProbe": {
            **health,
            "periodSeconds": PROBE_PERIOD_SECONDS,
            "timeoutSeconds": 5,
            "failureThreshold": -(-spec.rollout.startup_seconds // PROBE_PERIOD_SECONDS),
        },
        "readinessProbe": {
            **health,
            "periodSeconds": PROBE_PERIOD_SECONDS,
            "timeoutSeconds": 5,
            "failureThreshold": 3,
        },
        "livenessProbe": {
            **health,
            "periodSeconds": 10,
            "timeoutSeconds": 10,
            "failureThreshold": 6,
        },
    }


def _env(model: ModelDeployment) -> list[dict[str, Any]]:
    spec = model.spec
    env: list[dict[str, Any]] = [
        env_from_secret("VLLM_API_KEY", secret_name(model), KEY),
        {"name": "VLLM_NO_USAGE_STATS", "value": "1"},
        {"name": "VLLM_ENGINE_READY_TIMEOUT_S", "value": str(spec.rollout.startup_seconds)},
        {"name": "VLLM_CACHE_ROOT", "value": f"{CACHE_DIR}/vllm"},
        {"name": "HF_HOME", "value": f"{CACHE_DIR}/huggingface"},
        {"name": "HOME", "value": f"{CACHE_DIR}/home"},
    ]
    if claim_name(spec.model.source):
        env.append({"name": "HF_HUB_OFFLINE", "value": "1"})
    if token := spec.model.token_secret_ref:
        env.append(env_from_secret("HF_TOKEN", token.name, token.key))
    return env + env_given(spec.engine.env)


def _resources(model: ModelDeployment) -> dict[str, Any]:
    want = model.spec.resources
    requests: dict[str, Any] = {"cpu": want.cpu, "memory": want.memory}
    limits: dict[str, Any] = {"memory": want.memory}
    if want.gpu and want.gpu.count:
        # For extended resources requests and limits must be equal.
        requests[want.gpu.resource] = limits[want.gpu.resource] = str(want.gpu.count)
    return {"requests": requests, "limits": limits}


def _tolerations(model: ModelDeployment) -> list[dict[str, Any]]:
    tolerations = [
        t.model_dump(by_alias=True, exclude_none=True) for t in model.spec.scheduling.tolerations
    ]
    gpu = model.spec.resources.gpu
    if gpu and gpu.count:
        # GPU nodes are tainted with the resource's name by convention.
        tolerations.append({"key": gpu.resource, "operator": "Exists", "effect": "NoSchedule"})
    return tolerations
