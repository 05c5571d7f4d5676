"""What a pod that does not serve is waiting for, or what went wrong with it."""

from dataclasses import dataclass
from typing import Any

Pod = dict[str, Any]

PULL_ERRORS = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}
)
CONFIG_ERRORS = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
)
EXCERPT_CHARS = 700
SUMMARY_CHARS = 800
"""A condition's message holds 1024: the hint has to fit in behind."""


@dataclass(frozen=True)
class Finding:
    """State of one pod.

    Attributes
    ----------
    phase
        The word for people: Pending, Pulling, Loading, Serving or Failed.
    reason
        A word for programs.
    message
        What Kubernetes or the container said.
    hint
        What to do; empty while there is nothing to do.
    container
        Name of the container that the finding is about.
    """

    phase: str
    reason: str
    message: str
    hint: str = ""
    container: str = ""

    @property
    def failed(self) -> bool:
        """Whether waiting alone will not help."""
        return self.phase == "Failed"

    @property
    def summary(self) -> str:
        """What happened and what to do, in one; a long message gives way to the hint."""
        message = self.message[:SUMMARY_CHARS]
        return f"{message}. {self.hint}".strip(". ")


def is_ready(pod: Pod) -> bool:
    """Whether a pod gets requests."""
    if pod["metadata"].get("deletionTimestamp"):
        return False
    conditions = pod.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def inspect(pod: Pod) -> Finding:
    """Say what the pod is doing or what it died of."""
    status = pod.get("status", {})
    if is_ready(pod):
        return Finding("Serving", "Ready", "")
    if unscheduled := _unscheduled(status):
        return unscheduled
    if status.get("reason") == "Evicted":
        return Finding("Failed", "Evicted", status.get("message", ""), "give the pod more room")
    statuses = status.get("initContainerStatuses", []) + status.get("containerStatuses", [])
    for container in statuses:
        if not container.get("ready"):
            return _container(container)
    return Finding("Pending", "Pending", "the pod is being prepared")


def newest(pods: list[Pod]) -> Finding | None:
    """Finding of the newest pod that is not ready and not on its way out."""
    waiting = [p for p in pods if not is_ready(p) and not p["metadata"].get("deletionTimestamp")]
    if not waiting:
        return None
    return inspect(
        max(waiting, key=lambda p: (p["metadata"]["creationTimestamp"], p["metadata"]["name"]))
    )


def _unscheduled(status: dict[str, Any]) -> Finding | None:
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            reason = condition.get("reason", "Unschedulable")
            return Finding("Pending", reason, condition.get("message", "no node takes the pod"))
    return None


def _container(container: dict[str, Any]) -> Finding:
    name = container["name"]
    state, last = container.get("state", {}), container.get("lastState", {})
    ended = state.get("terminated") or last.get("terminated")
    waiting = state.get("waiting", {})
    reason = waiting.get("reason", "")
    if reason in PULL_ERRORS:
        # kubelet goes to and fro between two words for the same: the status must not.
        message = waiting.get("message", "").rpartition("ErrImagePull: ")[2]
        word = "ImagePullBackOff" if reason == "ErrImagePull" else reason
        hint = f"check the image name {container['image']} and the pull secrets of the namespace"
        return Finding("Failed", word, message, hint, name)
    if reason in CONFIG_ERRORS:
        hint = "create what the message names, or correct the reference to it"
        return Finding("Failed", reason, waiting.get("message", ""), hint, name)
    if ended and (container.get("restartCount", 0) > 0 or state.get("terminated")):
        return _ended(name, ended, container.get("restartCount", 0))
    if waiting:
        return Finding(
            "Pulling", reason or "ContainerCreating", waiting.get("message", ""), "", name
        )
    message = f"container {name} runs and is not ready yet"
    return Finding("Loading", "Loading", message, "", name)


def _ended(name: str, ended: dict[str, Any], restarts: int) -> Finding:
    message = ended.get("message", "").strip()[-EXCERPT_CHARS:]
    summary = f"exit code {ended.get('exitCode')} after {restarts} restarts"
    if ended.get("reason") == "OOMKilled":
        hint = "raise spec.resources.memory"
        return Finding("Failed", "OOMKilled", f"{summary}: out of memory", hint, name)
    hint = "read the message; the whole log is in `kubectl logs --previous`"
    return Finding("Failed", "ContainerCrashed", f"{summary}: {message}".strip(": "), hint, name)
