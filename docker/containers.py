"""The containers of docker/try: one for each host of the cluster, and those of the hub and its proxy."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from hosts import ADDRESSES, MASTERS, SERVERS, SUBNET, full

ENGINE = os.environ.get("CONTAINER_ENGINE", "podman")
NETWORK = "yarnspawner-try"
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
c.YarnSpawner.profile_list = []
"""


class TrialError(Exception):
    """What did not happen, in one line."""


class Containers:
    """All containers of one trial. :meth:`remove` leaves nothing behind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.password = secrets.token_hex(8)
        self.address = f"http://{ADDRESSES['proxy']}:8000"

    def start_cluster(self) -> None:
        """Start all hosts, and wait until both workers have registered."""
        for host in ("public", *(f"hosts/{host}" for host in ADDRESSES)):
            (self.folder / host).mkdir(parents=True)
        engine("network", "create", "--subnet", SUBNET, NETWORK)
        self._host(
            "kdc", "--volume", f"{self.folder}/hosts:/hosts", "--volume", f"{self.folder}/public:/opt/hadoop/public"
        )
        for host in ("nn", "zk", "rm1", "rm2", "worker1", "worker2"):
            (self.folder / "hosts" / host).mkdir(exist_ok=True)
            self.start_host(host)
        wait("the NameNode", 300, lambda: "Safe mode is OFF" in logs("nn") or "Leaving safe mode" in logs("nn"))
        wait("both workers", 300, lambda: all("Registered with ResourceManager" in logs(f"worker{n}") for n in (1, 2)))
        wait(
            "both DataNodes", 120, lambda: all("successfully registered with NN" in logs(f"worker{n}") for n in (1, 2))
        )
        engine("exec", name("nn"), "python3", "/opt/cluster/role.py", "homes")

    def start_host(self, host: str) -> None:
        """Start a host of Hadoop's."""
        more = []
        if host.startswith("worker"):
            # A worker has a firewall, and application masters listen in a range of ports.
            more = ["--cap-add=NET_ADMIN", "--sysctl", f"net.ipv4.ip_local_port_range={MASTERS[0]} {MASTERS[1]}"]
        self._host(host, *more, "--volume", f"{self.folder}/hosts/{host}:/opt/hadoop/kerberos/keytabs",
                   "--volume", f"{self.folder}/public:/opt/hadoop/public:ro")  # fmt: skip

    def _host(self, host: str, *options: str) -> None:
        engine("run", "--detach", *place(host), *options, f"{IMAGES}/cluster", host)

    def start_hub(self, archive: Path) -> None:
        """Start the proxy and the hub as compose.yaml does, with the cluster's files as mounts."""
        client = self.folder / "hadoop"
        if not client.exists():
            # From a container that has no mounts, so without the secrets of a host.
            source = engine("create", f"{IMAGES}/cluster", "kdc").strip()
            engine("cp", f"{source}:/opt/hadoop", str(client))
            engine("rm", source)
            self._write_site()
            token = ["--volume", f"{self.folder}/token:/run/secrets/proxy_token:ro"]
            engine("run", "--detach", *place("proxy"), *HARDENED, *token, "--env", f"YARNSPAWNER_HUB_URL=http://{full('hub')}:8081",
                   f"{IMAGES}/proxy")  # fmt: skip
        hub = self.folder / "hosts" / "hub"
        mounts = {
            client: "/opt/hadoop:ro",
            client / "conf": "/etc/hadoop/conf:ro",
            client / "krb5.conf": "/etc/krb5.conf:ro",
            self.folder / "public": "/opt/hadoop/public:ro",
            self.folder / "conf.d": "/etc/jupyterhub/conf.d:ro",
            self.folder / "state": "/srv/jupyterhub",
            self.folder / "token": "/run/secrets/proxy_token:ro",
            hub / "jupyterhub.keytab": "/etc/security/keytabs/jupyterhub.keytab:ro",
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
        engine("run", "--detach", *place("hub"), *HARDENED, "--tmpfs", "/tmp:exec,mode=1777", *options, f"{IMAGES}/hub")
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
        for host in ADDRESSES:
            subprocess.run([ENGINE, "rm", "--force", "--volumes", name(host)], capture_output=True, check=False)
        subprocess.run([ENGINE, "network", "rm", "--force", NETWORK], capture_output=True, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def place(host: str) -> list[str]:
    """Return the options that give a container its names and address."""
    known = [f"--add-host={full(other)}:{address}" for other, address in ADDRESSES.items() if other != host]
    return ["--name", name(host), "--hostname", full(host), "--network", NETWORK, "--ip", ADDRESSES[host], *known]


def name(host: str) -> str:
    return f"{NETWORK}-{host}"


def logs(host: str) -> str:
    done = subprocess.run([ENGINE, "logs", name(host)], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def healthy(host: str) -> bool:
    if state(host) != "running":
        raise TrialError(f"{host} has ended: {logs(host)[-2000:]}")
    probe = ["exec", name(host), "curl", "--silent", "--fail", "http://127.0.0.1:8081/hub/health"]
    return subprocess.run([ENGINE, *probe], capture_output=True, check=False).returncode == 0


def state(host: str) -> str:
    return engine("inspect", "--format", "{{.State.Status}}", name(host)).strip()


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
