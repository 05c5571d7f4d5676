"""Where the launcher finds things and how long it waits, from the pod's environment.

The files of this folder are mounted flat into the proxy pod and imported by their own names
(`PYTHONPATH` is their folder); nothing imports them as a package. They use the standard library
and what LiteLLM's image has. Names begin with `proxy_` where a plain one could shadow somebody's
module.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """The launcher's settings; times are in seconds."""

    config_dir: Path
    secrets_dir: Path
    keys_file: Path
    run_dir: Path
    listen: str
    workers: int
    drain_seconds: float
    """How long a stream may go on in a worker that was told to stop."""
    poll_seconds: float
    """How often the mounted folders are looked at."""
    check_seconds: float
    """How long the check of a new config may take before it is killed."""
    boot_seconds: float
    """How long a new worker may take until it serves before the config is taken back."""
    start_seconds: float
    """How long the pod waits for a first config that loads before it exits."""


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises `ValueError` when a number is not one.
    """
    env = os.environ.get
    return Settings(
        config_dir=Path(env("ONDOL_CONFIG_DIR", "/etc/ondol/config")),
        secrets_dir=Path(env("ONDOL_SECRETS_DIR", "/etc/ondol/secrets")),
        keys_file=Path(env("ONDOL_KEYS_FILE", "/etc/ondol/keys/keys.json")),
        run_dir=Path(env("ONDOL_RUN_DIR", "/run/ondol")),
        listen=env("ONDOL_LISTEN", "0.0.0.0:8000"),
        workers=int(env("ONDOL_WORKERS", "1")),
        drain_seconds=float(env("ONDOL_DRAIN_SECONDS", "600")),
        poll_seconds=float(env("ONDOL_POLL_SECONDS", "0.2")),
        check_seconds=float(env("ONDOL_CHECK_SECONDS", "60")),
        boot_seconds=float(env("ONDOL_BOOT_SECONDS", "120")),
        start_seconds=float(env("ONDOL_START_SECONDS", "300")),
    )
