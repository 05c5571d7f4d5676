"""A real kube-apiserver, and the operator as a process with its own RBAC."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from e2e.apiserver import ApiServer
from tests.apiserver.support import NAMESPACE, ROOT, Cluster, Operator, release_lease


@pytest.fixture(scope="session")
def server() -> Iterator[ApiServer]:
    with ApiServer() as running:
        yield running


@pytest.fixture(scope="session")
def cluster(server: ApiServer) -> Cluster:
    server.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
    server.kubectl(
        "wait", "--for=condition=Established", "crd", "-l", "app.kubernetes.io/part-of=ondol"
    )
    server.kubectl("apply", "-f", "-", input=rbac())
    return Cluster(server)


def rbac() -> str:
    """What the base gives the operator, without the operator."""
    folder = ROOT / "manifests" / "base"
    documents = [*yaml.safe_load_all((folder / "namespace.yaml").read_text())]
    for document in yaml.safe_load_all((folder / "rbac.yaml").read_text()):
        if not document["kind"].startswith("ClusterRole"):
            document["metadata"]["namespace"] = NAMESPACE
        for subject in document.get("subjects", []):
            subject["namespace"] = NAMESPACE
        documents.append(document)
    return yaml.safe_dump_all(documents)


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> str:
    """A namespace of the test's own."""
    name = "t-" + "".join(c if c.isalnum() else "-" for c in request.node.name)[5:55].strip("-")
    body = {"metadata": {"name": name.lower()}}
    cluster.create("/api/v1/namespaces", body)
    return name.lower()


@pytest.fixture(scope="module")
def operator(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """An operator that acts, for all tests of a file."""
    running = Operator(cluster, tmp_path_factory.mktemp("operator"))
    try:
        yield running.wait_acting()
    finally:
        if running.process.poll() is None:
            running.stop()
        print(running.log.read_text())


@pytest.fixture
def start(cluster: Cluster, tmp_path: Path) -> Iterator[Callable[..., Operator]]:
    """Start operators by hand; all are ended with the test."""
    running: list[Operator] = []

    def start_one(**settings: str) -> Operator:
        running.append(Operator(cluster, tmp_path, **settings))
        return running[-1]

    yield start_one
    for one in running:
        if one.process.poll() is None:
            one.kill()
        print(one.log.read_text())
    if any(one.process.returncode == -9 for one in running):
        release_lease(cluster)
