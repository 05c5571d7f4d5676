"""A fresh API server with what a measurement needs, one for each measurement.

Fresh, so that no measurement meets the objects of another, and so that the operator and the
floor find the same server.
"""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from e2e.apiserver import ApiServer, wait_until
from e2e.bench.config import LOAD_NAMESPACE, TAPE_NAMESPACE, Config
from e2e.bench.load import client
from e2e.bench.measure.audit import AuditLog, recogniser
from e2e.bench.measure.process import OperatorProcess, family_cpu

# The measured client is a service account with every right. A member of system:masters would be
# exempt from the server's flow control, which an operator in a cluster is not.
SYSTEM_NAMESPACE = "bench-system"
ACCOUNT = "measured"


@dataclass(frozen=True)
class World:
    """An API server, its audit log as it is read, and the token of the measured client."""

    server: ApiServer
    audit: AuditLog
    token: str
    kubeconfig: Path

    def admin(self, connections: int) -> aiohttp.ClientSession:
        """Return a session of the benchmark itself."""
        server = self.server
        return client(
            server.url, server.ca, server.token, connections=connections, agent="bench-load"
        )


@contextmanager
def world(config: Config) -> Iterator[World]:
    """Start an API server with CRDs, namespaces and the measured client's account."""
    recorded = {
        "level": "Request",
        "namespaces": [TAPE_NAMESPACE],
        "verbs": ["create", "update", "patch", "delete"],
    }
    with ApiServer(
        controller_manager=config.controller_manager,
        audit_level="Metadata",
        audit_rules=[recorded],
    ) as server:
        _prepare(server, config)
        user = f"system:serviceaccount:{SYSTEM_NAMESPACE}:{ACCOUNT}"
        token = server.service_account_token(SYSTEM_NAMESPACE, ACCOUNT)
        assert server.audit_log is not None
        mine = recogniser(config.operator.user or user, config.operator.user_agent)
        audit = AuditLog(server.audit_log, mine)
        try:
            yield World(server, audit, token, server.kubeconfig_for(ACCOUNT, token))
        except Exception as error:
            # The logs go with the server; a failure is seldom understood without them.
            error.add_note(server.log_tails())
            raise


@contextmanager
def running(config: Config, place: World) -> Iterator[OperatorProcess]:
    """Run the operator in a world; it is ready when the block is entered."""
    process = OperatorProcess(config.operator, place.kubeconfig, place.server.folder)
    try:
        process.start()
        process.wait_ready()
        yield process
    finally:
        process.stop()


def _prepare(server: ApiServer, config: Config) -> None:
    if config.crds:
        files = [f"--filename={path}" for path in config.crds]
        server.kubectl("apply", "--server-side", *files)
    names = (SYSTEM_NAMESPACE, LOAD_NAMESPACE, TAPE_NAMESPACE)
    namespaces = [_object("v1", "Namespace", name) for name in names]
    account = _object("v1", "ServiceAccount", ACCOUNT, namespace=SYSTEM_NAMESPACE)
    binding = {
        **_object("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "bench-measured"),
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "cluster-admin",
        },
        "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": SYSTEM_NAMESPACE}],
    }
    if config.crds:
        server.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    items = [*namespaces, account, binding, *config.setup]
    manifest = {"apiVersion": "v1", "kind": "List", "items": items}
    server.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(manifest))

    def served() -> bool:
        try:
            server.kubectl("get", "--raw", config.kind.path(LOAD_NAMESPACE))
        except subprocess.CalledProcessError:
            return False
        return True

    # A CRD is Established a moment before its path answers.
    wait_until(served, timeout=30)
    _wait_rest(server)


def _wait_rest(server: ApiServer) -> None:
    """Wait until a new server rests: for some seconds it builds schemas on all cores."""
    rested = 0
    for _ in range(60):
        before = family_cpu(*server.pids)
        time.sleep(0.5)
        rested = rested + 1 if family_cpu(*server.pids) - before < 0.1 else 0
        if rested == 2:
            return


def _object(api_version: str, kind: str, name: str, **metadata: str) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, **metadata}}
