"""Addresses, the pods' bridge and packet forwarding: what of the host's network the cluster needs.

All of it is the cluster's own and goes with it: an address on lo, a bridge, one nftables table.
"""

import json
from pathlib import Path

from e2e.cluster.containerd import CNI_CONFIGURATION
from e2e.cluster.paths import STATE
from e2e.cluster.shell import put, run, succeeds

NODE_IP = "10.88.0.1"
POD_CIDR = "10.89.0.0/16"
SERVICE_CIDR = "10.96.0.0/16"
API_SERVICE_IP = "10.96.0.1"
DNS_SERVICE_IP = "10.96.0.10"
BRIDGE = "ondol0"
TABLE = "ondol-local"

_SYSCTLS = ("net/ipv4/ip_forward", "net/bridge/bridge-nf-call-iptables")
_BEFORE = STATE / "sysctls-before.json"

# Pods reach the world outside with the node's address.
_MASQUERADE = f"""table ip {TABLE} {{
  chain postrouting {{
    type nat hook postrouting priority srcnat;
    ip saddr {POD_CIDR} ip daddr != {{ {POD_CIDR}, {SERVICE_CIDR}, {NODE_IP} }} masquerade
  }}
}}
"""


def set_up() -> None:
    """Give the node its address and let packets pass; nothing happens the second time.

    Raises
    ------
    ClusterError
        When the machine does not allow it.
    """
    if not has_address():
        run("ip", "address", "add", f"{NODE_IP}/32", "dev", "lo")
    succeeds("modprobe", "br_netfilter")
    _forward_packets()
    if not succeeds("nft", "list", "table", "ip", TABLE):
        run("nft", "-f", "-", stdin=_MASQUERADE)
    put(CNI_CONFIGURATION / "10-ondol.conflist", json.dumps(_cni(), indent=1))


def tear_down() -> None:
    """Take back all that `set_up` and the pods have made."""
    succeeds("ip", "link", "delete", BRIDGE)
    if has_address():
        run("ip", "address", "delete", f"{NODE_IP}/32", "dev", "lo")
    succeeds("nft", "delete", "table", "ip", TABLE)
    if _BEFORE.exists():
        for path, value in json.loads(_BEFORE.read_text()).items():
            Path(path).write_text(value)


def has_address() -> bool:
    """Say whether lo has the node's address."""
    return f" {NODE_IP}/32 " in run("ip", "address", "show", "dev", "lo")


def _forward_packets() -> None:
    switches = [path for name in _SYSCTLS if (path := Path("/proc/sys") / name).exists()]
    if not _BEFORE.exists():
        put(_BEFORE, json.dumps({str(path): path.read_text() for path in switches}))
    for path in switches:
        path.write_text("1")


def _cni() -> dict[str, object]:
    # hairpinMode: a pod reaches itself through its Service.
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE,
        "isGateway": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": str(STATE / "cni" / "addresses"),
            "ranges": [[{"subnet": POD_CIDR}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    return {"cniVersion": "0.4.0", "name": "ondol-local", "plugins": [bridge]}
