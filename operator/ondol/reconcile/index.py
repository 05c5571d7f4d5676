"""Which routes belong to a proxy or use a model, so that one change need not scan all."""

from collections import defaultdict
from typing import Any

NameKey = tuple[str, str]
"""Namespace and name."""


class RouteIndex:
    """Routes by proxy and by model, kept up with the store."""

    def __init__(self, proxy_namespace: str) -> None:
        self._proxy_namespace = proxy_namespace
        self._proxy: dict[NameKey, NameKey] = {}
        self._models: dict[NameKey, frozenset[NameKey]] = {}
        self._by_proxy: dict[NameKey, set[NameKey]] = defaultdict(set)
        self._by_model: dict[NameKey, set[NameKey]] = defaultdict(set)

    def put(self, obj: dict[str, Any]) -> None:
        """Take in a ProxyRoute as the API server gives it."""
        key = (obj["metadata"]["namespace"], obj["metadata"]["name"])
        self.remove(key)
        ref = obj["spec"].get("proxyRef", {})
        proxy = (ref.get("namespace") or self._proxy_namespace, ref.get("name", "default"))
        models = frozenset(
            (key[0], backend["modelDeploymentRef"]["name"])
            for backend in obj["spec"].get("backends", [])
            if "modelDeploymentRef" in backend
        )
        self._proxy[key], self._models[key] = proxy, models
        self._by_proxy[proxy].add(key)
        for model in models:
            self._by_model[model].add(key)

    def remove(self, key: NameKey) -> None:
        """Forget a route."""
        if proxy := self._proxy.pop(key, None):
            self._by_proxy[proxy].discard(key)
        for model in self._models.pop(key, frozenset()):
            self._by_model[model].discard(key)

    def proxy_of(self, route: NameKey) -> NameKey | None:
        """The proxy that a route wants, None for an unknown route."""
        return self._proxy.get(route)

    def of_proxy(self, proxy: NameKey) -> list[NameKey]:
        """Routes that want a proxy, sorted."""
        return sorted(self._by_proxy[proxy])

    def proxies_of_model(self, model: NameKey) -> set[NameKey]:
        """Proxies of the routes that use a model."""
        return {self._proxy[route] for route in self._by_model[model]}
