"""The Service in front of the engine pods."""

from ondol.api import ModelDeployment
from ondol.render.engine_args import PORT
from ondol.render.engine_deployment import engine_labels, selector
from ondol.render.meta import Manifest, metadata, stamped


def endpoint(model: ModelDeployment) -> str:
    """Address of the engine's OpenAI-compatible API inside the cluster."""
    return f"http://{model.metadata.name}.{model.metadata.namespace}.svc:{PORT}/v1"


def engine_service(model: ModelDeployment) -> Manifest:
    """Render the Service."""
    return stamped(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata(model, model.metadata.name, engine_labels(model)),
            "spec": {
                "type": "ClusterIP",
                "selector": selector(model),
                "ports": [{"name": "http", "port": PORT, "targetPort": "http", "protocol": "TCP"}],
            },
        }
    )
