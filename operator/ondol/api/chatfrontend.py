"""ChatFrontend: an Open WebUI that points at a ModelProxy."""

from typing import Annotated, ClassVar

from pydantic import Field

from ondol.api.base import (
    ApiModel,
    Column,
    ComputeResources,
    DnsLabel,
    EnvVars,
    Image,
    LocalRef,
    ProxyRef,
    PublicName,
    Quantity,
    Resource,
    Rule,
    Status,
    condition_column,
    name_rule,
)


class Storage(ApiModel):
    """The volume that holds chats, users and documents."""

    size: Quantity = "5Gi"
    """Size of the claim; it is kept when the frontend changes, and goes with the object."""
    storage_class_name: DnsLabel | None = None
    """Storage class; default: the cluster's."""


class Auth(ApiModel):
    """Who may sign in."""

    admin_secret_ref: LocalRef | None = None
    """Secret with the keys `email` and `password` of the first administrator.
    Generated as NAME-ui-admin when left out."""


class FrontendModels(ApiModel):
    """What the model list shows."""

    default: PublicName | None = None
    """Public name that a new chat starts with."""


class Rag(ApiModel):
    """How documents are searched."""

    embedding_model: PublicName
    """Public name of a model that makes vectors."""


class ChatFrontendSpec(ApiModel):
    """A chat page for people."""

    proxy_ref: ProxyRef = ProxyRef()
    """The proxy whose models are offered."""
    image: Image | None = None
    """Open WebUI's image; default: the one of the operator's settings."""
    resources: ComputeResources = ComputeResources(cpu="250m", memory="2Gi")
    """CPU and memory of the pod."""
    storage: Storage = Storage()
    """The volume that holds chats, users and documents."""
    auth: Auth = Auth()
    """Who may sign in."""
    models: FrontendModels = FrontendModels()
    """What the model list shows."""
    rag: Rag | None = None
    """Search in documents; off when left out."""
    public_url: Annotated[
        str | None, Field(max_length=500, pattern=r"^https?://[^\s/]+$", alias="publicURL")
    ] = None
    """Address under which people open the page, when something in front of it gives one."""
    env: EnvVars = []
    """Further environment variables of Open WebUI."""


class ChatFrontendStatus(Status):
    """What was observed of the frontend."""

    url: Annotated[str, Field(max_length=500)] | None = None
    """Address of the page: publicURL, else the one inside the cluster."""
    models: int = 0
    """Models that the page lists."""
    admin_secret: Annotated[str, Field(max_length=253)] = ""
    """Secret that holds the administrator's email and password."""


class ChatFrontend(Resource):
    """An Open WebUI that offers a proxy's models to people."""

    plural: ClassVar[str] = "chatfrontends"
    short_names: ClassVar[tuple[str, ...]] = ("chatui",)
    name_rule: ClassVar[Rule | None] = name_rule(60)
    columns: ClassVar[tuple[Column, ...]] = (
        condition_column("Ready", "Ready"),
        condition_column("Reason", "Ready", "reason"),
        Column(name="Models", json_path=".status.models", type="integer"),
        Column(name="URL", json_path=".status.url"),
        Column(name="Age", json_path=".metadata.creationTimestamp", type="date"),
    )

    spec: ChatFrontendSpec = ChatFrontendSpec()
    status: ChatFrontendStatus = ChatFrontendStatus()
