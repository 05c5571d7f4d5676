"""What is mounted: LiteLLM's config and the secrets, read as one snapshot."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class SourceError(Exception):
    """The mounted files cannot be used as they are; the text says why and holds no secret."""


@dataclass(frozen=True)
class Snapshot:
    """The mounted files at one moment."""

    files: Mapping[str, bytes]
    """YAML files by name; `config.yaml` is LiteLLM's config."""
    secrets: Mapping[str, str] = field(repr=False)
    """Environment variables by name."""
    hash: str
    """The operator's hash of the config, or one made from the files when it gave none."""
    digest: str
    """Changes with any byte of the config and of the secrets."""


def fingerprint(*folders: Path) -> tuple[object, ...]:
    """What changes whenever a folder's files may have changed; cheap (a stat for each file).

    The kubelet changes a volume by turning its `..data` link; plain folders (tests) are told by
    their files' times and sizes.
    """
    marks: list[object] = []
    for folder in folders:
        try:
            marks.append(os.readlink(folder / "..data"))
        except OSError:
            marks.append(None)
        for path in _files(folder):
            try:
                stat = path.stat()
            except OSError:
                continue
            marks.append((path.name, stat.st_ino, stat.st_mtime_ns, stat.st_size))
    return tuple(marks)


def read_snapshot(config_dir: Path, secrets_dir: Path) -> Snapshot:
    """Read both folders.

    Raises `SourceError` when there is no config yet or a secret cannot be a variable, and
    `OSError` when the kubelet swapped a volume meanwhile (read again then).
    """
    contents = {path.name: path.read_bytes() for path in _files(config_dir)}
    files = {name: data for name, data in contents.items() if name.endswith((".yaml", ".yml"))}
    if "config.yaml" not in files:
        raise SourceError("config.yaml is not mounted")
    secrets = {path.name: _secret(path) for path in _files(secrets_dir)}
    shown = contents.get("hash", b"").decode("utf-8", "replace").strip()
    config_digest = _digest(files)
    values = {name: value.encode() for name, value in secrets.items()}
    return Snapshot(
        files=files,
        secrets=secrets,
        hash=shown or config_digest[:16],
        digest=_digest({"config": config_digest.encode(), "hash": shown.encode(), **values}),
    )


def _files(folder: Path) -> list[Path]:
    """The files of a mounted folder, sorted; all of one version when the kubelet mounted it."""
    data = folder / "..data"
    root = data.resolve() if data.is_symlink() else folder
    try:
        entries = sorted(root.iterdir())
    except FileNotFoundError:
        return []
    return [path for path in entries if not path.name.startswith(".") and path.is_file()]


def _secret(path: Path) -> str:
    """A secret's value, without a newline at its end (a key never has one, hand-made files do)."""
    if not _NAME.fullmatch(path.name):
        raise SourceError(f"the secret {path.name!r} is no name of an environment variable")
    try:
        value = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise SourceError(f"the secret {path.name} is not UTF-8 text") from None
    if "\0" in value:
        raise SourceError(f"the secret {path.name} has a NUL character")
    return value.rstrip("\r\n")


def _digest(parts: Mapping[str, bytes]) -> str:
    """A hash of named byte strings; lengths are part of it, so that no two inputs collide."""
    whole = hashlib.sha256()
    for name, data in sorted(parts.items()):
        whole.update(f"{len(name)}:{name}:{len(data)}:".encode())
        whole.update(data)
    return whole.hexdigest()
