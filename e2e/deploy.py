"""Install Ondol and the local example into the local cluster."""

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from e2e.apiserver import free_ports
from e2e.cluster import images
from e2e.cluster.log import say
from e2e.cluster.paths import ROOT
from e2e.kubectl import command, get, kubectl, wait_for, wait_ready
from e2e.openwebui import PageError, call

PROXY = ("modelproxies", "ondol-system", "default")
CHAT_MODEL = ("modeldeployments", "demo", "smollm2")
EMBEDDING_MODEL = ("modeldeployments", "demo", "minilm")
FRONTEND = ("chatfrontends", "demo", "chat")
EXAMPLE = [PROXY, CHAT_MODEL, EMBEDDING_MODEL, FRONTEND]
READY_SECONDS = 600


def install_operator() -> None:
    """Install CRDs and operator, and wait until it acts."""
    say("installing the operator")
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds"))
    crds = ("crd", "-l", "app.kubernetes.io/part-of=ondol")
    kubectl("wait", "--for=condition=Established", *crds, "--timeout=60s")
    kubectl("apply", "--server-side", "--force-conflicts", "-k", str(_overlay()))
    operator = ("-n", "ondol-system", "deployment/ondol")
    kubectl("rollout", "status", *operator, "--timeout=180s", seconds=200)


def _overlay() -> Path:
    """The local overlay, with the image's content as an annotation of the operator's pods.

    The tag stays the same when the image is built anew, so the annotation replaces the pods.
    """
    folder = ROOT / "build" / "local"
    folder.mkdir(parents=True, exist_ok=True)
    annotation = {"ondol.dev/image": images.key_of(images.OPERATOR)}
    template = {"template": {"metadata": {"annotations": annotation}}}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "ondol"}}
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(ROOT / "manifests" / "overlays" / "local", folder)],
        "patches": [{"patch": json.dumps({**deployment, "spec": template})}],
    }
    (folder / "kustomization.yaml").write_text(json.dumps(kustomization))
    return folder


def apply_example() -> None:
    """Apply the local example and wait until all of it is Ready."""
    say("applying examples/local")
    kubectl("apply", "-f", str(ROOT / "examples" / "local" / "namespace.yaml"))
    kubectl("apply", "-f", str(ROOT / "examples" / "local"))
    wait_ready(EXAMPLE, READY_SECONDS)


def secret(namespace: str, name: str, key: str) -> str:
    """Read one value of a Secret."""
    return base64.b64decode(get("secret", name, "-n", namespace)["data"][key]).decode()


@contextmanager
def forwarded(namespace: str, service: str, path: str) -> Iterator[str]:
    """Forward a Service to a free local port while the context is open; give its address.

    `path` is asked until it answers.
    """
    [port] = free_ports(1)
    process = subprocess.Popen(
        [*command(), "port-forward", "-n", namespace, f"service/{service}", f"{port}:80"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            call("GET", f"{url}{path}", seconds=5)
        except PageError as error:
            return 400 <= error.status < 500  # it answers, and wants a key
        return True

    try:
        wait_for(f"{namespace}/{service}", answers, 60, every=0.2)
        yield url
    finally:
        process.terminate()
        process.wait()
