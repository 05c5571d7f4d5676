"""etcd, the API server, the controller manager and the scheduler."""

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path

from e2e.cluster import binaries, kubeconfig
from e2e.cluster.network import API_SERVICE_IP, NODE_IP, SERVICE_CIDR
from e2e.cluster.paths import KUBECONFIG, LOGS, STATE
from e2e.cluster.processes import Daemon, ensure
from e2e.cluster.shell import put, run, succeeds

SERVER = f"https://{NODE_IP}:6443"
AUDIT_LOG = LOGS / "audit.log"
_ETCD = "http://127.0.0.1:23790"
_ETCD_PEERS = "http://127.0.0.1:23800"
_AUDIT_POLICY = STATE / "audit-policy.json"


def start() -> None:
    """Start what does not run yet, one after the other, each when the one before is ready.

    Raises
    ------
    ClusterError
        When one of them does not become ready.
    """
    kubeconfig.make_ca()
    kubeconfig.write(KUBECONFIG, server=SERVER, user="ondol-admin", group="system:masters")
    put(_AUDIT_POLICY, json.dumps(_audit_policy()))
    ensure(_etcd())
    ensure(_api_server())
    ensure(_controller_manager())
    ensure(_scheduler())


def kubectl(*argv: str, stdin: str | None = None) -> str:
    """Run kubectl as the admin of this cluster, never of another one.

    Raises
    ------
    ClusterError
        When it fails.
    """
    # Its cache would go to ~/.kube, which is not ours.
    env = {"KUBECACHEDIR": str(STATE / "kubectl-cache")}
    return run(kubectl_program(), "--kubeconfig", KUBECONFIG, *argv, stdin=stdin, env=env)


def kubectl_program() -> Path:
    """Return the kubectl that belongs to this version, or the one in PATH where none was built."""
    built = binaries.directory() / "kubectl"
    return built if built.exists() else Path("kubectl")


def answers(url: str) -> Callable[[], bool]:
    """Return a check for whether an HTTP health endpoint says 200."""

    def check() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=2) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    return check


def _ready(path: str) -> Callable[[], bool]:
    return lambda: succeeds(kubectl_program(), "--kubeconfig", KUBECONFIG, "get", "--raw", path)


def _etcd() -> Daemon:
    argv = (
        binaries.directory() / "etcd",
        f"--data-dir={STATE}/etcd",
        f"--listen-client-urls={_ETCD}",
        f"--advertise-client-urls={_ETCD}",
        f"--listen-peer-urls={_ETCD_PEERS}",
        f"--initial-advertise-peer-urls={_ETCD_PEERS}",
        f"--initial-cluster=default={_ETCD_PEERS}",
        "--unsafe-no-fsync",  # a cluster for trying things may lose its last second
    )
    return Daemon("etcd", argv, answers(f"{_ETCD}/health"))


def _api_server() -> Daemon:
    names = "DNS:localhost,DNS:kubernetes.default.svc,DNS:kubernetes.default,DNS:kubernetes"
    hosts = f"{names},IP:127.0.0.1,IP:{NODE_IP},IP:{API_SERVICE_IP}"
    crt, key = kubeconfig.certificate("kube-apiserver", user="kube-apiserver", hosts=hosts)
    client_crt, client_key = kubeconfig.certificate(
        "kube-apiserver-kubelet-client", user="kube-apiserver-client", group="system:masters"
    )
    argv = (
        binaries.directory() / "kube-apiserver",
        f"--etcd-servers={_ETCD}",
        f"--bind-address={NODE_IP}",
        f"--advertise-address={NODE_IP}",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        f"--client-ca-file={kubeconfig.CA}",
        f"--tls-cert-file={crt}",
        f"--tls-private-key-file={key}",
        f"--kubelet-client-certificate={client_crt}",
        f"--kubelet-client-key={client_key}",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={kubeconfig.SERVICE_ACCOUNT_KEY}",
        f"--service-account-signing-key-file={kubeconfig.SERVICE_ACCOUNT_KEY}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--audit-log-path={AUDIT_LOG}",
        f"--audit-policy-file={_AUDIT_POLICY}",
        "--audit-log-maxsize=100",
        "--audit-log-maxbackup=2",
    )
    return Daemon("kube-apiserver", argv, _ready("/readyz"), inputs=(_AUDIT_POLICY,))


def _controller_manager() -> Daemon:
    config = STATE / "kube-controller-manager.kubeconfig"
    kubeconfig.write(config, server=SERVER, user="system:kube-controller-manager")
    argv = (
        binaries.directory() / "kube-controller-manager",
        f"--kubeconfig={config}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={kubeconfig.SERVICE_ACCOUNT_KEY}",
        f"--root-ca-file={kubeconfig.CA}",
        f"--cluster-signing-cert-file={kubeconfig.CA}",
        f"--cluster-signing-key-file={kubeconfig.CA_KEY}",
    )
    has_accounts = _ready("/api/v1/namespaces/default/serviceaccounts/default")
    return Daemon("kube-controller-manager", argv, has_accounts)


def _scheduler() -> Daemon:
    config = STATE / "kube-scheduler.kubeconfig"
    kubeconfig.write(config, server=SERVER, user="system:kube-scheduler")
    argv = (
        binaries.directory() / "kube-scheduler",
        f"--kubeconfig={config}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
    )
    return Daemon("kube-scheduler", argv, lambda: True)


def _audit_policy() -> dict[str, object]:
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{"level": "Metadata"}],
    }
