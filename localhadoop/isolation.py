"""A network and mounts of their own for a cluster's daemons and containers (Linux namespaces; needs root).

The cluster's machines are addresses of one network namespace, connected with this machine by a veth pair. A firewall
(nftables) stands between both. The namespaces, the pair and the firewall are gone with the cluster's last process.
"""

from __future__ import annotations

import pwd
import subprocess
from collections.abc import Sequence
from pathlib import Path

from localhadoop import system
from localhadoop.errors import LocalHadoopError
from localhadoop.paths import is_root
from localhadoop.progress import Progress
from localhadoop.settings import DOMAIN, SERVICES, Settings

PACKAGES = {"ip": "iproute2", "nft": "nftables", "unshare": "util-linux", "curl": "curl"}

#: Where hardened machines refuse to execute programs.
CLOSED = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108

#: $0 is a file of host names; this machine's own stays as it is.
ENTER = (
    'mount --bind "$0" /etc/hosts && for folder in '
    + " ".join(CLOSED)
    + '; do mount --bind "$folder" "$folder" && mount -o remount,bind,noexec,nosuid,nodev "$folder" || exit 1; done'
    ' && exec "$@"'
)

#: Everything may talk inside; from outside only to what the documentation names, and containers only to the hub.
FIREWALL = """\
table inet localhadoop {{
    set hub_ports {{ type inet_service; }}
    chain input {{
        type filter hook input priority 0; policy drop;
        iif "lo" accept
        ct state established,related accept
        tcp dport {{ {ports} }} accept
    }}
    chain output {{
        type filter hook output priority 0; policy drop;
        oif "lo" accept
        ct state established,related accept
        ip daddr {hub} tcp dport @hub_ports accept
    }}
}}
"""


def available(progress: Progress) -> bool:
    """Whether this process can make namespaces; installs missing programs, and says if it cannot."""
    if not is_root():
        progress.step("Without root, the cluster has no network of its own, no firewall, and programs in /tmp run")
        return False
    missing = [package for program, package in PACKAGES.items() if not system.find(program)]
    if missing and system.can_install():
        system.install(missing, progress)
    elif missing:
        raise LocalHadoopError(f"a strict cluster needs {', '.join(missing)}: install them")
    tried = subprocess.run(["unshare", "--mount", "--net", "true"], capture_output=True, timeout=30, check=False)
    if tried.returncode:
        progress.step("This machine refuses namespaces: no network of its own, no firewall, and programs in /tmp run")
    return tried.returncode == 0


def hosts_file(settings: Settings) -> Path:
    return settings.folder / "hosts"


def write(settings: Settings) -> None:
    """Write the names of the cluster's machines."""
    lines = [Path("/etc/hosts").read_text().rstrip("\n"), f"{settings.network_address(1)} {settings.hub_host} hub"]
    for daemon in ("namenode", *settings.node_managers):
        host = settings.host(daemon)
        lines.append(f"{settings.ip(daemon)} {host} {host.removesuffix(f'.{DOMAIN}')}")
    hosts_file(settings).write_text("\n".join(lines) + "\n")


def enter(settings: Settings, command: Sequence[str]) -> list[str]:
    """The command with the cluster's mounts and host names; it keeps its process id."""
    return ["unshare", "--mount", "sh", "-c", ENTER, str(hosts_file(settings)), *command]


def separate(settings: Settings, command: Sequence[str]) -> list[str]:
    """The command with the cluster's mounts and host names, in a new network namespace."""
    return ["unshare", "--net", *enter(settings, command)]


def as_user(command: Sequence[str], user: str | None) -> list[str]:
    """The command under a user's own uid; None and the accounts of services are this process's."""
    if user is None or user in SERVICES:
        return list(command)
    account = pwd.getpwnam(user)
    identity = ["--reuid", str(account.pw_uid), "--regid", str(account.pw_gid), "--init-groups"]
    return ["setpriv", *identity, "--", *command]


def connect(settings: Settings, pid: int) -> None:
    """Connect the network of process ``pid`` with this machine, and put the firewall between them.

    Raises :class:`LocalHadoopError` with the message of the program that failed.
    """
    inside, veth = within(pid), f"lh{settings.ports['claim']}"
    run("ip", "link", "add", veth, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
    run("ip", "address", "add", f"{settings.network_address(1)}/25", "dev", veth)
    run("ip", "link", "set", veth, "up")
    run(*inside, "ip", "link", "set", "lo", "up")
    for address in dict.fromkeys(settings.ip(daemon) for daemon in ("namenode", *settings.node_managers)):
        run(*inside, "ip", "address", "add", f"{address}/25", "dev", "eth0")
    run(*inside, "ip", "link", "set", "eth0", "up")
    run(*inside, "nft", "-f", "-", text=firewall(settings))


def firewall(settings: Settings) -> str:
    """The rules of the firewall, for ``nft -f``."""
    open_ports = ["namenode", "namenode-web", "datanode", "datanode-web", "kdc"]
    for daemon in settings.resource_managers:
        # Node labels are set by an administrator's client.
        open_ports += [daemon, f"{daemon}-web", *([f"{daemon}-admin"] if settings.label else [])]
    open_ports += [f"{daemon}-web" for daemon in settings.node_managers]
    # The application master's port, and a server's without ``port_range``, are any that the kernel gives.
    given = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    ports = ", ".join([*(str(settings.ports[name]) for name in open_ports), "-".join(given)])
    return FIREWALL.format(ports=ports, hub=settings.network_address(1))


def open_hub_port(pid: int, port: int) -> None:
    """Let containers in the network of process ``pid`` connect to ``port`` of this machine."""
    run(*within(pid), "nft", "add", "element", "inet", "localhadoop", "hub_ports", f"{{ {port} }}")


def within(pid: int) -> list[str]:
    return ["nsenter", "--net", f"--target={pid}"]


def run(program: str, *arguments: str, text: str = "") -> None:
    command = [system.find(program) or program, *arguments]
    answer = subprocess.run(command, input=text, capture_output=True, text=True, timeout=30, check=False)
    if answer.returncode:
        raise LocalHadoopError(f"{program} {' '.join(arguments)}: {answer.stderr.strip()}")
