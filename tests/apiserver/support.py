"""The API server and the operator as tests use them."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from e2e.apiserver import ApiServer, free_ports, spawn
from ondol.cluster.kinds import WATCHED, Kind

ROOT = Path(__file__).parents[2]
NAMESPACE = "ondol-system"
SERVICE_ACCOUNT = f"system:serviceaccount:{NAMESPACE}:ondol"
KINDS = {kind.name: kind for kind in WATCHED}
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"

Object = dict[str, Any]


class Cluster:
    """The API server as tests use it: objects in, objects out."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self._session = requests.Session()
        self._session.trust_env = False  # REQUESTS_CA_BUNDLE would win over the next line
        self._session.verify = str(server.ca)
        self._session.headers["Authorization"] = f"Bearer {server.token}"

    def request(self, method: str, path: str, body: Any = None, kind: str = "") -> Object:
        headers = {"Content-Type": kind or "application/json"}
        answer = self._session.request(
            method, self.server.url + path, json=body, headers=headers, timeout=30
        )
        if answer.status_code >= 400:
            raise RefusedError(answer.status_code, answer.json().get("message", answer.text))
        result: Object = answer.json()
        return result

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        try:
            return self.request("GET", KINDS[kind].path(namespace, name))
        except RefusedError as error:
            if error.status == 404:
                return None
            raise

    def list(self, kind: Kind, namespace: str) -> list[Object]:
        items: list[Object] = self.request("GET", kind.path(namespace))["items"]
        return items

    def apply(self, obj: Object) -> Object:
        """Apply as a user does."""
        meta = obj["metadata"]
        path = KINDS[obj["kind"]].path(meta["namespace"], meta["name"])
        return self.request("PATCH", f"{path}?fieldManager=user&force=true", obj, APPLY)

    def merge(self, kind: str, namespace: str, name: str, patch: Object, sub: str = "") -> Object:
        return self.request("PATCH", KINDS[kind].path(namespace, name, sub), patch, MERGE)

    def delete(self, kind: str, namespace: str, name: str) -> None:
        self.request("DELETE", KINDS[kind].path(namespace, name))

    def create(self, path: str, obj: Object) -> Object:
        return self.request("POST", path, obj)

    def condition(self, kind: str, namespace: str, name: str, condition: str) -> Object:
        obj = self.get(kind, namespace, name) or {}
        found = (c for c in obj.get("status", {}).get("conditions", []) if c["type"] == condition)
        return next(found, {"status": "absent", "reason": "", "message": ""})

    def versions(self, namespace: str) -> dict[tuple[str, str], str]:
        """Resource version of every object of the kinds that the operator touches."""
        return {
            (kind.name, obj["metadata"]["name"]): obj["metadata"]["resourceVersion"]
            for kind in WATCHED
            for obj in self.list(kind, namespace)
        }


class RefusedError(Exception):
    """An answer of the API server that is not a success."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


def wait_for(check: Callable[[], Any], seconds: float = 15) -> Any:
    """Wait until something is true and return it."""
    deadline = time.monotonic() + seconds
    while True:
        if result := check():
            return result
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.05)


class Operator:
    """An operator process."""

    def __init__(self, cluster: Cluster, folder: Path, **settings: str) -> None:
        server = cluster.server
        token = server.service_account_token(NAMESPACE, "ondol")
        [self.port] = free_ports(1)
        self.log = folder / f"operator-{self.port}.log"
        env = {
            **os.environ,
            "KUBECONFIG": str(server.kubeconfig_for(SERVICE_ACCOUNT, token)),
            "PYTHONPATH": str(ROOT / "operator"),
            "ONDOL_LISTEN": "127.0.0.1",
            "ONDOL_PORT": str(self.port),
            **settings,
        }
        command = [sys.executable, "-m", "ondol.cli", "run"]
        self.process = spawn(command, log=self.log, env=env)

    def answers(self, path: str) -> int:
        try:
            return requests.get(f"http://127.0.0.1:{self.port}{path}", timeout=5).status_code
        except requests.ConnectionError:
            return 0

    def metrics(self) -> str:
        return requests.get(f"http://127.0.0.1:{self.port}/metrics", timeout=5).text

    def wait_acting(self) -> "Operator":
        wait_for(
            lambda: "holds the lease" in self.log.read_text() and self.answers("/readyz") == 200
        )
        return self

    def kill(self) -> None:
        """End at once, as when the node dies: the lease is not given back."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End as Kubernetes does."""
        self.process.terminate()
        return self.process.wait(20)


def model(namespace: str, name: str, **spec: Any) -> Object:
    full = {
        "model": {"source": "pvc://weights/m"},
        "resources": {"gpu": {"count": 1}, "memory": "2048Mi"},
        **spec,
    }
    return {
        "apiVersion": "ondol.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": full,
    }


CHILDREN = (
    ("Secret", "{}-engine-key"),
    ("Deployment", "{}"),
    ("Service", "{}"),
    ("NetworkPolicy", "{}"),
    ("ProxyRoute", "{}"),
)


def children(cluster: Cluster, namespace: str, name: str) -> list[Object]:
    """Children of a ModelDeployment that exist."""
    found = (cluster.get(kind, namespace, pattern.format(name)) for kind, pattern in CHILDREN)
    return [child for child in found if child]


def settle(cluster: Cluster, namespace: str, name: str) -> dict[tuple[str, str], str]:
    """Wait until a model and its route have a status; return all resource versions."""
    wait_for(lambda: len(children(cluster, namespace, name)) == len(CHILDREN))
    wait_for(lambda: cluster.condition("ModelDeployment", namespace, name, "Ready")["reason"])
    wait_for(lambda: cluster.condition("ProxyRoute", namespace, name, "Ready")["reason"])
    return cluster.versions(namespace)


def sentinel(cluster: Cluster, namespace: str) -> None:
    """Wait until the operator has done all that was asked of it before now."""
    cluster.apply(model(namespace, "sentinel"))
    settle(cluster, namespace, "sentinel")


def others(versions: dict[tuple[str, str], str]) -> dict[tuple[str, str], str]:
    """Resource versions without those of the sentinel."""
    return {key: v for key, v in versions.items() if not key[1].startswith("sentinel")}


def release_lease(cluster: Cluster) -> None:
    """Do for a killed operator what it would have done itself, so that the next need not wait."""
    path = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/ondol"
    cluster.request("PATCH", path, {"spec": {"holderIdentity": ""}}, MERGE)
