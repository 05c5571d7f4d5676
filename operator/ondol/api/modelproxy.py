"""ModelProxy: a LiteLLM proxy."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ondol.api.base import (
    ApiModel,
    Column,
    ComputeResources,
    Image,
    Resource,
    Rule,
    SecretKeyRef,
    Status,
    condition_column,
    name_rule,
)


class AllowedNamespaces(ApiModel):
    """Namespaces whose routes and frontends may use the proxy."""

    from_: Annotated[Literal["Same", "All"], Field(alias="from")] = "Same"
    """Same: the proxy's own namespace; All: every namespace."""


class AllowedRoutes(ApiModel):
    """Who may use the proxy."""

    namespaces: AllowedNamespaces = AllowedNamespaces()
    """Namespaces whose routes and frontends may use the proxy."""


class ModelProxySpec(ApiModel):
    """A LiteLLM proxy that publishes routes."""

    image: Image | None = None
    """LiteLLM's image; default: the one of the operator's settings."""
    replicas: Annotated[int, Field(ge=0, le=100)] = 1
    """Number of proxy pods."""
    resources: ComputeResources = ComputeResources(cpu="500m", memory="1Gi")
    """CPU and memory of each pod; one pod carries about 1,000 streamed tokens a second."""
    allowed_routes: AllowedRoutes = AllowedRoutes()
    """Who may use the proxy."""
    master_key_secret_ref: SecretKeyRef | None = None
    """The administrator's key; it starts with `sk-`. Generated when left out."""
    drain_seconds: Annotated[int, Field(ge=1, le=86_400)] = 600
    """Time that running streams may take to end when a pod has to go."""


class RouteCount(ApiModel):
    """How many routes are served."""

    programmed: int = 0
    """Routes in the config that every ready pod serves."""
    rejected: int = 0
    """Routes that are left out; each says why in its own status."""


class ModelProxyStatus(Status):
    """What was observed of the proxy."""

    url: Annotated[str, Field(max_length=500)] | None = None
    """Address of the API inside the cluster."""
    config_hash: Annotated[str, Field(max_length=64)] = ""
    """Hash of the config that is wanted."""
    routes: RouteCount = RouteCount()
    """How many routes are served."""
    ready_replicas: int = 0
    """Proxy pods that answer."""


class ModelProxy(Resource):
    """A LiteLLM proxy: one API for all models that routes publish at it."""

    plural: ClassVar[str] = "modelproxies"
    short_names: ClassVar[tuple[str, ...]] = ("mproxy",)
    name_rule: ClassVar[Rule | None] = name_rule(57)
    columns: ClassVar[tuple[Column, ...]] = (
        condition_column("Ready", "Ready"),
        condition_column("Reason", "Ready", "reason"),
        Column(name="Routes", json_path=".status.routes.programmed", type="integer"),
        Column(name="Rejected", json_path=".status.routes.rejected", type="integer"),
        Column(name="Replicas", json_path=".status.readyReplicas", type="integer"),
        Column(name="Age", json_path=".metadata.creationTimestamp", type="date"),
    )

    spec: ModelProxySpec = ModelProxySpec()
    status: ModelProxyStatus = ModelProxyStatus()

    def allows(self, namespace: str) -> bool:
        """Tell whether objects of this namespace may use the proxy."""
        return (
            namespace == self.metadata.namespace
            or self.spec.allowed_routes.namespaces.from_ == "All"
        )
