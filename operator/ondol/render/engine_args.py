"""The command line of `vllm serve`, and the flags that people may not repeat."""

from decimal import Decimal

from ondol.api import ModelDeployment
from ondol.render.meta import env_mistakes
from ondol.render.quantity import to_bytes

PORT = 8000
MODELS_DIR = "/models"

FIELD_OF_FLAG = {
    "--model": "spec.model.source",
    "--revision": "spec.model.revision",
    "--hf-token": "spec.model.tokenSecretRef",
    "--served-model-name": "spec.model.name",
    "--max-model-len": "spec.engine.contextLength",
    "--dtype": "spec.engine.dtype",
    "--max-num-seqs": "spec.engine.maxConcurrentRequests",
    "--gpu-memory-utilization": "spec.engine.gpuMemoryUtilization",
    "--device-memory-utilization": "spec.engine.gpuMemoryUtilization",
    "--kv-cache-memory-bytes": "spec.engine.kvCacheMemory",
    "--runner": "spec.engine.task",
    "--tensor-parallel-size": "spec.parallelism.tensor",
    "-tp": "spec.parallelism.tensor",
    "--shutdown-timeout": "spec.rollout.drainSeconds",
}
"""Flag of the engine -> field that sets it."""

OWNED_FLAGS = frozenset({"--host", "--port", "--api-key", "--root-path"})
"""Flags that would cut the operator off from the engine."""

OWNED_ENV = frozenset(
    {
        "VLLM_API_KEY", "VLLM_PORT", "VLLM_CACHE_ROOT", "VLLM_ENGINE_READY_TIMEOUT_S",
        "HF_HOME", "HF_HUB_OFFLINE", "HOME", "HF_TOKEN",
    }
)  # fmt: skip
"""Environment that the operator sets."""

MIN_PREFIX = 6
"""Shortest abbreviation looked at (`--tens`); the engine's parser takes any unique prefix."""


def model_path(source: str) -> str:
    """Argument by which the engine finds the model: a repository name or a folder."""
    scheme, rest = source.split("://", 1)
    if scheme == "hf":
        return rest
    _claim, _, path = rest.partition("/")
    return f"{MODELS_DIR}/{path}".rstrip("/")


def claim_name(source: str) -> str | None:
    """Name of the claim that a `pvc://` source reads, or None."""
    scheme, rest = source.split("://", 1)
    return rest.partition("/")[0] if scheme == "pvc" else None


def tensor_parallel(model: ModelDeployment) -> int:
    """GPUs that share each layer: the field, else all GPUs of the replica, at least 1."""
    gpu = model.spec.resources.gpu
    return model.spec.parallelism.tensor or max(1, gpu.count if gpu else 1)


def engine_args(model: ModelDeployment) -> list[str]:
    """Arguments after `vllm serve`."""
    spec, engine = model.spec, model.spec.engine
    args = [model_path(spec.model.source), "--served-model-name", model.served_name]
    args += ["--port", str(PORT), "--shutdown-timeout", str(spec.rollout.drain_seconds)]
    optional: list[tuple[str, str | int | float | Decimal | None]] = [
        ("--revision", spec.model.revision),
        ("--tensor-parallel-size", tensor_parallel(model) if tensor_parallel(model) > 1 else None),
        ("--max-model-len", engine.context_length),
        ("--dtype", engine.dtype),
        ("--max-num-seqs", engine.max_concurrent_requests),
        ("--gpu-memory-utilization", engine.gpu_memory_utilization),
        ("--kv-cache-memory-bytes", engine.kv_cache_memory and to_bytes(engine.kv_cache_memory)),
        ("--runner", None if engine.task == "generate" else "pooling"),
    ]
    for flag, value in optional:
        if value is not None:
            args += [flag, str(value)]
    return args + list(engine.extra_args)


def mistakes(model: ModelDeployment) -> list[str]:
    """Say what in the spec cannot work, each with the field to change."""
    found = [m for arg in model.spec.engine.extra_args if (m := _flag_mistake(arg))]
    return found + env_mistakes("spec.engine.env", model.spec.engine.env, OWNED_ENV)


def _flag_mistake(arg: str) -> str | None:
    if not arg.startswith("-"):
        return None
    flag = arg.partition("=")[0].replace("_", "-")
    for known, field in FIELD_OF_FLAG.items():
        if _means(flag, known):
            return f"spec.engine.extraArgs has {arg}; use {field} instead"
    for known in OWNED_FLAGS:
        if _means(flag, known):
            return f"spec.engine.extraArgs has {arg}, which the operator sets itself"
    return None


def _means(flag: str, known: str) -> bool:
    return flag == known or (len(flag) >= MIN_PREFIX and known.startswith(flag))
