"""ModelDeployment: one model served by vLLM."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ondol.api.base import (
    ApiModel,
    Column,
    EnvVars,
    Image,
    ProxyRef,
    PublicName,
    Quantity,
    Resource,
    Rule,
    SecretKeyRef,
    Status,
    Toleration,
    condition_column,
    name_rule,
    rules,
)

Task = Literal["generate", "embed", "rerank"]
Phase = Literal["Pending", "Pulling", "Loading", "Serving", "Idle", "Degraded", "Failed"]


class ModelSource(ApiModel):
    """Which model, and where its weights are."""

    source: Annotated[
        str,
        Field(
            max_length=500, pattern=r"^(hf://[^/\s]+/[^/\s]+|pvc://[a-z0-9][-.a-z0-9]*(/[^\s]*)?)$"
        ),
    ]
    """`hf://org/name` (downloaded at start) or `pvc://claim/path` (a folder on a claim)."""
    revision: Annotated[str, Field(max_length=200, pattern=r"^[^\s]+$")] | None = None
    """Branch, tag or commit of an `hf://` source."""
    name: PublicName | None = None
    """Name under which the engine serves the model; default: metadata.name."""
    token_secret_ref: SecretKeyRef | None = None
    """Access token for gated `hf://` repositories."""


class Engine(ApiModel):
    """How vLLM runs the model."""

    type: Literal["vllm"] = "vllm"
    """The engine."""
    image: Image | None = None
    """Container image of the engine; default: the one of the operator's settings."""
    task: Task = "generate"
    """What the model does: answer (generate), make vectors (embed) or score texts (rerank)."""
    context_length: Annotated[int, Field(ge=1, le=100_000_000)] | None = None
    """Longest request and answer together, in tokens; default: the model's own."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] | None = None
    """Number format of weights and activations."""
    max_concurrent_requests: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Requests that run at once; more wait in the engine's queue."""
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] | None = None
    """Share of the GPU's memory that the engine takes; the engine's default is 0.92."""
    kv_cache_memory: Quantity | None = None
    """Size of the KV cache for each GPU, e.g. 4Gi; needed on CPU engines."""
    extra_args: Annotated[list[Annotated[str, Field(max_length=4096)]], Field(max_length=100)] = []
    """Further arguments of `vllm serve`, as they are; a flag that a field sets is refused."""
    env: EnvVars = []
    """Further environment variables of the engine."""


class Parallelism(ApiModel):
    """How the model is spread over GPUs."""

    tensor: Annotated[int, Field(ge=1, le=1024)] | None = None
    """GPUs that share each layer; default: resources.gpu.count."""


class Gpu(ApiModel):
    """GPUs of one replica."""

    count: Annotated[int, Field(ge=0, le=1024)]
    """Number of GPUs."""
    resource: Annotated[
        str, Field(max_length=253, pattern=r"^[a-z0-9][-.a-z0-9]*/[-._a-zA-Z0-9]+$")
    ] = "nvidia.com/gpu"
    """Name of the extended resource, e.g. amd.com/gpu or nvidia.com/mig-3g.40gb."""


class EngineResources(ApiModel):
    """What one replica asks of its node."""

    gpu: Gpu | None = None
    """GPUs; none for an engine that runs on the CPU."""
    cpu: Quantity | None = None
    """CPU request, in cores."""
    memory: Quantity | None = None
    """Memory request and limit; shared memory counts towards it."""
    shared_memory: Quantity = "2Gi"
    """Upper bound of the memory-backed /dev/shm that the engine's processes talk through."""


class Scheduling(ApiModel):
    """Where the pods may run."""

    node_selector: Annotated[
        dict[str, Annotated[str, Field(max_length=63)]], Field(max_length=32)
    ] = {}
    """Labels that a node must have."""
    tolerations: Annotated[list[Toleration], Field(max_length=32)] = []
    """Taints that the pods accept, beside that of their GPU resource."""


class Rollout(ApiModel):
    """How a change reaches the running pods."""

    strategy: Literal["Auto", "Surge", "Recreate"] = "Auto"
    """Surge starts the new pod first (needs its GPUs free); Recreate stops the old one first.
    Auto is Surge, and Recreate while the model fails: a pod that cannot serve keeps no GPU from
    the corrected one."""
    startup_seconds: Annotated[int, Field(ge=10, le=86_400)] = 1800
    """Time that a pod may take from its start until the model is loaded."""
    drain_seconds: Annotated[int, Field(ge=0, le=86_400)] = 300
    """Time that running requests may take to end when a pod has to go."""


class Publish(ApiModel):
    """How the model is offered at the proxy."""

    enabled: bool = True
    """Make a ProxyRoute for this model."""
    as_: Annotated[PublicName | None, Field(alias="as")] = None
    """Public name at the proxy; default: the served name."""
    proxy_ref: ProxyRef = ProxyRef()
    """The proxy."""
    aliases: Annotated[list[PublicName], Field(max_length=32)] = []
    """Further public names."""


class ModelDeploymentSpec(ApiModel):
    """One model, its engine and its place in the cluster."""

    model: ModelSource
    """Which model, and where its weights are."""
    engine: Engine = Engine()
    """How vLLM runs the model."""
    parallelism: Parallelism = Parallelism()
    """How the model is spread over GPUs."""
    resources: EngineResources
    """What one replica asks of its node."""
    replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    """Number of engine pods."""
    scheduling: Scheduling = Scheduling()
    """Where the pods may run."""
    rollout: Rollout = Rollout()
    """How a change reaches the running pods."""
    publish: Publish = Publish()
    """How the model is offered at the proxy."""

    model_config = ApiModel.model_config | {
        "json_schema_extra": rules(
            Rule(
                "!has(self.model.revision) || self.model.source.startsWith('hf://')",
                "spec.model.revision belongs to an hf:// source",
            ),
            Rule(
                "!has(self.model.tokenSecretRef) || self.model.source.startsWith('hf://')",
                "spec.model.tokenSecretRef belongs to an hf:// source",
            ),
        )
    }


class LastFailure(ApiModel):
    """Why the newest pod does not serve."""

    container: Annotated[str, Field(max_length=253)] = ""
    """Name of the container."""
    reason: Annotated[str, Field(max_length=128)]
    """A word for programs."""
    message: Annotated[str, Field(max_length=4096)] = ""
    """What Kubernetes or the engine said."""
    hint: Annotated[str, Field(max_length=1024)] = ""
    """What to do."""


class ModelDeploymentStatus(Status):
    """What was observed of the model."""

    phase: Phase | None = None
    """One word for people."""
    endpoint: Annotated[str, Field(max_length=500)] | None = None
    """Address of the engine's OpenAI-compatible API inside the cluster."""
    served_models: Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=64)] = []
    """Names that the engine serves."""
    replicas: int = 0
    """Engine pods that exist."""
    ready_replicas: int = 0
    """Engine pods that answer."""
    selector: Annotated[str, Field(max_length=500)] = ""
    """Label selector of the engine pods, for autoscalers."""
    last_failure: LastFailure | None = None
    """Why the newest pod does not serve; absent when nothing failed."""


class ModelDeployment(Resource):
    """One model served by vLLM on the cluster's GPUs and published at a proxy."""

    plural: ClassVar[str] = "modeldeployments"
    short_names: ClassVar[tuple[str, ...]] = ("mdep",)
    name_rule: ClassVar[Rule | None] = name_rule(63, "; the public name belongs in spec.publish.as")
    scale: ClassVar[dict[str, str] | None] = {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }
    columns: ClassVar[tuple[Column, ...]] = (
        condition_column("Ready", "Ready"),
        condition_column("Reason", "Ready", "reason"),
        Column(name="Phase", json_path=".status.phase"),
        Column(name="Replicas", json_path=".status.readyReplicas", type="integer"),
        Column(name="Source", json_path=".spec.model.source", priority=1),
        Column(name="Age", json_path=".metadata.creationTimestamp", type="date"),
    )

    spec: ModelDeploymentSpec
    status: ModelDeploymentStatus = ModelDeploymentStatus()

    @property
    def served_name(self) -> str:
        """Name under which the engine serves the model."""
        return self.spec.model.name or self.metadata.name

    @property
    def public_name(self) -> str:
        """Name under which the proxy publishes the model."""
        return self.spec.publish.as_ or self.served_name
