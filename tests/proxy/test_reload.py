"""A changed config: served when it loads, refused with a reason and without harm when not."""

from __future__ import annotations

import itertools
import json
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import pytest

from tests.proxy.harness import CODE, MASTER_KEY, Proxy, eventually, model
from tests.proxy.mock_backend import Backend
from tests.proxy.stream import Stream

pytestmark = pytest.mark.litellm
_hashes = (f"h{number}" for number in itertools.count(1))


@pytest.fixture(scope="module")
def proxy(make_proxy: Callable[..., Proxy], tmp_path_factory: pytest.TempPathFactory) -> Proxy:
    """A proxy that was started without any config (see the first test)."""
    modules = tmp_path_factory.mktemp("modules")
    (modules / "hanging.py").write_text("import time\ntime.sleep(3600)\n")
    made = make_proxy(ONDOL_CHECK_SECONDS="5", PYTHONPATH=f"{CODE}:{modules}")
    made.start()
    return made


@pytest.fixture
def served(proxy: Proxy, engine: Backend) -> Proxy:
    """The proxy, serving a config with one model."""
    hash_ = next(_hashes)
    proxy.write_config(model("chat", engine.url), hash_=hash_)
    proxy.serves(hash_)
    return proxy


def test_without_a_config_it_says_so_and_is_not_ready(proxy: Proxy) -> None:
    status = proxy.status()
    assert (status["models"], status["error"]) == (0, "config.yaml is not mounted")
    assert proxy.request("GET", "/health/readiness")[0] == 503


def test_a_new_model_is_served(served: Proxy, engine: Backend) -> None:
    assert served.models() == {"chat"}
    reloads = served.status()["reloads"]
    hash_ = next(_hashes)
    served.write_config(model("chat", engine.url), model("more", engine.url), hash_=hash_)
    expected = {"models": 2, "reloads": reloads + 1, "error": "", "errorHash": ""}
    assert served.serves(hash_) == {"hash": hash_} | expected
    assert served.models() == {"chat", "more"}
    assert served.chat("more")[0] == 200


BAD = {
    "yaml": ("model_list: [", "config.yaml, line 1: no valid YAML"),
    "list": ("[]", "not a mapping"),
    "field": ('{"model_list": [{"model_name": "x"}]}', "litellm_params"),
    "provider": (
        '{"model_list": [{"model_name": "odd", "litellm_params": {"model": "nobody/x"}}]}',
        "LiteLLM cannot serve odd",
    ),
    "variable": (
        '{"model_list": [{"model_name": "x", "litellm_params": {"model": "hosted_vllm/x",'
        ' "api_base": "http://127.0.0.1:1/v1", "api_key": "os.environ/ONDOL_KEY_GONE"}}]}',
        "neither mounted nor set: ONDOL_KEY_GONE",
    ),
    "include": ('{"include": ["gone.yaml"]}', "gone.yaml"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_config_changes_nothing_but_the_status(
    served: Proxy, engine: Backend, case: str
) -> None:
    text, reason = BAD[case]
    before, workers = served.status()["hash"], served.workers()
    bad, good = next(_hashes), next(_hashes)
    served.write_text(text, hash_=bad)
    assert reason in served.refuses(bad)
    assert served.status()["hash"] == before
    assert served.models() == {"chat"}
    assert workers & served.workers(), "the workers were restarted for nothing"

    served.write_config(model("chat", engine.url), model("fixed", engine.url), hash_=good)
    assert served.serves(good)["models"] == 2
    eventually("the error is gone", lambda: served.status()["error"] == "")


def test_the_old_config_again_ends_the_error(served: Proxy, engine: Backend) -> None:
    before, bad = served.status()["hash"], next(_hashes)
    served.write_text("x: [", hash_=bad)
    served.refuses(bad)
    served.write_config(model("chat", engine.url), hash_=before)
    eventually("the error is gone", lambda: served.status()["error"] == "")


def test_an_included_file_counts(served: Proxy, engine: Backend) -> None:
    hash_ = next(_hashes)
    more = json.dumps({"model_list": [model("inc", engine.url)]})
    main = '{"include": ["more.yaml"], "model_list": []}'
    served.config.replace({"config.yaml": main, "more.yaml": more, "hash": hash_})
    assert served.serves(hash_)["models"] == 1


def test_a_secret_is_rotated(served: Proxy, engine: Backend) -> None:
    hash_ = next(_hashes)
    secret = model("secret", engine.url, api_key="os.environ/ONDOL_KEY_A")
    served.secrets.replace({"ONDOL_KEY_A": "first"})
    served.write_config(secret, hash_=hash_)
    served.serves(hash_)
    assert served.chat("secret")[0] == 200
    assert engine.seen[-1] == ("secret", "Bearer first")

    served.secrets.replace({"ONDOL_KEY_A": "second"})

    def sends_the_second() -> bool:
        assert served.chat("secret")[0] == 200
        return engine.seen[-1][1] == "Bearer second"

    eventually("the new secret is sent", sends_the_second)
    served.secrets.replace({})
    eventually("its loss is told", lambda: "ONDOL_KEY_A" in served.status()["error"])
    assert served.chat("secret")[0] == 200
    assert "second" not in served.log.read_text()


def test_a_check_that_hangs_is_killed(served: Proxy, engine: Backend) -> None:
    bad, good = next(_hashes), next(_hashes)
    eventually("the others are gone", lambda: len(served.workers()) == 1)
    hanging = {"callbacks": ["hanging.callback"]}
    served.write_config(model("chat", engine.url), hash_=bad, litellm_settings=hanging)
    assert "took more than 5 s" in served.refuses(bad)
    assert served.models() == {"chat"}
    eventually("the child is gone", lambda: len(served.workers()) == 1)

    served.write_config(model("chat", engine.url), model("x", engine.url), hash_=good)
    served.serves(good)


def test_a_config_whose_worker_does_not_start_is_taken_back(served: Proxy, engine: Backend) -> None:
    bad, good = next(_hashes), next(_hashes)
    before = served.status()["hash"]
    # LiteLLM loads this master key and refuses to start with it.
    general = {"custom_auth": "keys.user_api_key_auth", "master_key": "sk-1234"}
    served.write_config(model("chat", engine.url), hash_=bad, general_settings=general)
    assert "a worker with it ended" in served.refuses(bad)
    assert served.status()["hash"] == before
    assert served.models() == {"chat"}
    served.write_config(model("chat", engine.url), hash_=good)
    served.serves(good)


def test_a_stream_survives_reloads_and_a_bad_file(served: Proxy, engine: Backend) -> None:
    slow, hash_ = model("slow-80", engine.url), next(_hashes)
    served.write_config(slow, hash_=hash_)
    served.serves(hash_)
    stream = Stream(served, "slow-80")
    for number in range(4):
        hash_ = next(_hashes)
        served.write_config(slow, model(f"m{number}", engine.url), hash_=hash_)
        served.serves(hash_)
    bad = next(_hashes)
    served.write_text("x: [", hash_=bad)
    served.refuses(bad)
    assert stream.finish() == "".join(f"{number} " for number in range(80))
    eventually("the old workers are gone", lambda: len(served.workers()) == 1)


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
def test_no_request_is_lost_while_workers_change(
    served: Proxy, engine: Backend, connection: str
) -> None:
    codes: list[int] = []
    done = threading.Event()

    def ask() -> None:
        client = HTTPConnection("127.0.0.1", served.port, timeout=30)
        body = json.dumps({"model": "chat", "messages": []})
        sent = {"authorization": f"Bearer {MASTER_KEY}", "connection": connection}
        while not done.is_set():
            client.request("POST", "/v1/chat/completions", body, sent)
            answer = client.getresponse()
            answer.read()
            codes.append(answer.status)

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        try:
            for _ in range(3):
                hash_ = next(_hashes)
                served.write_config(model("chat", engine.url), hash_=hash_)
                served.serves(hash_)
        finally:
            done.set()
        asking.result(30)
    assert codes
    assert set(codes) == {200}


def test_a_worker_that_dies_is_replaced_while_another_drains(
    served: Proxy, engine: Backend
) -> None:
    hash_ = next(_hashes)
    served.write_config(model("slow-30", engine.url), hash_=hash_)
    served.serves(hash_)
    stream, draining = Stream(served, "slow-30"), served.workers()
    hash_ = next(_hashes)
    served.write_config(model("slow-30", engine.url), model("y", engine.url), hash_=hash_)
    served.serves(hash_)
    (fresh,) = served.workers() - draining
    os.kill(fresh, signal.SIGKILL)
    eventually("somebody serves", lambda: served.status()["hash"] == hash_)
    stream.finish()


def test_sigterm_lets_a_stream_finish(served: Proxy, engine: Backend) -> None:
    """The last test of the module: it ends the proxy."""
    hash_ = next(_hashes)
    served.write_config(model("slow-20", engine.url), hash_=hash_)
    served.serves(hash_)
    stream = Stream(served, "slow-20")
    assert served.process is not None
    served.process.terminate()
    assert len(stream.finish().split()) == 20
    assert served.process.wait(10) == 0
