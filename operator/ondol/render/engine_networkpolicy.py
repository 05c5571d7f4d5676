"""The NetworkPolicy that keeps everybody but the proxies away from the engine.

vLLM guards only some of its paths with the key (`/invocations` answers without one), so the
network has to.
"""

from ondol.api import ModelDeployment
from ondol.render.defaults import Defaults
from ondol.render.engine_args import PORT
from ondol.render.engine_deployment import engine_labels, selector
from ondol.render.meta import PROXY_LABEL, Manifest, metadata, stamped


def engine_networkpolicy(model: ModelDeployment, defaults: Defaults) -> Manifest:
    """Render the NetworkPolicy: in from proxy pods of the proxy's namespace only."""
    proxy_namespace = model.spec.publish.proxy_ref.namespace or defaults.proxy_namespace
    return stamped(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": metadata(model, model.metadata.name, engine_labels(model)),
            "spec": {
                "podSelector": {"matchLabels": selector(model)},
                "policyTypes": ["Ingress"],
                "ingress": [
                    {
                        "from": [
                            {
                                "namespaceSelector": {
                                    "matchLabels": {"kubernetes.io/metadata.name": proxy_namespace}
                                },
                                "podSelector": {
                                    "matchExpressions": [{"key": PROXY_LABEL, "operator": "Exists"}]
                                },
                            }
                        ],
                        "ports": [{"port": PORT, "protocol": "TCP"}],
                    }
                ],
            },
        }
    )
