"""Fixtures of the proxy tests: one proxy for a module, a fresh one where a test ends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.proxy.harness import Proxy
from tests.proxy.litellm_env import litellm_python
from tests.proxy.mock_backend import Backend, backend

MakeProxy = Callable[..., Proxy]


@pytest.fixture(scope="session")
def python() -> Path:
    """The interpreter with LiteLLM."""
    return litellm_python()


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
