"""The ProxyRoute that publishes a ModelDeployment."""

from ondol.api import GROUP, VERSION, ModelDeployment
from ondol.render.engine_deployment import engine_labels
from ondol.render.meta import Manifest, metadata, stamped


def engine_route(model: ModelDeployment) -> Manifest:
    """Render the ProxyRoute."""
    publish = model.spec.publish
    return stamped(
        {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "ProxyRoute",
            "metadata": metadata(model, model.metadata.name, engine_labels(model)),
            "spec": {
                "proxyRef": publish.proxy_ref.model_dump(by_alias=True, exclude_none=True),
                "model": model.public_name,
                "aliases": list(publish.aliases),
                "backends": [{"modelDeploymentRef": {"name": model.metadata.name}, "weight": 1}],
            },
        }
    )
