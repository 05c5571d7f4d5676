"""The whole chain for the tests of this folder, and what to read when one fails."""

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.cluster import up
from e2e.cluster.log import ClusterError
from e2e.deploy import (
    CHAT_MODEL,
    EMBEDDING_MODEL,
    EXAMPLE,
    FRONTEND,
    PROXY,
    apply_example,
    forwarded,
    install_operator,
    secret,
)
from e2e.kubectl import items, kubectl, wait_for, wait_ready
from e2e.openwebui import models, sign_in
from e2e.proxy import Proxy

GPUS = 4
READY_AGAIN_SECONDS = 120
NAMES = sorted([CHAT_MODEL[2], EMBEDDING_MODEL[2]])


@dataclass(frozen=True)
class Page:
    """Open WebUI's address and the administrator's session."""

    url: str
    token: str

    def models(self) -> list[str]:
        """Names in the page's model list."""
        return models(self.url, self.token)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a developer test the chain that runs."""
    parser.addoption(
        "--as-is", action="store_true", help="use the chain that runs: build and install nothing"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder: all need the cluster."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def chain(request: pytest.FixtureRequest) -> None:
    """Cluster, operator and example, all Ready. They stay up: `make down` ends them."""
    if not request.config.getoption("--as-is"):
        # It takes minutes on a new machine: say meanwhile what is going on.
        capture = request.config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            print()
            up.up(gpu_count=GPUS)
            install_operator()
            apply_example()
    wait_ready(EXAMPLE, READY_AGAIN_SECONDS)


@pytest.fixture(autouse=True)
def as_it_was(chain: None) -> Iterator[None]:
    """Hold every test to leaving the example Ready."""
    yield
    wait_ready(EXAMPLE, READY_AGAIN_SECONDS)


@pytest.fixture
def proxy_url() -> Iterator[str]:
    """Address under which this machine reaches the proxy."""
    with forwarded(PROXY[1], f"{PROXY[2]}-proxy", "/v1/models") as url:
        yield url


@pytest.fixture
def master(proxy_url: str) -> Proxy:
    """The proxy, for its administrator."""
    return Proxy(proxy_url, secret(PROXY[1], f"{PROXY[2]}-proxy-master", "master-key"))


@pytest.fixture
def chat(proxy_url: str) -> Proxy:
    """The proxy, for the frontend's chats."""
    return Proxy(proxy_url, secret(FRONTEND[1], f"{FRONTEND[2]}-ui-keys", "chat-key"))


@pytest.fixture
def embeddings(proxy_url: str) -> Proxy:
    """The proxy, for the frontend's documents."""
    return Proxy(proxy_url, secret(FRONTEND[1], f"{FRONTEND[2]}-ui-keys", "embedding-key"))


@pytest.fixture
def page() -> Iterator[Page]:
    """Open WebUI with its administrator signed in."""
    _, namespace, name = FRONTEND
    admin = f"{name}-ui-admin"
    email, password = secret(namespace, admin, "email"), secret(namespace, admin, "password")
    with forwarded(namespace, f"{name}-ui", "/health") as url:
        yield Page(url, sign_in(url, email, password))


@pytest.fixture
def at_end() -> Iterator[Callable[[Callable[[], object]], None]]:
    """Take functions that put back what the test changes; the last one runs first."""
    with ExitStack() as stack:

        def add(function: Callable[[], object]) -> None:
            stack.callback(function)

        yield add


@pytest.fixture
def names_back(master: Proxy, at_end: Callable[[Callable[[], object]], None]) -> None:
    """Wait, after the test, until the proxy lists the example's names only."""
    at_end(lambda: wait_for("names", lambda: master.models() == NAMES, 60))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the state of the cluster to the report of a failure."""
    report = yield
    if report.failed and item.get_closest_marker("cluster"):
        report.sections.append(("cluster", _diagnosis()))
    return report


def _diagnosis() -> str:
    commands = [
        ["get", "ondol,deployments,pods", "-A", "-o", "wide"],
        ["get", "events", "-A", "--sort-by=.lastTimestamp"],
        ["logs", "-n", PROXY[1], "deployment/ondol", "--tail=40"],
        ["logs", "-n", PROXY[1], f"deployment/{PROXY[2]}-proxy", "--tail=40"],
    ]
    for pod in _troubled():
        commands.append(["describe", "pod", "-n", pod[0], pod[1]])
        commands.append(["logs", "-n", pod[0], pod[1], "--tail=40"])
    return "\n\n".join(f"$ kubectl {' '.join(args)}\n{_try(args)}" for args in commands)


def _troubled() -> list[tuple[str, str]]:
    """Namespaces and names of the pods that are not ready."""
    try:
        pods = items("pods", "-A")
    except (ClusterError, OSError, ValueError):
        return []
    return [
        (pod["metadata"]["namespace"], pod["metadata"]["name"])
        for pod in pods
        if not all(c.get("ready") for c in pod["status"].get("containerStatuses", [{}]))
    ]


def _try(args: list[str]) -> str:
    try:
        return "\n".join(kubectl(*args, seconds=30).splitlines()[-60:])
    except Exception as error:  # noqa: BLE001 - a diagnosis must not hide the failure
        return str(error)
