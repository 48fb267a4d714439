"""The containers of docker/try: one for each host of the cluster, and those of the hub and its proxy."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from hosts import ADDRESSES, MASTERS, SERVERS, SUBNET, full

ENGINE = os.environ.get("CONTAINER_ENGINE", "podman")
NETWORK = "yarnspawner-try"
LABEL = "yarnspawner.folder"
HADOOP = ("nn", "zk", "rm1", "rm2", "worker1", "worker2")
IMAGES = "localhost/yarnspawner"
HARDENED = ["--read-only", "--cap-drop=all", "--security-opt=no-new-privileges"]

SITE = """\
c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = "{password}"
c.Authenticator.allow_all = False
c.Authenticator.allowed_users = {{"alice", "bob"}}
c.YarnSpawner.port_range = {ports}
c.YarnSpawner.hadoop_ca_file = "/opt/hadoop/public/ca.pem"
c.YarnSpawner.mem_limit = "512 M"
c.YarnSpawner.start_timeout = 900
c.YarnSpawner.profile_list = []
"""


class TrialError(Exception):
    """What did not happen, in one line."""


class Containers:
    """All containers of one trial, also those that an earlier one has kept. :meth:`remove` leaves nothing behind.

    A label of the network names the folder with the containers' files.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self.address = f"http://{ADDRESSES['proxy']}:8000"
        query = [ENGINE, "network", "inspect", "--format", f'{{{{index .Labels "{LABEL}"}}}}', NETWORK]
        found = subprocess.run(query, capture_output=True, text=True, check=False)
        if found.returncode == 0:
            self.folder = Path(found.stdout.strip())
        else:
            self.folder = Path(tempfile.mkdtemp(prefix="yarnspawner-try-", dir="/var/tmp"))
            (self.folder / "password").touch(mode=0o600)
            (self.folder / "password").write_text(secrets.token_hex(8))
            engine("network", "create", "--label", f"{LABEL}={self.folder}", "--subnet", SUBNET, NETWORK)
        self.password = (self.folder / "password").read_text()

    def start_cluster(self) -> None:
        """Start all hosts that do not run, and wait until both workers have registered."""
        for host in ("public", *(f"hosts/{host}" for host in ADDRESSES)):
            (self.folder / host).mkdir(parents=True, exist_ok=True)
        public = f"{self.folder}/public:/opt/hadoop/public"
        self._start("kdc", "cluster", "--volume", f"{self.folder}/hosts:/hosts", "--volume", public)
        for host in HADOOP:
            more = ["--volume", f"{self.folder}/hosts/{host}:/opt/hadoop/kerberos/keytabs", "--volume", f"{public}:ro"]
            if host.startswith("worker"):
                # A worker has a firewall, and application masters listen in a range of ports.
                more += ["--cap-add=NET_ADMIN", "--sysctl", f"net.ipv4.ip_local_port_range={MASTERS[0]} {MASTERS[1]}"]
            self._start(host, "cluster", *more)
        self._wait("the NameNode", 300, lambda: logged("nn", "Safe mode is OFF") or logged("nn", "Leaving safe mode"))
        self._wait("a ResourceManager", 300, lambda: is_active("rm1") or is_active("rm2"))
        for host in ("worker1", "worker2"):
            self._wait(f"the NodeManager of {host}", 300, partial(logged, host, "Registered with ResourceManager"))
            self._wait(f"the DataNode of {host}", 300, partial(logged, host, "successfully registered with NN"))
        if not (self.folder / "homes-made").exists():
            engine("exec", name("nn"), "python3", "/opt/cluster/role.py", "homes")
            (self.folder / "homes-made").touch()

    def _start(self, host: str, image: str, *options: str) -> None:
        """Start a host's container, unless it runs; make it if there is none."""
        found = state(host)
        if found == "running":
            return
        self._tell(f"    Starting {host}")
        if found:
            engine("start", name(host))
        else:
            role = [host] if image == "cluster" else []
            engine("run", "--detach", *place(host), *options, f"{IMAGES}/{image}", *role)

    def _wait(self, what: str, seconds: float, done: Callable[[], bool]) -> None:
        """Wait for a part of the cluster while all of its hosts run."""

        def done_while_running() -> bool:
            for host in ("kdc", *HADOOP):
                if state(host) != "running":
                    raise TrialError(f"{host} has ended: {logs(host)[-2000:]}")
            return done()

        self._tell(f"    Waiting for {what}")
        wait(what, seconds, done_while_running)

    def start_hub(self, archive: Path) -> None:
        """Start the proxy and the hub as compose.yaml does, with the cluster's files as mounts.

        Both are new containers, with images that may be newer than those of the last trial.
        """
        client = self.folder / "hadoop"
        if not client.exists():
            # From a container that has no mounts, so without the secrets of a host.
            source = engine("create", f"{IMAGES}/cluster", "kdc").strip()
            engine("cp", f"{source}:/opt/hadoop", str(client))
            engine("rm", source)
            self._write_site()
        remove(["hub", "proxy"])
        token = ["--volume", f"{self.folder}/token:/run/secrets/proxy_token:ro"]
        hub_url = ["--env", f"YARNSPAWNER_HUB_URL=http://{full('hub')}:8081"]
        self._start("proxy", "proxy", *HARDENED, *token, *hub_url)
        mounts = {
            client: "/opt/hadoop:ro",
            client / "conf": "/etc/hadoop/conf:ro",
            client / "krb5.conf": "/etc/krb5.conf:ro",
            self.folder / "public": "/opt/hadoop/public:ro",
            self.folder / "conf.d": "/etc/jupyterhub/conf.d:ro",
            self.folder / "state": "/srv/jupyterhub",
            self.folder / "token": "/run/secrets/proxy_token:ro",
            self.folder / "hosts/hub/jupyterhub.keytab": "/etc/security/keytabs/jupyterhub.keytab:ro",
            archive: f"/opt/environments/{archive.name}:ro",
        }
        variables = {
            "YARNSPAWNER_HUB_ADDRESS": full("hub"),
            "YARNSPAWNER_PRINCIPAL": "jupyterhub",
            "YARNSPAWNER_KEYTAB": "/etc/security/keytabs/jupyterhub.keytab",
            "YARNSPAWNER_ENVIRONMENT": f"/opt/environments/{archive.name}",
            "YARNSPAWNER_PROXY_API_URL": f"http://{full('proxy')}:8001",
        }
        options = [word for source, target in mounts.items() for word in ("--volume", f"{source}:{target}")]
        options += [word for key, value in variables.items() for word in ("--env", f"{key}={value}")]
        self._start("hub", "hub", *HARDENED, "--tmpfs", "/tmp:exec,mode=1777", *options)
        wait("the hub", 180, lambda: healthy("hub"))

    def _write_site(self) -> None:
        for folder, uid in (("conf.d", 0), ("state", 990)):
            (self.folder / folder).mkdir()
            os.chown(self.folder / folder, uid, uid)
        (self.folder / "conf.d" / "site.py").write_text(SITE.format(password=self.password, ports=SERVERS))
        shutil.chown(self.folder / "conf.d" / "site.py", 990)
        (self.folder / "conf.d" / "site.py").chmod(0o400)
        token = self.folder / "token"
        token.write_text(secrets.token_hex(32))
        os.chown(token, 990, 991)
        token.chmod(0o440)

    def remove(self) -> None:
        remove([*ADDRESSES])
        subprocess.run([ENGINE, "network", "rm", "--force", NETWORK], capture_output=True, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def place(host: str) -> list[str]:
    """Return the options that give a container its names and address."""
    known = [f"--add-host={full(other)}:{address}" for other, address in ADDRESSES.items() if other != host]
    return ["--name", name(host), "--hostname", full(host), "--network", NETWORK, "--ip", ADDRESSES[host], *known]


def name(host: str) -> str:
    return f"{NETWORK}-{host}"


def logs(host: str) -> str:
    """Return what a container has logged since its last start."""
    since = subprocess.run(
        [ENGINE, "inspect", "--format", "{{json .State.StartedAt}}", name(host)],
        capture_output=True,
        text=True,
        check=False,
    )
    command = [ENGINE, "logs", "--since", since.stdout.strip().strip('"'), name(host)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def save_logs(folder: str) -> str:
    """Write the logs of all containers to files in ``folder``, and return it."""
    for host in ADDRESSES:
        (Path(folder) / f"{host}.log").write_text(logs(host))
    return folder


def logged(host: str, text: str) -> bool:
    return text in logs(host)


def is_active(host: str) -> bool:
    """Say whether a ResourceManager's last transition was to the active state."""
    lines = [line for line in logs(host).splitlines() if "Transitioned to " in line]
    return state(host) == "running" and bool(lines) and "Transitioned to active" in lines[-1]


def remove(hosts: list[str]) -> None:
    """Remove containers at once, without waiting for their orderly end."""
    names = [name(host) for host in hosts]
    for command in (["kill", *names], ["rm", "--force", "--volumes", *names]):
        subprocess.run([ENGINE, *command], capture_output=True, check=False)


def healthy(host: str) -> bool:
    if state(host) != "running":
        raise TrialError(f"{host} has ended: {logs(host)[-2000:]}")
    probe = ["exec", name(host), "curl", "--silent", "--fail", "http://127.0.0.1:8081/hub/health"]
    return subprocess.run([ENGINE, *probe], capture_output=True, check=False).returncode == 0


def state(host: str) -> str:
    """Return the state of a host's container; empty if there is none."""
    command = [ENGINE, "inspect", "--format", "{{.State.Status}}", name(host)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def wait(what: str, seconds: float, done: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise TrialError(f"{what}: not ready after {seconds:.0f} s")
        time.sleep(1)


def engine(*arguments: str) -> str:
    done = subprocess.run([ENGINE, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise TrialError(f"{ENGINE} {' '.join(arguments[:2])}: {done.stderr.strip()[-1000:]}")
    return done.stdout
