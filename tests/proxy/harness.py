"""A proxy pod without a pod: the mounted folders in a temporary folder, gunicorn as a process."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

CODE = Path(__file__).parents[2] / "operator" / "ondol" / "proxy"
MASTER_KEY = "sk-master-of-the-tests"
START_SECONDS = 90.0  # LiteLLM's imports, on a busy machine


def eventually(what: str, condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """The first true value of `condition`; connection errors count as not yet.

    Raises `AssertionError` when it does not come within `seconds`.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if value := condition():
                return value
        except (OSError, ValueError):
            pass
        time.sleep(0.03)
    raise AssertionError(f"not within {seconds} s: {what}")


def model(name: str, url: str, **params: str) -> dict[str, Any]:
    """An entry of LiteLLM's model list with the public name `name`."""
    known = {"model": f"hosted_vllm/{name}", "api_base": url, "api_key": "none"}
    return {
        "model_name": name,
        "litellm_params": known | params,
        "model_info": {"id": f"id-{name}"},
    }


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Volume:
    """A folder as the kubelet mounts it: versions that a link called `..data` chooses from."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self._version = 0
        self.replace({})

    def replace(self, files: dict[str, str]) -> None:
        """Swap all files at once."""
        self._version += 1
        old = self.folder / f"..v{self._version - 1}"
        new = self.folder / f"..v{self._version}"
        new.mkdir()
        for name, text in files.items():
            (new / name).write_text(text)
            link = self.folder / name
            if not link.is_symlink():
                link.symlink_to(Path("..data") / name)
        draft = self.folder / "..data_tmp"
        draft.symlink_to(new.name)
        draft.replace(self.folder / "..data")
        for link in self.folder.iterdir():
            if link.is_symlink() and not link.exists():
                link.unlink()
        shutil.rmtree(old, ignore_errors=True)


class Proxy:
    """The proxy's process and what is mounted into it."""

    def __init__(self, python: Path, folder: Path, **environ: str) -> None:
        self.config = Volume(folder / "config")
        self.secrets = Volume(folder / "secrets")
        self.keys = Volume(folder / "keys")
        self.log = folder / "log"
        self.port = free_port()
        self._python = python
        self._environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(CODE),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LITELLM_MASTER_KEY": MASTER_KEY,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_MODE": "PRODUCTION",
            "LITELLM_LOG": "ERROR",
            "ONDOL_CONFIG_DIR": str(self.config.folder),
            "ONDOL_SECRETS_DIR": str(self.secrets.folder),
            "ONDOL_KEYS_FILE": str(self.keys.folder / "keys.json"),
            "ONDOL_RUN_DIR": str(folder / "run"),
            "ONDOL_LISTEN": f"127.0.0.1:{self.port}",
            "ONDOL_POLL_SECONDS": "0.1",
            "ONDOL_DRAIN_SECONDS": "30",
        } | environ
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start gunicorn and wait until it answers."""
        conf = str(CODE / "gunicorn_conf.py")
        command = [str(self._python), "-m", "gunicorn", "-c", conf, "app:app"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, env=self._environ, stdout=log, stderr=log, cwd=self.log.parent
            )
        eventually("the proxy answers", self.status, START_SECONDS)

    def stop(self) -> None:
        """End gunicorn if it still runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(20)

    def write_config(self, *models: dict[str, Any], hash_: str, **sections: Any) -> None:
        """Mount a config with these models (JSON is YAML)."""
        general = {"custom_auth": "keys.user_api_key_auth"}
        text = json.dumps({"model_list": models, "general_settings": general} | sections)
        self.write_text(text, hash_=hash_)

    def write_text(self, text: str, hash_: str) -> None:
        """Mount a config that is any text."""
        self.config.replace({"config.yaml": text, "hash": hash_})

    def write_keys(self, keys: dict[str, list[str]]) -> None:
        """Mount keys with the models of each."""
        entries = {
            hashlib.sha256(key.encode()).hexdigest(): {"name": f"team/{key}", "models": models}
            for key, models in keys.items()
        }
        self.keys.replace({"keys.json": json.dumps(entries)})

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        key: str | None = MASTER_KEY,
        **headers: str,
    ) -> tuple[int, Any]:
        """Make a request; the status code and the parsed JSON."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = {"content-type": "application/json", "connection": "close"} | headers
        if key is not None:
            sent["authorization"] = f"Bearer {key}"
        data = body if isinstance(body, str) or body is None else json.dumps(body)
        try:
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def status(self) -> dict[str, Any]:
        """What `/ondol/status` says."""
        code, answer = self.request("GET", "/ondol/status", key=None)
        assert code == 200
        return dict(answer)

    def serves(self, hash_: str) -> dict[str, Any]:
        """Wait until the config with this hash is served; the status."""
        return dict(eventually(f"{hash_} is served", lambda: self._with("hash", hash_)))

    def refuses(self, hash_: str) -> str:
        """Wait until the config with this hash was refused; the reason."""
        return str(
            eventually(f"{hash_} is refused", lambda: self._with("errorHash", hash_))["error"]
        )

    def _with(self, field: str, value: str) -> dict[str, Any] | None:
        status = self.status()
        return status if status[field] == value else None

    def models(self, key: str = MASTER_KEY) -> set[str]:
        """The models that a key sees."""
        code, answer = self.request("GET", "/v1/models", key=key)
        assert code == 200, answer
        return {entry["id"] for entry in answer["data"]}

    def chat(self, name: str, key: str | None = MASTER_KEY, **body: Any) -> tuple[int, Any]:
        """A chat completion."""
        messages = [{"role": "user", "content": "hi"}]
        request = {"model": name, "messages": messages} | body
        return self.request("POST", "/v1/chat/completions", request, key)

    def workers(self) -> set[int]:
        """The process ids of the master's children."""
        assert self.process is not None
        pid = self.process.pid
        return {int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
