"""Where everything lies: the cache outlives the cluster, the state does not."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The repository."""

TOOLS = Path(__file__).resolve().parent / "tools"
"""The Go module that pins what the cluster is made of."""

IMAGES = ROOT / "e2e" / "images"
"""One folder for each image."""

CACHE = Path(os.environ.get("ONDOL_CACHE") or Path.home() / ".cache" / "ondol").resolve()
"""Binaries, images and models; `down` keeps it."""

MODELS = CACHE / "models"
"""One Hugging Face folder for each model."""

STATE = Path(os.environ.get("ONDOL_STATE") or "/var/lib/ondol-local").resolve()
"""Keys, logs, etcd, pods and volumes; `down` removes it."""

RUN = Path("/run/ondol-local")
"""Sockets and mounts of containerd and buildah; `down` removes it."""

LOGS = STATE / "log"
KUBECONFIG = STATE / "kubeconfig"
CONTAINERD_SOCKET = RUN / "containerd.sock"
CA_BUNDLE = Path(os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt")
