"""The node: kubelet, kube-proxy and, for NetworkPolicies, kube-router."""

import json
from pathlib import Path

from e2e.cluster import binaries, kubeconfig
from e2e.cluster.control_plane import SERVER, answers, kubectl
from e2e.cluster.log import ClusterError
from e2e.cluster.network import DNS_SERVICE_IP, NODE_IP, POD_CIDR
from e2e.cluster.paths import CONTAINERD_SOCKET, LOGS, STATE
from e2e.cluster.processes import Daemon, ensure
from e2e.cluster.shell import put, wait_for

NAME = "ondol-local"


def start() -> None:
    """Start the node's processes and wait until the node is ready for pods.

    Raises
    ------
    ClusterError
        When one of them, or the node, does not become ready.
    """
    ensure(_kubelet())
    ensure(_kube_proxy())
    ensure(_kube_router())
    wait_for(f"node {NAME}", is_ready, seconds=90)


def is_ready() -> bool:
    """Say whether the node takes pods."""
    path = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
    try:
        return kubectl("get", "node", NAME, "-o", path) == "True"
    except ClusterError:
        return False


def _kubelet() -> Daemon:
    config = STATE / "kubelet.json"
    crt, key = kubeconfig.certificate(
        "kubelet-serving", user=f"system:node:{NAME}", hosts=f"DNS:{NAME},IP:{NODE_IP}"
    )
    put(config, json.dumps(_kubelet_configuration(crt, key), indent=1))
    access = STATE / "kubelet.kubeconfig"
    kubeconfig.write(access, server=SERVER, user=f"system:node:{NAME}", group="system:nodes")
    argv = (
        binaries.directory() / "kubelet",
        f"--config={config}",
        f"--kubeconfig={access}",
        f"--root-dir={STATE}/kubelet",
        f"--hostname-override={NAME}",
        f"--node-ip={NODE_IP}",
    )
    return Daemon("kubelet", argv, answers("http://127.0.0.1:10248/healthz"), inputs=(config,))


def _kubelet_configuration(crt: Path, key: Path) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_IP,
        "tlsCertFile": str(crt),
        "tlsPrivateKeyFile": str(key),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(kubeconfig.CA)},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "clusterDNS": [DNS_SERVICE_IP],
        "clusterDomain": "cluster.local",
        "podLogsDir": str(LOGS / "pods"),
        # Machines with the old cgroups, and with either driver, are fine.
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "enforceNodeAllocatable": [],
        "makeIPTablesUtilChains": False,
        "failSwapOn": False,
        # Nothing can pull an image again: none is ever removed, and a full disk evicts nobody.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%"},
    }


def _kube_proxy() -> Daemon:
    config = STATE / "kube-proxy.json"
    access = STATE / "kube-proxy.kubeconfig"
    kubeconfig.write(access, server=SERVER, user="system:kube-proxy")
    document = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(access)},
        "hostnameOverride": NAME,
        "clusterCIDR": POD_CIDR,
        "conntrack": {"maxPerCore": 0},
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
    }
    put(config, json.dumps(document, indent=1))
    argv = (binaries.directory() / "kube-proxy", f"--config={config}")
    return Daemon("kube-proxy", argv, answers("http://127.0.0.1:10256/healthz"), inputs=(config,))


def _kube_router() -> Daemon:
    access = STATE / "kube-router.kubeconfig"
    kubeconfig.write(access, server=SERVER, user="kube-router", group="system:masters")
    argv = (
        binaries.directory() / "kube-router",
        f"--kubeconfig={access}",
        f"--hostname-override={NAME}",
        "--run-firewall=true",
        "--run-router=false",
        "--run-service-proxy=false",
        "--run-loadbalancer=false",
        "--health-port=0",
        "--metrics-port=0",
    )
    return Daemon("kube-router", argv, lambda: True)
