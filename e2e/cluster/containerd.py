"""The cluster's own containerd: its images are kept in the cache, all else goes with the cluster.

It is not the machine's service: it has a configuration, a socket and folders of its own.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from e2e.cluster import processes
from e2e.cluster.log import ClusterError
from e2e.cluster.paths import CACHE, CONTAINERD_SOCKET, RUN, STATE
from e2e.cluster.shell import put, run, succeeds

PAUSE_IMAGE = "localhost/ondol-pause:1"
CNI_CONFIGURATION = STATE / "cni" / "net.d"
_CNI_PLUGINS = ("/usr/lib/cni", "/opt/cni/bin")
_CNI_RESULTS = Path("/var/lib/cni/results")  # the place is fixed
_KEY_LABEL = "ondol.dev/key"


def start() -> None:
    """Start containerd, or leave it running.

    Raises
    ------
    ClusterError
        When it does not become ready.
    """
    configuration = STATE / "containerd.toml"
    RUN.mkdir(parents=True, exist_ok=True)
    put(configuration, _configuration())
    processes.ensure(
        processes.Daemon(
            name="containerd",
            argv=("containerd", "--config", configuration),
            ready=lambda: succeeds(*ctr_command("version")),
            inputs=(configuration,),
        )
    )


def ctr_command(*argv: str) -> list[str]:
    """Return the command line of containerd's client for this containerd and kubelet's images."""
    return ["ctr", "--address", str(CONTAINERD_SOCKET), "--namespace", "k8s.io", *argv]


def image_key(name: str) -> str | None:
    """Return the key that an image was made from; None when there is no such image."""
    for line in run(*ctr_command("images", "list", f"name=={name}")).splitlines():
        if line.startswith(f"{name} "):
            labels = dict(label.partition("=")[::2] for label in line.split()[-1].split(","))
            return labels.get(_KEY_LABEL)
    return None


def set_image_key(name: str, key: str) -> None:
    """Note what an image was made from, on the image itself."""
    run(*ctr_command("images", "label", name, f"{_KEY_LABEL}={key}"))


def remove_replaced_images() -> None:
    """Remove what an image's name meant before; containers that still run on it go on.

    Kubelet's view of containerd keeps each image under its digest too, and that would hold it.
    """
    rows = [line.split() for line in run(*ctr_command("images", "list")).splitlines()[1:]]
    named = {digest for name, _type, digest, *_rest in rows if not name.startswith("sha256:")}
    for name, _type, digest, *_rest in rows:
        if digest not in named:
            run(*ctr_command("images", "remove", name))


def run_once(image: str, argv: Sequence[str], *, mounts: Sequence[str]) -> None:
    """Run a command in an image as its own user, with ``from:to`` mounts, and remove the container.

    Raises
    ------
    ClusterError
        When the command fails.
    """
    options = ["--rm", "--net-host"]
    for mount in mounts:
        source, target = mount.split(":")
        options += ["--mount", f"type=bind,src={source},dst={target},options=rbind:rw"]
    name = f"ondol-once-{os.getpid()}"
    run(*ctr_command("run", *options, image, name, *argv))


def remove_containers() -> None:
    """End and remove every container of this containerd; its images stay."""
    for name in _list("tasks"):
        succeeds(*ctr_command("tasks", "kill", "--signal", "SIGKILL", name))
        succeeds(*ctr_command("tasks", "delete", "--force", name))
    for name in _list("containers"):
        succeeds(*ctr_command("containers", "delete", name))
        for path in _CNI_RESULTS.glob(f"*-{name}-*"):
            path.unlink()


def _list(what: str) -> list[str]:
    try:
        return run(*ctr_command(what, "list", "--quiet")).split()
    except ClusterError:
        return []


def _configuration() -> str:
    plugins = next((path for path in _CNI_PLUGINS if Path(path).is_dir()), _CNI_PLUGINS[0])
    # restrict_oom_score_adj: some machines do not let even root lower it, and no pod would start.
    return f"""version = 2
root = "{CACHE}/containerd"
state = "{RUN}/containerd"
[grpc]
address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{plugins}"
conf_dir = "{CNI_CONFIGURATION}"
[plugins."io.containerd.grpc.v1.cri".containerd]
default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
"""
