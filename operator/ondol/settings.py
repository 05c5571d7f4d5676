"""The operator's settings: environment variables that start with ONDOL_."""

import socket
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from ondol.render.defaults import Defaults


class Settings(BaseSettings):
    """Each field is set by ONDOL_ and its name in capitals, but for `kubeconfig`."""

    model_config = SettingsConfigDict(
        env_prefix="ONDOL_", use_attribute_docstrings=True, frozen=True
    )

    namespace: str = "ondol-system"
    """The operator's own namespace; it holds the Lease."""
    proxy_namespace: str = "ondol-system"
    """Namespace of the ModelProxy for objects that name none."""
    watch_namespaces: Annotated[list[str], Field(max_length=100)] = []
    """Namespaces to serve, as a JSON list; all when empty."""
    engine_image: str = "vllm/vllm-openai:v0.33.0"
    """vLLM's image for ModelDeployments that name none."""
    proxy_image: str = "litellm/litellm:v1.106.2"
    """LiteLLM's image for ModelProxies that name none."""
    frontend_image: str = "openwebui/open-webui:v0.12.4"
    """Open WebUI's image for ChatFrontends that name none."""
    kubeconfig: str | None = Field(None, validation_alias="KUBECONFIG")
    """Path of a kubeconfig, from KUBECONFIG; without it the pod's service account is used."""
    identity: str = Field(default_factory=socket.gethostname)
    """Who this operator is in the Lease; unique for each process."""
    workers: Annotated[int, Field(ge=1, le=64)] = 8
    """Objects worked on at once."""
    resync_seconds: Annotated[int, Field(ge=10, le=86_400)] = 300
    """Time between complete lists, which find what a watch has missed."""
    listen: str = "0.0.0.0"  # noqa: S104 - probes and Prometheus come from outside the pod
    """Address of the health and metrics server."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """Port of the health and metrics server."""
    log_level: str = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""

    @property
    def defaults(self) -> Defaults:
        """The part that renderers need."""
        return Defaults(
            engine_image=self.engine_image,
            proxy_image=self.proxy_image,
            frontend_image=self.frontend_image,
            proxy_namespace=self.proxy_namespace,
        )
