"""What the API server has, as far as the operator has seen it.

Filled by lists, watch events and the answers to our own writes; the newest resource version
wins, so that a late event never undoes what a later answer said.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from ondol.api import GROUP
from ondol.cluster.kinds import OURS

Object = dict[str, Any]
Key = tuple[str, str, str]
"""Kind, namespace, name."""

OUR_KINDS = frozenset(kind.name for kind in OURS)


def key_of(obj: Object) -> Key:
    """Kind, namespace and name of an object."""
    meta = obj["metadata"]
    return (obj["kind"], meta.get("namespace", ""), meta["name"])


def version_of(obj: Object) -> int:
    """Resource version as a number; comparable since Kubernetes 1.35 (KEP-5504)."""
    return int(obj["metadata"]["resourceVersion"])


class Store:
    """All known objects. Children are kept as JSON text: a tenth of the memory of dicts."""

    def __init__(self) -> None:
        self._objects: dict[Key, Object | bytes] = {}
        self._versions: dict[Key, tuple[str, int]] = {}
        self._by_kind: dict[str, set[Key]] = defaultdict(set)
        self._pods: dict[tuple[str, str, str], set[Key]] = defaultdict(set)

    def get(self, key: Key) -> Object | None:
        """Return an object as last seen; do not change it."""
        found = self._objects.get(key)
        if isinstance(found, bytes):
            obj: Object = json.loads(found)
            return obj
        return found

    def keys(self, kind: str) -> list[Key]:
        """Keys of all objects of a kind, sorted."""
        return sorted(self._by_kind[kind])

    def all(self, kind: str) -> Iterator[Object]:
        """All objects of a kind, sorted by key."""
        for key in self.keys(kind):
            obj = self.get(key)
            if obj is not None:
                yield obj

    def pods(self, label: str, namespace: str, value: str) -> list[Object]:
        """Pods that carry one of our labels with this value, sorted by key."""
        found = (self.get(key) for key in sorted(self._pods[(label, namespace, value)]))
        return [pod for pod in found if pod is not None]

    def put(self, obj: Object) -> bool:
        """Keep an object; False when it is not newer than what is known."""
        key = key_of(obj)
        version = (obj["metadata"]["uid"], version_of(obj))
        known = self._versions.get(key)
        if known and known[1] >= version[1]:
            return False
        obj["metadata"].pop("managedFields", None)
        self._objects[key] = obj if key[0] in OUR_KINDS else json.dumps(obj).encode()
        self._versions[key] = version
        self._by_kind[key[0]].add(key)
        if key[0] == "Pod":
            for label, value in obj["metadata"].get("labels", {}).items():
                if label.startswith(f"{GROUP}/"):
                    self._pods[(label, key[1], value)].add(key)
        return True

    def remove(self, obj: Object) -> bool:
        """Forget an object; False when it is unknown or another one has its name by now."""
        key = key_of(obj)
        known = self._versions.get(key)
        if not known or known[0] != obj["metadata"]["uid"]:
            return False
        self._forget(key)
        return True

    def replace(
        self, kind: str, objects: list[Object], started: int, namespace: str | None = None
    ) -> tuple[list[Object], list[Object]]:
        """Take over a complete list of a kind; return what changed, and what is gone.

        Parameters
        ----------
        kind
            Kind that was listed.
        objects
            The whole list.
        started
            Highest resource version known before the list was asked for: what came later by
            watch or by our own writes is not dropped for being absent from the list.
        namespace
            The namespace that was listed; all when None.
        """
        changed = [obj for obj in objects if self.put(obj)]
        listed = {key_of(obj) for obj in objects}
        gone: list[Object] = []
        for key in self.keys(kind):
            if namespace is not None and key[1] != namespace:
                continue
            obj = self.get(key)
            if obj is not None and key not in listed and self._versions[key][1] <= started:
                self._forget(key)
                gone.append(obj)
        return changed, gone

    def newest_version(self) -> int:
        """Highest resource version seen, 0 when nothing was."""
        return max((version for _, version in self._versions.values()), default=0)

    def _forget(self, key: Key) -> None:
        del self._objects[key]
        del self._versions[key]
        self._by_kind[key[0]].discard(key)
        if key[0] == "Pod":
            for keys in self._pods.values():
                keys.discard(key)
