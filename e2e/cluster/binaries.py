"""Kubernetes, etcd, CoreDNS and the rest, built from the pinned Go module in ``tools``."""

import functools
import hashlib
import os
import platform
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.log import ClusterError, say
from e2e.cluster.paths import CACHE, TOOLS
from e2e.cluster.shell import locked, run


@dataclass(frozen=True)
class Binary:
    """One program and the Go package that it is built from."""

    name: str
    package: str


_KUBERNETES = "k8s.io/kubernetes/cmd/"
CONTROLLER_MANAGER = Binary("kube-controller-manager", _KUBERNETES + "kube-controller-manager")

FOR_TESTS: Sequence[Binary] = (
    Binary("etcd", "go.etcd.io/etcd/server/v3"),
    Binary("kube-apiserver", _KUBERNETES + "kube-apiserver"),
    Binary("kubectl", _KUBERNETES + "kubectl"),
)
"""What a test against a real API server needs."""

ALL: Sequence[Binary] = (
    *FOR_TESTS,
    CONTROLLER_MANAGER,
    Binary("kubelet", _KUBERNETES + "kubelet"),
    Binary("kube-scheduler", _KUBERNETES + "kube-scheduler"),
    Binary("kube-proxy", _KUBERNETES + "kube-proxy"),
    Binary("kube-router", "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router"),
    Binary("coredns", "./coredns"),
    Binary("pause", "./pause"),
)
"""What a node needs, the ones that others wait for first."""


def build(wanted: Sequence[Binary] = ALL) -> Path:
    """Build what is missing of ``wanted`` and return the folder; usable as KUBEBUILDER_ASSETS.

    Raises
    ------
    ClusterError
        When a build fails.
    """
    folder = directory()
    if any(not (folder / binary.name).exists() for binary in wanted):
        with locked("binaries"):
            folder.mkdir(parents=True, exist_ok=True)
            for binary in wanted:
                if not (folder / binary.name).exists():
                    _build_one(binary, folder)
    return folder


@functools.cache
def directory() -> Path:
    """Return the folder of this version's binaries, which may not be there yet."""
    digest = hashlib.sha256()
    for path in sorted(TOOLS.rglob("*")):
        if path.suffix in (".go", ".mod", ".sum"):
            digest.update(path.read_bytes())
    key = f"{kubernetes_version()}-{platform.machine()}-{digest.hexdigest()[:12]}"
    return CACHE / "bin" / key


@functools.cache
def kubernetes_version() -> str:
    """Return the version of Kubernetes that the module pins, such as v1.37.2.

    Raises
    ------
    ClusterError
        When the module does not name one.
    """
    found = re.search(r"k8s\.io/kubernetes (v\S+)", (TOOLS / "go.mod").read_text())
    if not found:
        raise ClusterError(f"{TOOLS}/go.mod does not require k8s.io/kubernetes")
    return found[1]


def _build_one(binary: Binary, folder: Path) -> None:
    say(f"building {binary.name}")
    start = time.monotonic()
    unfinished = folder / f".{binary.name}.{os.getpid()}"
    run(
        *("go", "build", "-mod=readonly", "-trimpath", "-buildvcs=false"),
        *("-ldflags", _version_flags(), "-o", unfinished, binary.package),
        cwd=TOOLS,
        env={"CGO_ENABLED": "0"},
    )
    unfinished.rename(folder / binary.name)
    say(f"built {binary.name} in {time.monotonic() - start:.0f} s")


def _version_flags() -> str:
    """Return linker flags; without the version the API server calls itself v0.0.0."""
    version = kubernetes_version()
    major, minor, _patch = version.removeprefix("v").split(".", 2)
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    settings = [f"-X k8s.io/component-base/version.{name}={v}" for name, v in values.items()]
    return " ".join(["-s -w", *settings])
