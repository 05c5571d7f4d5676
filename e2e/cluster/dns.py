"""The cluster's DNS server, where charts and NetworkPolicies look for it: kube-system, kube-dns."""

import json

from e2e.cluster import images
from e2e.cluster.control_plane import kubectl
from e2e.cluster.network import DNS_SERVICE_IP

_CORE_FILE = """.:53 {
  errors
  health
  ready
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    pods insecure
    fallthrough in-addr.arpa ip6.arpa
  }
  forward . /etc/resolv.conf
  cache 30
}
"""
_ANY_PORT = {"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}  # 53 without root
_LABELS = {"k8s-app": "kube-dns"}
_META = {"name": "coredns", "namespace": "kube-system", "labels": _LABELS}
_READABLE = (
    ("", ["endpoints", "services", "pods", "namespaces"]),
    ("discovery.k8s.io", ["endpointslices"]),
)


def start() -> None:
    """Create the server and wait until it answers for the cluster.

    Raises
    ------
    ClusterError
        When it does not become ready.
    """
    objects = {"apiVersion": "v1", "kind": "List", "items": [*_access(), *_server()]}
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(objects))
    kubectl("-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=90s")


def _access() -> list[dict[str, object]]:
    rules = [
        {"apiGroups": [group], "resources": resources, "verbs": ["list", "watch"]}
        for group, resources in _READABLE
    ]
    rbac = "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", "name": "coredns", "namespace": "kube-system"}
    role = {"apiGroup": rbac, "kind": "ClusterRole", "name": "system:coredns"}
    name = {"name": "system:coredns"}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _META},
        {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": name, "rules": rules},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": name,
            "roleRef": role,
            "subjects": [subject],
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": _META,
            "data": {"Corefile": _CORE_FILE},
        },
    ]


def _server() -> list[dict[str, object]]:
    container = {
        "name": "coredns",
        "image": images.COREDNS.name,
        "imagePullPolicy": "Never",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns"}],
    }
    pod = {
        "serviceAccountName": "coredns",
        "dnsPolicy": "Default",
        "containers": [container],
        "securityContext": {"sysctls": [_ANY_PORT]},
        "volumes": [{"name": "config", "configMap": {"name": "coredns"}}],
    }
    spec = {
        "selector": {"matchLabels": _LABELS},
        "template": {"metadata": {"labels": _LABELS}, "spec": pod},
    }
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
    ]
    service = {"clusterIP": DNS_SERVICE_IP, "selector": _LABELS, "ports": ports}
    return [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": _META, "spec": spec},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {**_META, "name": "kube-dns"},
            "spec": service,
        },
    ]
