"""gunicorn's settings for the proxy pod: `gunicorn -c /etc/ondol/code/gunicorn_conf.py app:app`.

The master imports LiteLLM once and loads no config. A thread of it follows the mounted config and
secrets (`proxy_watch`), has each new state loaded in a forked child first (`proxy_check`), and
only what loads gets workers of its own; the old workers stop after the new ones serve, and finish
their streams (`proxy_arbiter`). What does not load changes nothing but the status.

Measured with LiteLLM 1.106.2 on Python 3.13, two cores shared with other work (load 8):
- the check of a config takes 0.13 s of CPU for 2 models and 1.3 s for 300 (0.15 to 1.7 s by the
  clock); a file of broken YAML was refused 0.14 s after it changed, the new models of a good one
  were listed after 1.2 to 3.9 s, most of it waiting for a core;
- a stream of 100 chunks arrived whole over five reloads and a bad file, and 118 requests on new
  and on kept-alive connections during five more had no error;
- memory (PSS): master 190 MiB, worker 190 MiB; a draining worker adds about 60 MiB that are its
  own.
"""

from __future__ import annotations

import gc
import logging
import math
import os
import sys
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from proxy_arbiter import ProxyArbiter, ProxyWorker, remove_generations
from proxy_settings import load_settings
from proxy_watch import Watcher

_settings = load_settings()
_settings.run_dir.mkdir(parents=True, exist_ok=True)

bind = _settings.listen
workers = _settings.workers
worker_class = ProxyWorker
preload_app = True
timeout = 120  # s without a turn of the event loop until a worker is killed
graceful_timeout = math.ceil(_settings.drain_seconds) + 5  # workers end by themselves before
keepalive = 75  # s; longer than the idle time of common load balancers' connections
worker_tmp_dir = str(_settings.run_dir)
accesslog = None


def when_ready(server: Any) -> None:
    """Turn gunicorn's arbiter into ours and begin to follow the mounted files."""
    logging.getLogger("ondol").setLevel(logging.INFO)
    logging.getLogger("ondol").handlers = server.log.error_log.handlers
    logging.getLogger("ondol").propagate = False
    server.__class__ = ProxyArbiter
    server.prepare(_settings)
    watcher = Watcher(_settings, server)
    server.on_served, server.on_refused = watcher.on_served, watcher.on_refused
    server.on_hangup = watcher.look_again
    gc.collect()
    gc.freeze()  # what was imported is shared with the children: keep the collector off it
    remove_generations(_settings, before=sys.maxsize)
    watcher.start()


def pre_fork(server: Any, worker: Any) -> None:
    """Gunicorn's hook before a worker is forked."""
    server.pre_fork(worker)


def child_exit(server: Any, worker: Any) -> None:
    """Gunicorn's hook after a worker ended."""
    server.child_exit(worker)
