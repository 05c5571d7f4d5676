"""The YAML file that describes one operator and what is asked of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

# Two namespaces with names of the same length, so that a request that is recorded in one and
# replayed in the other keeps its size.
LOAD_NAMESPACE = "bench-load"
TAPE_NAMESPACE = "bench-tape"
TAPE_INDEX = "tape-000"


class ConfigError(ValueError):
    """The file lacks something or holds something unknown; the message says which."""


@dataclass(frozen=True)
class Kind:
    """A resource as the API server's paths name it."""

    api_version: str
    plural: str

    @property
    def group(self) -> str:
        """The API group, empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def resource_group(self) -> str:
        """``plural.group``, or ``plural`` for the core group."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str) -> str:
        """Return the path of the collection in a namespace."""
        root = "apis" if self.group else "api"
        return f"/{root}/{self.api_version}/namespaces/{namespace}/{self.plural}"


@dataclass(frozen=True)
class Child:
    """Something that the operator must create for each object."""

    kind: Kind
    name: str  # with {name}, the object's name

    def name_for(self, owner: str) -> str:
        """Return the child's name for an object of this name."""
        return self.name.replace("{name}", owner)


@dataclass(frozen=True)
class Operator:
    """How the operator is started and how its requests are told from others'.

    ``command``, ``ready_url`` and the values of ``env`` may hold {kubeconfig}, {port} (a free
    port, another for each start), {namespace} (where the objects are created) and {python}
    (the interpreter that runs the benchmark, whose folder also comes first in PATH).
    """

    command: Sequence[str]
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)
    ready_url: str = ""
    ready_line: str = ""
    ready_timeout: float = 60
    # Empty: the service account whose token is in {kubeconfig}.
    user: str = ""
    user_agent: str = ""


@dataclass(frozen=True)
class Config:
    """Everything of the file; paths are absolute."""

    name: str
    crds: Sequence[Path]
    setup: Sequence[Mapping[str, Any]]
    operator: Operator
    kind: Kind
    template: str  # the object as JSON text, with {i}
    children: Sequence[Child]
    leases: frozenset[str]  # plural.group
    budgets: Mapping[str, float]
    controller_manager: bool = False
    repeats: int = 20  # of a single create
    concurrency: int = 16
    quiet_seconds: float = 3
    create_timeout: float = 300
    idle_objects: int = 200
    idle_seconds: float = 60
    restart_objects: int = 1000

    def object_for(self, index: str, namespace: str) -> dict[str, Any]:
        """Return the object to create; ``index`` takes the place of {i} in the template."""
        item: dict[str, Any] = json.loads(self.template.replace("{i}", index))
        item["metadata"]["namespace"] = namespace
        return item

    def name_for(self, index: str) -> str:
        """Return the name of the object of this index."""
        return str(self.object_for(index, "")["metadata"]["name"])


def index(number: int) -> str:
    """Return what takes the place of {i}; as long as that of the recorded object."""
    return f"{number:08d}"


def load(path: Path) -> Config:
    """Read a configuration file.

    Raises
    ------
    ConfigError
        When the file is not as it should be.
    """
    data = yaml.safe_load(path.read_text())
    try:
        return parse(data, path.resolve().parent)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ConfigError(f"{path}: {type(error).__name__}: {error}") from error


def parse(data: Mapping[str, Any], base: Path) -> Config:
    """Make a configuration of the file's content; relative paths start at ``base``."""
    known = {"name", "crds", "setup", "operator", "object", "children", "leases", "budgets"}
    if unknown := set(data) - known - {"options"}:
        raise ConfigError(f"unknown: {', '.join(sorted(unknown))}")
    created = data["object"]
    template = created["template"]
    config = Config(
        name=data["name"],
        crds=[(base / one).resolve() for one in data["crds"]],
        setup=data.get("setup", []),
        operator=_operator(data["operator"], base),
        kind=Kind(template["apiVersion"], created["plural"]),
        template=json.dumps(template),
        children=[
            Child(Kind(one["apiVersion"], one["plural"]), one["name"]) for one in data["children"]
        ],
        leases=frozenset(data.get("leases", ["leases.coordination.k8s.io"])),
        budgets={key: float(value) for key, value in data.get("budgets", {}).items()},
        **data.get("options", {}),
    )
    if "{i}" not in template["metadata"]["name"]:
        raise ConfigError("object.template.metadata.name must hold {i}")
    return config


def _operator(data: Mapping[str, Any], base: Path) -> Operator:
    ready, recognise = data.get("ready", {}), data.get("recognise", {})
    if len({"url", "line"} & set(ready)) != 1:
        raise ConfigError("operator.ready needs url or line")
    return Operator(
        command=[str(part) for part in data["command"]],
        cwd=(base / data.get("cwd", ".")).resolve(),
        env={key: str(value) for key, value in data.get("env", {}).items()},
        ready_url=ready.get("url", ""),
        ready_line=ready.get("line", ""),
        ready_timeout=float(ready.get("timeoutSeconds", 60)),
        user=recognise.get("user", ""),
        user_agent=recognise.get("userAgent", ""),
    )
