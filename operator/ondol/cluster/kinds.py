"""The kinds that the operator reads and writes."""

from dataclasses import dataclass

from ondol.api import GROUP, KINDS, VERSION


@dataclass(frozen=True)
class Kind:
    """A kind as the API server knows it."""

    name: str
    group: str
    version: str
    plural: str
    ours: bool = False
    """One of Ondol's own kinds: watched whole. All others are watched by label."""

    @property
    def api_version(self) -> str:
        """Group and version as manifests write them."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str = "", subresource: str = "") -> str:
        """Path at the API server, of one object or of a collection."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if namespace:
            parts += ["namespaces", namespace]
        return "/" + "/".join([*parts, self.plural, *filter(None, (name, subresource))])


OURS = tuple(Kind(k.__name__, GROUP, VERSION, k.plural, ours=True) for k in KINDS)
CHILDREN = (
    Kind("Deployment", "apps", "v1", "deployments"),
    Kind("Service", "", "v1", "services"),
    Kind("Secret", "", "v1", "secrets"),
    Kind("ConfigMap", "", "v1", "configmaps"),
    Kind("PersistentVolumeClaim", "", "v1", "persistentvolumeclaims"),
    Kind("NetworkPolicy", "networking.k8s.io", "v1", "networkpolicies"),
    Kind("PodDisruptionBudget", "policy", "v1", "poddisruptionbudgets"),
    Kind("Pod", "", "v1", "pods"),
)
WATCHED: tuple[Kind, ...] = OURS + CHILDREN
BY_NAME: dict[str, Kind] = {kind.name: kind for kind in WATCHED}
