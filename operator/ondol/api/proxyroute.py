"""ProxyRoute: one public model name at a proxy."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ondol.api.base import (
    ApiModel,
    Column,
    DnsLabel,
    LocalRef,
    ProxyRef,
    PublicName,
    Resource,
    Rule,
    Status,
    condition_column,
    rules,
)

Mode = Literal["chat", "completion", "embedding", "rerank"]


class ServiceBackend(ApiModel):
    """Any Service that speaks the OpenAI API."""

    name: DnsLabel
    """Name of the Service in the route's namespace."""
    port: Annotated[int, Field(ge=1, le=65535)]
    """Port of the Service."""
    path: Annotated[str, Field(max_length=200, pattern=r"^/[^\s?#]*$")] = "/v1"
    """Path under which the API is found."""
    model: PublicName
    """Model's name at that Service."""


class Backend(ApiModel):
    """One place that answers for the route."""

    model_deployment_ref: LocalRef | None = None
    """A ModelDeployment in the route's namespace."""
    service: ServiceBackend | None = None
    """Any other OpenAI-compatible Service."""
    weight: Annotated[int, Field(ge=0, le=1_000_000)] = 1
    """Share of the requests; 0 gives it no new ones."""

    model_config = ApiModel.model_config | {
        "json_schema_extra": rules(
            Rule(
                "[has(self.modelDeploymentRef), has(self.service)].filter(x, x).size() == 1",
                "a backend has exactly one of modelDeploymentRef and service",
            )
        )
    }


class ProxyRouteSpec(ApiModel):
    """A public name, and what answers under it."""

    proxy_ref: ProxyRef = ProxyRef()
    """The proxy that publishes the name."""
    model: PublicName | None = None
    """Public name; default: metadata.name."""
    aliases: Annotated[
        list[PublicName],
        Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "set"}),
    ] = []
    """Further public names for the same model."""
    mode: Mode | None = None
    """What the model does; default: as its ModelDeployment says, else chat."""
    backends: Annotated[list[Backend], Field(min_length=1, max_length=32)]
    """Places that answer, chosen by weight."""
    fallbacks: Annotated[list[PublicName], Field(max_length=8)] = []
    """Public names to try, in order, when no backend answers."""
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    """Further tries of a request that failed before its first byte."""
    timeout_seconds: Annotated[int, Field(ge=1, le=86_400)] = 600
    """Longest time for a whole answer."""


class BackendStatus(ApiModel):
    """What was observed of one backend."""

    name: Annotated[str, Field(max_length=320)]
    """Kind and name of the backend."""
    healthy: bool
    """Whether it is given requests."""
    reason: Annotated[str, Field(max_length=1024)] = ""
    """Why it is not."""


class ProxyRouteStatus(Status):
    """What was observed of the route."""

    backends: Annotated[list[BackendStatus], Field(max_length=32)] = []
    """State of each backend."""
    proxy_url: Annotated[str | None, Field(max_length=500, alias="proxyURL")] = None
    """Address of the proxy's API inside the cluster."""


class ProxyRoute(Resource):
    """One public model name at a proxy."""

    plural: ClassVar[str] = "proxyroutes"
    short_names: ClassVar[tuple[str, ...]] = ("proute",)
    columns: ClassVar[tuple[Column, ...]] = (
        Column(name="Model", json_path=".spec.model"),
        condition_column("Ready", "Ready"),
        condition_column("Reason", "Ready", "reason"),
        Column(name="Age", json_path=".metadata.creationTimestamp", type="date"),
    )

    spec: ProxyRouteSpec
    status: ProxyRouteStatus = ProxyRouteStatus()

    @property
    def public_name(self) -> str:
        """Name that clients send."""
        return self.spec.model or self.metadata.name

    @property
    def names(self) -> list[str]:
        """The public name and its aliases."""
        return [self.public_name, *self.spec.aliases]
