"""What the operator's settings give to every rendered object."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Defaults:
    """Images for objects that name none, and the namespace of the proxy."""

    engine_image: str
    proxy_image: str
    frontend_image: str
    proxy_namespace: str
