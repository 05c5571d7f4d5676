"""Finds what a cluster has left on the machine."""

from collections.abc import Iterator
from pathlib import Path

from e2e.cluster import network, processes
from e2e.cluster.paths import CACHE, CONTAINERD_SOCKET, RUN, STATE
from e2e.cluster.shell import run, succeeds

_IPTABLES = ("iptables", "ip6tables")
_PREFIXES = ("KUBE-ROUTER", "KUBE-POD-FW", "KUBE-NWPLCY")


def find() -> list[str]:
    """Return one line for each thing that is left."""
    return [
        *(f"process {name}" for name in processes.names() if processes.is_running(name)),
        *(f"process {pid}, a container's shim" for pid in shims()),
        *(f"mount {mount}" for mount in mounts()),
        *(f"cgroup {folder}" for folder in cgroups()),
        *(f"firewall chain {chain}" for chain in chains()),
        *_of_the_network(),
        *(f"folder {folder}" for folder in (STATE, RUN) if folder.exists()),
    ]


def shims() -> list[int]:
    """Return the processes that hold containers of our containerd."""
    marks = (b"containerd-shim", str(CONTAINERD_SOCKET).encode())
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if all(mark in line for mark in marks):
            found.append(int(path.parent.name))
    return found


def mounts() -> list[str]:
    """Return what is mounted under our folders, in the order in which it was mounted."""
    points = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    return [point for point in points if point.startswith((f"{STATE}/", f"{RUN}/", f"{CACHE}/"))]


def cgroups() -> list[Path]:
    """Return the tops of the pods' cgroups."""
    root = Path("/sys/fs/cgroup")
    return [path for path in [*root.glob("kubepods"), *root.glob("*/kubepods")] if path.is_dir()]


def chains() -> list[str]:
    """Return kube-router's chains, each as ``COMMAND CHAIN``."""
    return [f"{command} {chain}" for command in _IPTABLES for chain in _chains_of(command)]


def remove_chains() -> None:
    """Remove kube-router's chains, and its sets of addresses."""
    for command in _IPTABLES:
        for rule in _rules(command):
            if any(f"-j {prefix}" in rule for prefix in _PREFIXES):
                succeeds("sh", "-c", f"{command} -D{rule.removeprefix('-A')}")
        for chain in _chains_of(command):
            succeeds(command, "-F", chain)
        for chain in _chains_of(command):
            succeeds(command, "-X", chain)
    if succeeds("ipset", "--version"):
        for name in run("ipset", "list", "-name").split():
            if name.startswith(("KUBE-", "inet6:KUBE-", "kube-router-", "inet6:kube-router-")):
                succeeds("ipset", "destroy", name)


def _chains_of(command: str) -> list[str]:
    names = [rule.split()[1] for rule in _rules(command) if rule.startswith("-N ")]
    return [name for name in names if name.startswith(_PREFIXES)]


def _rules(command: str) -> list[str]:
    if not succeeds(command, "-S"):
        return []
    return run(command, "-S").splitlines()


def _of_the_network() -> Iterator[str]:
    if succeeds("ip", "link", "show", network.BRIDGE):
        yield f"network device {network.BRIDGE}"
    if network.has_address():
        yield f"address {network.NODE_IP} on lo"
    for family, table in (("ip", "kube-proxy"), ("ip6", "kube-proxy"), ("ip", network.TABLE)):
        if succeeds("nft", "list", "table", family, table):
            yield f"nftables table {family} {table}"
