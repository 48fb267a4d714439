"""Be one host of the cluster: `role.py kdc|nn|rm1|rm2|zk|worker1|worker2`.

`role.py homes`, once, on the host nn, makes the users' home directories. `role.py applications`, on the host of a
ResourceManager that is active, prints what its REST interface says about applications.
"""

from __future__ import annotations

import json
import os
import pwd
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable

import realm
import site_files
from hosts import ADDRESSES, HUB_TO_WORKER, MASTERS, PORTS, SERVERS, daemons_of, full

from localhadoop import commands, homes, rest
from localhadoop.configuration import keytab

# Seconds: the KDC's host makes everybody's keytabs and certificates first.
WAIT = 300

ACCOUNTS = {"namenode": "hdfs", "datanode": "hdfs", "resourcemanager": "yarn", "zookeeper": "yarn"}


def main() -> int:
    host = sys.argv[1] if len(sys.argv) > 1 else ""
    if host in COMMANDS:
        COMMANDS[host]()
        return 0
    if host not in ADDRESSES or not daemons_of(host):
        print(__doc__, file=sys.stderr)
        return 2
    print(f"{full(host)}: for trying only; passwords are known, and nothing here is fit for production", flush=True)
    if host == "kdc":
        realm.create()
        os.execvp("krb5kdc", ["krb5kdc", "-n"])  # noqa: S606 - the KDC takes this process's place
    complete = keytab(site_files.settings(), "services").with_name("complete")
    wait_for(f"{complete} has not appeared", complete.exists)
    wait_for(f"nothing listens on port {PORTS['kdc']} of {full('kdc')}", kdc_listens)
    if host.startswith("worker"):
        firewall()
        renumber(host)
    if host == "nn":
        format_hdfs()
    return run(daemons_of(host))


def wait_for(problem: str, done: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT
    while not done():
        if time.monotonic() > end:
            sys.exit(f"role: {problem}; does the host kdc run?")
        time.sleep(0.5)


def kdc_listens() -> bool:
    """Say whether the KDC accepts connections, which it does only after it has made everybody's keytabs."""
    try:
        socket.create_connection((ADDRESSES["kdc"], PORTS["kdc"]), 3).close()
    except OSError:
        return False
    return True


def firewall() -> None:
    """Let only documented ports through between this worker and the hub's and the proxy's hosts."""
    servers, masters = (f"{first}:{last}" for first, last in (SERVERS, MASTERS))
    hub, proxy = ADDRESSES["hub"], ADDRESSES["proxy"]
    rules = [
        "-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
        f"-A INPUT -s {hub} -p tcp -m multiport --dports {HUB_TO_WORKER},{servers},{masters} -j ACCEPT",
        f"-A INPUT -s {proxy} -p tcp --dport {servers} -j ACCEPT",
        *(f"-A INPUT -s {address} -j REJECT" for address in (hub, proxy)),
        "-A OUTPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
        f"-A OUTPUT -d {hub} -p tcp --dport 8081 -j ACCEPT",
        *(f"-A OUTPUT -d {address} -j REJECT" for address in (hub, proxy)),
    ]
    for rule in rules:
        done = subprocess.run(["iptables", *rule.split()], capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"role: no firewall on this host: {done.stderr.strip()}", file=sys.stderr, flush=True)
            return
    print("firewall: from the hub and the proxy, only the documented ports", flush=True)


def renumber(host: str) -> None:
    """Give users other uids than on the other hosts: Hadoop and yarnspawner know them by name."""
    offset = 1000 * int(host.removeprefix("worker"))
    for user in ("alice", "bob", "carl"):
        if pwd.getpwnam(user).pw_uid < 3000:
            subprocess.run(["usermod", "--uid", str(pwd.getpwnam(user).pw_uid + offset), user], check=True)


def format_hdfs() -> None:
    chosen = site_files.settings()
    if (chosen.folder / "data" / "namenode" / "current").exists():
        return
    command = [*commands.daemon_command(chosen, "namenode"), "-format", "-nonInteractive"]
    subprocess.run(command, env=environment("namenode"), check=True, preexec_fn=become("namenode"), cwd="/tmp")


def environment(daemon: str) -> dict[str, str]:
    description = json.loads((site_files.HADOOP / "daemons" / daemon / "daemon.json").read_text())
    variables: dict[str, str] = description["environment"]
    return variables


def become(daemon: str) -> object:
    """Return a function that gives up root, for daemons that need none.

    A NodeManager stays root, because its container-executor is not the setuid program of a real node.
    """
    name = ACCOUNTS.get(daemon.rstrip("0123456789"))
    if name is None:
        return None
    account = pwd.getpwnam(name)

    def drop() -> None:
        os.setgroups([])
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)

    return drop


def run(daemons: list[str]) -> int:
    """Run this host's daemons; if one ends, end all of them."""
    chosen = site_files.settings()
    processes = []
    for daemon in daemons:
        if daemon.startswith("nodemanager"):
            (chosen.folder / "nodes" / daemon).mkdir(exist_ok=True)
        processes.append(
            subprocess.Popen(
                commands.daemon_command(chosen, daemon),
                env=environment(daemon),
                cwd="/tmp",
                preexec_fn=become(daemon),  # noqa: PLW1509
            )
        )
    signal.signal(signal.SIGTERM, lambda *_: [process.terminate() for process in processes])
    while all(process.poll() is None for process in processes):
        time.sleep(0.5)
    for process in processes:
        process.terminate()
    return max(abs(process.wait()) for process in processes)


def make_homes() -> None:
    """Make the users' home directories in HDFS, as its superuser."""
    chosen = site_files.settings()
    variables = log_in("hdfs", "nn")

    def hdfs(*arguments: str) -> str:
        command = ["hdfs", "dfs", *arguments]
        done = subprocess.run(command, env=variables, check=False, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"role: {' '.join(command[:3])}: {done.stderr.strip()}")
        return done.stdout

    homes.make_by_copy(chosen, hdfs)


def show_applications() -> None:
    """Print all applications as JSON, read over HTTPS with the ResourceManager's own ticket."""
    host = socket.getfqdn()
    url = f"https://{host}:8090/ws/v1/cluster/apps"
    more = ["--negotiate", "--user", ":", "--cacert", str(site_files.PUBLIC / "ca.pem")]
    print(rest.fetch(url, 30, more, log_in("yarn", host.partition(".")[0])).decode())


def log_in(account: str, host: str) -> dict[str, str]:
    """Return an environment with a ticket of a daemon's principal."""
    variables = {**os.environ, "KRB5CCNAME": f"FILE:/tmp/{account}-ticket"}
    command = ["kinit", "-kt", str(keytab(site_files.settings(), "services")), f"{account}/{full(host)}"]
    subprocess.run(command, env=variables, check=True)
    return variables


COMMANDS = {"homes": make_homes, "applications": show_applications}

if __name__ == "__main__":
    sys.exit(main())
