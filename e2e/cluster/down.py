"""Stopping the cluster, so that nothing of it is left but the cache."""

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from e2e.cluster import binaries, containerd, kind, leftovers, network, processes
from e2e.cluster.log import ClusterError, say
from e2e.cluster.paths import CACHE, RUN, STATE
from e2e.cluster.shell import locked, succeeds

_FIRST = ("kubelet", "kube-router", "kube-proxy", "kube-scheduler", "kube-controller-manager")


def down() -> None:
    """Stop our processes and pods, and take back every mount, address, rule and folder.

    Raises
    ------
    ClusterError
        When something is left, with a list of it.
    """
    if kind.wanted():
        kind.down()
        return
    if os.geteuid() != 0:
        raise ClusterError("root is needed: run this with sudo --preserve-env")
    with locked("cluster"):
        _stop_processes()
        _unmount()
        _remove_rules()
        network.tear_down()
        _remove_cgroups()
        _remove_folders()
    if remaining := leftovers.find():
        raise ClusterError("\n".join(["left behind:", *remaining]))
    say(f"nothing is left but {CACHE}")


def _stop_processes() -> None:
    """Stop the kubelet before its pods, or it would start them again."""
    for name in _FIRST:
        processes.stop(name)
    if processes.is_running("containerd"):
        say("removing the pods")
        containerd.remove_containers()
    for name in processes.names():
        processes.stop(name)
    for pid in leftovers.shims():
        os.kill(pid, 9)


def _unmount() -> None:
    for mount in reversed(leftovers.mounts()):
        succeeds("umount", "--lazy", mount)


def _remove_rules() -> None:
    """Remove kube-proxy's tables and kube-router's chains and sets."""
    for family in ("ip", "ip6"):
        succeeds("nft", "delete", "table", family, "kube-proxy")
    kube_router = binaries.directory() / "kube-router"
    if leftovers.chains() and kube_router.exists():
        succeeds(kube_router, "--cleanup-config")
    leftovers.remove_chains()


def _remove_cgroups() -> None:
    for top in leftovers.cgroups():
        for folder in sorted(top.rglob("*"), reverse=True):
            if folder.is_dir():
                _rmdir(folder)
        _rmdir(top)


def _rmdir(folder: Path) -> None:
    """Remove a cgroup; its last process may need a moment to be gone."""
    for _ in range(20):
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return


def _remove_folders() -> None:
    """Remove our folders, and the few things that have fixed places outside of them."""
    for folder in (STATE, RUN):
        shutil.rmtree(folder, ignore_errors=True)
    for link in Path("/var/log/containers").glob("*.log"):
        if link.is_symlink() and str(link.readlink()).startswith(f"{STATE}/"):
            link.unlink()
    plugins = Path("/var/lib/kubelet/device-plugins")
    for name in ("kubelet.sock", "kubelet_internal_checkpoint", "DEPRECATION"):
        (plugins / name).unlink(missing_ok=True)
    run = Path("/run/containerd")
    of_shims = (run / "runc" / "k8s.io", run / "runc", run / "s", run / "fifo", run)
    for folder in (plugins, plugins.parent, Path("/var/log/containers"), *of_shims):
        with suppress(OSError):  # something else is in it, or it is gone
            folder.rmdir()
