"""The API `ondol.dev/v1alpha1`: one file per kind, and the CRDs made from them."""

from ondol.api.base import GROUP, VERSION, Condition, Resource
from ondol.api.chatfrontend import ChatFrontend
from ondol.api.modeldeployment import ModelDeployment
from ondol.api.modelproxy import ModelProxy
from ondol.api.proxyroute import ProxyRoute

KINDS: tuple[type[Resource], ...] = (ModelDeployment, ProxyRoute, ModelProxy, ChatFrontend)

__all__ = [
    "GROUP",
    "KINDS",
    "VERSION",
    "ChatFrontend",
    "Condition",
    "ModelDeployment",
    "ModelProxy",
    "ProxyRoute",
    "Resource",
]
