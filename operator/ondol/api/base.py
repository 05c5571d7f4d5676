"""What every kind shares: the model base, references, conditions."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

GROUP = "ondol.dev"
VERSION = "v1alpha1"

# https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
DnsLabel = Annotated[str, Field(max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
DnsName = Annotated[str, Field(max_length=253, pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$")]
SecretKey = Annotated[str, Field(max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
PublicName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\s\"'\\*]+$")]
"""A model's name as clients send it: no blanks, quotes, backslashes or wildcards."""
Quantity = Annotated[
    str, Field(max_length=32, pattern=r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$")
]
"""A Kubernetes quantity such as 500m, 4 or 16Gi."""
Image = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\s]+$")]


class Rule(dict[str, Any]):
    """A CEL rule of the schema (`x-kubernetes-validations`)."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(rule=rule, message=message)


def name_rule(limit: int, hint: str = "") -> Rule:
    """Rule for a name from which a Service's name of at most 63 characters is made."""
    return Rule(
        f"size(self.metadata.name) <= {limit} && "
        "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
        f"metadata.name names a Service and labels: at most {limit} characters, a-z, 0-9 and '-', "
        f"starting with a letter and without dots{hint}",
    )


def rules(*each: Rule) -> dict[str, Any]:
    """Put CEL rules into a model's JSON schema."""
    return {"x-kubernetes-validations": [dict(rule) for rule in each]}


class ApiModel(BaseModel):
    """Base of all blocks: camelCase outside, docstrings are the schema's descriptions.

    Unknown fields are ignored: the API server has already refused or pruned them.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
        frozen=True,
        extra="ignore",
    )


class SecretKeyRef(ApiModel):
    """One key of a Secret in the same namespace."""

    name: DnsName
    """Name of the Secret."""
    key: SecretKey
    """Key within the Secret."""


class LocalRef(ApiModel):
    """An object of a known kind in the same namespace."""

    name: DnsName
    """Name of the object."""


class ProxyRef(ApiModel):
    """The ModelProxy that publishes this object."""

    name: DnsLabel = "default"
    """Name of the ModelProxy."""
    namespace: DnsLabel | None = None
    """Namespace of the ModelProxy; default: the one of the operator's settings."""


class EnvVar(ApiModel):
    """An environment variable of a container, given by value or from a Secret."""

    name: Annotated[str, Field(max_length=256, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    """Name of the variable."""
    value: Annotated[str, Field(max_length=4096)] | None = None
    """The value in plain text; use `secretKeyRef` for anything secret."""
    secret_key_ref: SecretKeyRef | None = None
    """Take the value from a Secret."""


EnvVars = Annotated[
    list[EnvVar],
    Field(
        max_length=100,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    ),
]


class Toleration(ApiModel):
    """A taint that the pods accept; as in a PodSpec."""

    key: Annotated[str, Field(max_length=316)] | None = None
    """Key of the taint; empty with operator Exists matches all."""
    operator: Literal["Exists", "Equal"] = "Equal"
    """How the key relates to the value."""
    value: Annotated[str, Field(max_length=63)] | None = None
    """Value of the taint when operator is Equal."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint; all effects when left out."""


class ComputeResources(ApiModel):
    """CPU and memory of a container; each is both request and limit for memory."""

    cpu: Quantity | None = None
    """CPU request, in cores."""
    memory: Quantity | None = None
    """Memory request and limit."""


class Condition(ApiModel):
    """One observation of the object's state, as in the Kubernetes API conventions."""

    type: Annotated[str, Field(max_length=64)]
    """Name of the condition."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Annotated[str, Field(max_length=128)]
    """A word in CamelCase for programs."""
    message: Annotated[str, Field(max_length=4096)] = ""
    """A sentence for people: what is wrong, where, and what to do."""
    observed_generation: int | None = None
    """The generation of the object that was looked at."""
    last_transition_time: Annotated[str, Field(max_length=32)] = ""
    """When `status` changed last, RFC 3339."""


class Status(ApiModel):
    """What every status has."""

    observed_generation: int | None = None
    """The generation of the spec that this status describes."""
    conditions: Annotated[
        list[Condition],
        Field(
            max_length=16,
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
            },
        ),
    ] = []
    """The conditions; `Ready` sums them up."""


class Column(ApiModel):
    """A column that `kubectl get` prints."""

    name: str
    json_path: str
    type: str = "string"
    priority: int | None = None


def condition_column(name: str, condition: str, field: str = "status") -> Column:
    """Make a column that shows a field of one condition."""
    return Column(name=name, json_path=f'.status.conditions[?(@.type=="{condition}")].{field}')


class Metadata(ApiModel):
    """The part of an object's metadata that the operator reads."""

    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None


class Resource(ApiModel):
    """Base of the kinds. `spec` and `status` are declared by each kind."""

    plural: ClassVar[str]
    short_names: ClassVar[tuple[str, ...]]
    columns: ClassVar[tuple[Column, ...]]
    name_rule: ClassVar[Rule | None] = None
    scale: ClassVar[dict[str, str] | None] = None

    metadata: Metadata

    @classmethod
    def parse(cls, obj: dict[str, Any]) -> Self:
        """Read an object as the API server gives it.

        Raises
        ------
        pydantic.ValidationError
            When the object does not fit this version of the schema.
        """
        return cls.model_validate(obj)

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return (self.metadata.namespace, self.metadata.name)
