"""Checks a config by loading it with LiteLLM in a forked child of the preloaded master.

LiteLLM loads a config into globals of its process and drops deployments that it does not
understand without an error, so the master never loads one itself: a child does, counts what came
of it, says so through a pipe and ends. The fork shares the imports, which makes the check 0.1 s
instead of 7 s.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import select
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from proxy_state import FORK_LOCK

_REFERENCE = "os.environ/"
_LONGEST_ERROR = 500
_MOST_NAMES = 5


class CheckError(Exception):
    """The config must not be served; the text says why."""


@dataclass(frozen=True)
class Verdict:
    """What came of a check: `error` is empty when the config may be served."""

    models: int = 0
    error: str = ""
    transient: bool = False
    """The same files may pass later (a time-out, a child that died)."""


def check(config: Path, environ: Mapping[str, str], seconds: float) -> Verdict:
    """Load `config` in a child that has `environ`, for at most `seconds`.

    Raises `OSError` when the process table is full.
    """
    with FORK_LOCK:  # no other fork may inherit the pipe's writing end: its end tells of a death
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            _run_child(writer, config, environ, seconds)
        os.close(writer)
    try:
        return _await_verdict(reader, child, seconds)
    finally:
        os.close(reader)


def _await_verdict(reader: int, child: int, seconds: float) -> Verdict:
    """Read the child's verdict; kill it when it does not come in time.

    The child's exit status is of no use: gunicorn reaps every child of the master.
    """
    deadline = time.monotonic() + seconds
    said = b""
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([reader], [], [], left)[0]:
            break
        part = os.read(reader, 65536)
        if not part:
            return _parse(said)
        said += part
    with contextlib.suppress(ProcessLookupError, PermissionError):
        # The child leads its own process group and holds the pipe, so the number is still its own.
        os.killpg(child, signal.SIGKILL)
    return Verdict(error=f"loading the config took more than {seconds:g} s", transient=True)


def _parse(said: bytes) -> Verdict:
    try:
        return Verdict(**json.loads(said))
    except (ValueError, TypeError):
        return Verdict(error="the process that loads the config died", transient=True)


def _run_child(writer: int, config: Path, environ: Mapping[str, str], seconds: float) -> None:
    """Check in this child and end it: never returns.

    Always exits 0: gunicorn takes some exit codes of any child for a worker that cannot boot, and
    stops.
    """
    try:
        os.setpgid(0, 0)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds + 2)  # should the master die meanwhile
        logging.disable(logging.CRITICAL)
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - LiteLLM prints
        os.environ.clear()
        os.environ.update(environ)
        verdict = _verdict(config, environ)
        os.write(writer, json.dumps(asdict(verdict)).encode())
    finally:
        os._exit(0)


def _verdict(config: Path, environ: Mapping[str, str]) -> Verdict:
    try:
        _require_references(config, environ)
        return Verdict(models=asyncio.run(_load(config)))
    except CheckError as error:
        return Verdict(error=str(error))
    except BaseException as error:  # noqa: BLE001 - whatever LiteLLM raises is the answer
        text = f"{type(error).__name__}: {error}"
        return Verdict(error=_presentable(text, config, environ))


def _require_references(config: Path, environ: Mapping[str, str]) -> None:
    """Raise `CheckError` when the config names a variable that is not set.

    LiteLLM would go on without: a missing `api_key` is not sent, a missing `api_base` becomes
    the public endpoint of the provider.
    """
    names = sorted(set(_references(_documents(config))))
    missing = [name for name in names if not environ.get(name)]
    if missing:
        raise CheckError(f"neither mounted nor set: {_listed(missing)}")


def _documents(config: Path) -> list[object]:
    """The config and the files beside it, which it may include, parsed. Raises `CheckError`."""
    import yaml  # noqa: PLC0415 - the master has it from LiteLLM

    def parse(path: Path) -> object:
        try:
            return yaml.safe_load(path.read_bytes())
        except yaml.YAMLError as error:
            where = getattr(error, "problem_mark", None)
            line = f", line {where.line + 1}" if where else ""
            problem = getattr(error, "problem", None) or "cannot be read"
            raise CheckError(f"{path.name}{line}: no valid YAML: {problem}") from None

    files = [path for path in config.parent.iterdir() if path.suffix in (".yaml", ".yml")]
    documents = {path.name: parse(path) for path in sorted(files)}
    if not isinstance(documents.get(config.name), dict):
        raise CheckError(f"{config.name}: not a mapping")
    return list(documents.values())


def _references(value: object) -> Iterator[str]:
    """The variables that a parsed YAML value names."""
    if isinstance(value, str):
        if value.startswith(_REFERENCE):
            yield value.removeprefix(_REFERENCE)
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _references(part)
    elif isinstance(value, list):
        for part in value:
            yield from _references(part)


async def _load(config: Path) -> int:
    """Load the config with LiteLLM; the number of models that it has afterwards.

    Raises `CheckError` when LiteLLM dropped some, and whatever LiteLLM raises.
    """
    from litellm.proxy.proxy_server import ProxyConfig  # noqa: PLC0415 - takes 5 s

    loader: Any = ProxyConfig()
    wanted = (await loader.get_config(config_file_path=str(config))).get("model_list") or []
    asked = Counter(str(entry.get("model_name")) for entry in wanted)
    router, _, _ = await loader.load_config(router=None, config_file_path=str(config))
    loaded = Counter(str(entry.get("model_name")) for entry in router.model_list or [])
    if dropped := list((asked - loaded).elements()):
        raise CheckError(f"LiteLLM cannot serve {_listed(dropped)} (unknown provider or field)")
    return len(wanted)


def _listed(names: Iterable[str]) -> str:
    """Names for a sentence, not more than a few."""
    every = list(names)
    more = f" and {len(every) - _MOST_NAMES} more" if len(every) > _MOST_NAMES else ""
    return ", ".join(every[:_MOST_NAMES]) + more


def _presentable(text: str, config: Path, environ: Mapping[str, str]) -> str:
    """An error as one line without paths of the pod, colours or the value of any reference."""
    with contextlib.suppress(CheckError):
        for name in set(_references(_documents(config))):
            if value := environ.get(name):
                text = text.replace(value, "***")
    text = text.replace(f"{config.parent}/", "").replace("\x1b[", "")
    return " ".join(text.split())[:_LONGEST_ERROR]
