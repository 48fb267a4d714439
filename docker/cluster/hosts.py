"""The hosts of the cluster: names, addresses, roles and ports. The same on each host, and in docker/try."""

from __future__ import annotations

DOMAIN = "hadoop.test"
SUBNET = "10.77.0.0/24"

# Address by host.
ADDRESSES = {
    "kdc": "10.77.0.10",
    "nn": "10.77.0.11",
    "rm1": "10.77.0.12",
    "rm2": "10.77.0.13",
    "zk": "10.77.0.14",
    "worker1": "10.77.0.21",
    "worker2": "10.77.0.22",
    "hub": "10.77.0.31",
    "proxy": "10.77.0.32",
}

# Host by daemon, as localhadoop names them.
DAEMONS = {
    "namenode": "nn",
    "resourcemanager": "rm1",
    "resourcemanager2": "rm2",
    "zookeeper": "zk",
    "nodemanager1": "worker1",
    "nodemanager2": "worker2",
    "datanode": "0.0.0.0",
    "kdc": "kdc",
}

# Hadoop's usual ports. Those of hosts other than the workers are not filtered.
PORTS = {
    "kdc": 88,
    "namenode": 8020,
    "namenode-web": 9870,
    "datanode": 9866,
    "datanode-ipc": 9867,
    "datanode-web": 9864,
    "zookeeper": 2181,
}
for _manager in ("resourcemanager", "resourcemanager2"):
    PORTS |= {_manager: 8032, f"{_manager}-scheduler": 8030, f"{_manager}-tracker": 8031}
    PORTS |= {f"{_manager}-admin": 8033, f"{_manager}-web": 8088}
for _node in ("nodemanager1", "nodemanager2"):
    PORTS |= {_node: 8041, f"{_node}-localizer": 8040, f"{_node}-web": 8042, f"{_node}-collector": 8048}

# What a site's firewall has to allow: c.YarnSpawner.port_range, and the range of the application masters, which listen on any
# port of the node's net.ipv4.ip_local_port_range.
SERVERS = (40000, 40099)
MASTERS = (45000, 45999)
HUB_TO_WORKER = "8041,8044,9865,9866,9867"


def full(host: str) -> str:
    """Return the full name of a host; an address stays as it is."""
    return host if host[0].isdigit() else f"{host}.{DOMAIN}"


def daemons_of(host: str) -> list[str]:
    """Return the daemons that a host runs."""
    own = [daemon for daemon, place in DAEMONS.items() if place == host]
    return [*own, "datanode"] if host.startswith("worker") else own
