"""The Secret with the engine's key."""

import base64

from ondol.api import ModelDeployment
from ondol.render.meta import MODEL_LABEL, Manifest, labels, metadata, stamped

KEY = "api-key"


def secret_name(model: ModelDeployment) -> str:
    """Name of the Secret."""
    return f"{model.metadata.name}-engine-key"


def engine_secret(model: ModelDeployment, key: str) -> Manifest:
    """Render the Secret with a key that the caller has drawn."""
    return stamped(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "metadata": metadata(
                model,
                secret_name(model),
                labels(model.metadata.name, "vllm", **{MODEL_LABEL: model.metadata.name}),
            ),
            "data": {KEY: base64.b64encode(key.encode()).decode()},
        }
    )
