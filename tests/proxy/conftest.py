"""Fixtures of the proxy tests: one proxy for a module, a fresh one where a test ends it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.proxy.harness import Proxy
from tests.proxy.litellm_env import NoEnvironmentError, litellm_python
from tests.proxy.mock_backend import Backend, backend

MakeProxy = Callable[..., Proxy]


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known where the project does not."""
    config.addinivalue_line("markers", "litellm: starts a real LiteLLM")


@pytest.fixture(scope="session")
def python() -> Path:
    """The interpreter with LiteLLM; without one the tests are skipped, and fail in CI."""
    try:
        return litellm_python()
    except (NoEnvironmentError, subprocess.CalledProcessError) as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no environment with LiteLLM: {error}")


@pytest.fixture(scope="session")
def engine() -> Iterator[Backend]:
    """The backend behind all models."""
    with backend() as server:
        yield server


@pytest.fixture(scope="module")
def make_proxy(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeProxy]:
    """Makes proxies that are not started yet, and ends them."""
    made: list[Proxy] = []

    def make(**environ: str) -> Proxy:
        made.append(Proxy(python, tmp_path_factory.mktemp("proxy"), **environ))
        return made[-1]

    yield make
    for proxy in made:
        proxy.stop()
