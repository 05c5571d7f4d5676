"""kubectl against the cluster that `python3.11 -m e2e.cluster` made, and no other."""

import json
import subprocess
import time
from collections.abc import Callable
from typing import Any

from e2e.cluster import binaries
from e2e.cluster.log import ClusterError, say
from e2e.cluster.paths import KUBECONFIG

Object = dict[str, Any]


def command() -> list[str]:
    """How to call kubectl for this cluster; its own build where there is one (not for kind)."""
    built = binaries.directory() / "kubectl"
    return [str(built if built.exists() else "kubectl"), f"--kubeconfig={KUBECONFIG}"]


def kubectl(*args: str, stdin: str | None = None, seconds: float = 120) -> str:
    """Run kubectl and return what it printed.

    Raises
    ------
    ClusterError
        When it fails; the text is what it said.
    """
    done = subprocess.run(
        [*command(), *args],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if done.returncode:
        raise ClusterError(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
    return done.stdout


def get(*args: str) -> Object:
    """Read one object or a list; empty when the object does not exist."""
    text = kubectl("get", *args, "-o", "json", "--ignore-not-found")
    found: Object = json.loads(text) if text.strip() else {}
    return found


def items(*args: str) -> list[Object]:
    """Read a list of objects."""
    found: list[Object] = get(*args).get("items", [])
    return found


def condition(obj: Object, name: str) -> Object:
    """Find a condition of an object; empty when it has none of this name."""
    conditions = obj.get("status", {}).get("conditions", [])
    return next((c for c in conditions if c["type"] == name), {})


def wait_for(what: str, check: Callable[[], Any], seconds: float, every: float = 0.5) -> Any:
    """Wait until `check` gives something true, and return that.

    Raises
    ------
    ClusterError
        When it does not in time; the text says what was waited for.
    """
    deadline = time.monotonic() + seconds
    while not (result := check()):
        if time.monotonic() > deadline:
            raise ClusterError(f"{what}: not within {seconds:.0f} s")
        time.sleep(every)
    return result


def never(what: str, check: Callable[[], Any], seconds: float, every: float = 1) -> None:
    """Watch for a while that `check` gives nothing true.

    Raises
    ------
    ClusterError
        As soon as it does; the text has what it gave.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := check():
            raise ClusterError(f"{what}: {found}")
        time.sleep(every)


def apply(*objects: Object) -> None:
    """Apply objects as a user does.

    Raises
    ------
    ClusterError
        When the API server refuses one.
    """
    kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List",
                                                  "items": list(objects)}))  # fmt: skip


def wait_ready(resources: list[tuple[str, str, str]], seconds: float) -> None:
    """Wait until objects, given as (kind, namespace, name), are Ready; tell what changes.

    Raises
    ------
    ClusterError
        When one is not Ready in time; the text is the message of its condition.
    """
    told: dict[tuple[str, str, str], str] = {}

    def all_ready() -> bool:
        ready = True
        for kind, namespace, name in resources:
            obj = get(kind, name, "-n", namespace)
            found = condition(obj, "Ready")
            state = f"{found.get('status')} {found.get('reason')}"
            if told.get((kind, namespace, name)) != state:
                told[kind, namespace, name] = state
                say(f"{kind} {namespace}/{name}: {_sentence(found)}")
            ready &= found.get("status") == "True"
        return ready

    try:
        wait_for("Ready", all_ready, seconds, every=1)
    except ClusterError as error:
        waiting = [f"{k} {ns}/{n}: {told[k, ns, n]}" for k, ns, n in resources
                   if not told[k, ns, n].startswith("True")]  # fmt: skip
        raise ClusterError(f"{error}; " + "; ".join(waiting)) from error


def _sentence(found: Object) -> str:
    if not found:
        return "not looked at yet"
    word = "Ready" if found["status"] == "True" else found["reason"]
    return f"{word} ({found['message']})" if found["message"] else str(word)
