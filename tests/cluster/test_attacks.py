"""Users who mean harm, on a real secure cluster: they control all that runs in their containers, and what they post.

The attacker has the container's own means: the script, the application's credentials, the account, the hub's token.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from demo.hub import Hub
from localhadoop import LocalHadoop
from tests.support.hub_user import END, START, HubUser, unfinished, until
from tests.support.hubs import log_of, running
from tests.support.processes import drivers_of, environments

CONFIGURATION = Path(__file__).resolve().parent.parent / "support" / "jupyterhub_config_attacks.py"
PORTS = range(30000, 40000)
pytestmark = pytest.mark.timeout(900)
# Seconds for all attempts together, which are under way at the same time.
PATIENCE = 500


@pytest.fixture(scope="module")
def hub(kerberos_cluster_of_session: LocalHadoop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("hub")
    (folder / "attacks").mkdir()
    with running(kerberos_cluster_of_session, folder, configuration=CONFIGURATION) as hub:
        yield hub


@pytest.fixture(scope="module")
def cluster(hub: Hub, kerberos_cluster_of_session: LocalHadoop) -> Iterator[LocalHadoop]:
    """Without applications when all is over."""
    yield kerberos_cluster_of_session
    for user in "alice", "bob":
        member = HubUser(hub.address, user, hub.password)
        for name in member.servers():
            member.ask_to_stop(name)
    until(lambda: not unfinished(kerberos_cluster_of_session), START, "without applications")


@pytest.fixture(scope="module")
def alice(hub: Hub, cluster: LocalHadoop) -> HubUser:
    """She means harm; her default server is JupyterLab, and listens."""
    alice = HubUser(hub.address, "alice", hub.password)
    alice.ask_to_start()
    return alice


@pytest.fixture(scope="module")
def bob(hub: Hub, cluster: LocalHadoop, alice: HubUser) -> HubUser:
    """He means no harm."""
    bob = HubUser(hub.address, "bob", hub.password)
    bob.ask_to_start()
    bob.wait_ready(timeout=PATIENCE)
    alice.wait_ready(timeout=PATIENCE)
    return bob


def addresses(hub: Hub) -> dict[tuple[str, str], tuple[str, str, int]]:
    """Where the hub sends browsers: scheme, host and port by user and server."""
    with closing(sqlite3.connect(f"file:{hub.folder}/jupyterhub.sqlite?mode=ro", uri=True)) as database:
        rows = database.execute(
            "select users.name, spawners.name, proto, ip, port from spawners"
            " join users on users.id = spawners.user_id join servers on servers.id = spawners.server_id"
        ).fetchall()
    return {(user, server): (scheme, host, port) for user, server, scheme, host, port in rows}


def hub_port(hub: Hub) -> int:
    return int(hub.address.rpartition(":")[2])


# -- What a container may say of its address

PUBLISH = """
import json, time
from yarnspawner.singleuser.store import Store, StoreError
def saying(port, host="localhost", **more):
    return json.dumps({{"version": 1, "scheme": "http", "host": host, "port": port, **more}}).encode()
store = Store()
for said in {said}:
    try:
        store.put("jupyter.server.address", said, lasting=True)
        break
    except StoreError as error:
        print("not taken:", str(error)[:200], flush=True)
time.sleep(600)
"""

# A service on the node that is not the user's server, on a port that it may have.
SOMETHING_ELSE = """
from http.server import HTTPServer, BaseHTTPRequestHandler
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        print("asked:", self.path, dict(self.headers), flush=True)
        self.send_response(404)
        self.end_headers()
import threading
server = HTTPServer(("", {port}), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
"""


# What is said, in the words of the script; where a second one stands, skein itself does not take the first.
LIES = {
    "ssh": "[saying(22)]",
    "ten-megabytes": "[saying(31000, 'h' * 10_000_000), saying(31000, 'h' * 3_000_000)]",
    "metadata": "[saying(80, '169.254.169.254')]",
    "unix-socket": "[saying(31000, 'unix:/var/run/docker.sock')]",
    "socket-scheme": "[saying(31000, scheme='unix')]",
    "wrong-types": "[saying('31000')]",
    "a-list": "[b'[1, 2, 3]']",
    "control-characters": "[saying(31000, 'node\\r\\nHost: evil\\x00\\x1b[31m')]",
    "credentials": "[saying(31000, 'alice:secret@evil.example')]",
}
QUICK = ["ssh", "ten-megabytes", "another-service", "another-host"]


def each(names: Any) -> list[Any]:
    return [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.full]) for name in names]


@pytest.fixture(scope="module")
def attempts(request: pytest.FixtureRequest, hub: Hub, alice: HubUser, bob: HubUser) -> set[str]:
    """The attacks of this run, all under way at the same time: named servers of alice's."""
    _, _, bobs = addresses(hub)["bob", ""]
    scripts = {name: PUBLISH.format(said=said) for name, said in LIES.items()}
    scripts |= {
        "hubs-own": PUBLISH.format(said=f"[saying({hub_port(hub)})]"),
        "another-users": PUBLISH.format(said=f"[saying({bobs})]"),
        "nobody-there": PUBLISH.format(said="[saying(39999)]"),
        "another-service": SOMETHING_ELSE.format(port=39123) + PUBLISH.format(said="[saying(39123)]"),
        "another-host": (
            "import yarnspawner.singleuser.__main__ as recipe\n"
            "recipe.node_name = lambda: '169.254.169.254'\n"
            "raise SystemExit(recipe.main([]))\n"
        ),
    }
    wanted = {
        item.callspec.params["attack"]
        for item in request.session.items
        if "attack" in getattr(getattr(item, "callspec", None), "params", {})
    }
    for name in sorted(wanted):
        (hub.folder / "attacks" / f"{name}.py").write_text(scripts[name])
        alice.ask_to_start(name)
    return wanted


@pytest.mark.parametrize("attack", each(LIES))
def test_attack_invalid_address(attack: str, alice: HubUser, attempts: set[str]) -> None:
    """A start fails when a container publishes an address that cannot be valid."""
    assert "does not accept" in alice.refusal(attack, PATIENCE)


@pytest.mark.parametrize("attack", each(["hubs-own"]))
def test_attack_hub_port(attack: str, alice: HubUser, attempts: set[str]) -> None:
    """A start fails when a container publishes the hub's own port."""
    assert "does not accept" in alice.refusal(attack, PATIENCE)


@pytest.mark.parametrize("attack", each(["another-users", "another-service"]))
def test_attack_foreign_port(attack: str, alice: HubUser, attempts: set[str], hub: Hub) -> None:
    """A start fails when a container publishes another user's or service's port; the hub sends no browser there."""
    assert "something else than this server" in alice.refusal(attack, PATIENCE)
    # No browser was ever sent there.
    assert ("alice", attack) not in addresses(hub)


@pytest.mark.parametrize("attack", each(["nobody-there"]))
def test_attack_port_without_server(attack: str, alice: HubUser, attempts: set[str]) -> None:
    """A start fails when a container publishes a port on which no process listens."""
    assert "no server answers" in alice.refusal(attack, PATIENCE)


@pytest.mark.parametrize("attack", each(["another-host"]))
def test_attack_foreign_host(attack: str, alice: HubUser, attempts: set[str], hub: Hub, cluster: LocalHadoop) -> None:
    """The hub ignores the host that a container names and uses the node on which the container runs."""
    alice.wait_ready(attack, timeout=PATIENCE)
    scheme, host, port = addresses(hub)["alice", attack]
    assert (scheme, port in PORTS) == ("http", True)
    assert host in {node["nodeHostName"] for node in cluster.nodes()}


def test_attack_nothing_is_left(attempts: set[str], alice: HubUser, cluster: LocalHadoop) -> None:
    """Attacks that failed leave no server and no application."""
    good = {"", "another-host"}
    until(lambda: set(alice.servers()) <= good, START, "gone")
    until(lambda: len(unfinished(cluster, "alice")) == len(alice.servers()), END, "ended")


def test_attack_second_publication(alice: HubUser, bob: HubUser, hub: Hub, cluster: LocalHadoop) -> None:
    """A second published address changes nothing: the first stays valid, even after the hub's restart."""
    before = addresses(hub)["alice", ""]
    address = {"version": 1, "scheme": "http", "host": "localhost", "port": addresses(hub)["bob", ""][2]}
    said = json.dumps(address).encode()
    alice.run(
        "from yarnspawner.singleuser.store import Store; store = Store()\n"
        f"store.put('jupyter.server.address', {said!r}, lasting=True)"
    )
    hub.kill()
    hub.start()
    again = HubUser(hub.address, "alice", hub.password)
    again.wait_ready()
    assert addresses(hub)["alice", ""] == before
    again.take_kernel_of(alice)
    assert again.run("print(6 * 7)") == "42\n"


# -- What alice can reach with what she has

# A call of HTTP/2 with the application's certificate, and whether it is answered at all. Whatever certificate the other
# side has is believed: what counts is whether it believes this one.
KNOCK = """
import os, skein, socket, ssl, tempfile
security = skein.Security.from_default()
with tempfile.NamedTemporaryFile(delete=False) as own:
    own.write(security._get_bytes("cert") + bytes([10]) + security._get_bytes("key"))
def knock(address):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    context.load_cert_chain(own.name)
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), 30) as connection:
        try:
            with context.wrap_socket(connection, server_hostname="skein-internal") as tls:
                tls.sendall(b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
                return "let in" if tls.recv(9) else "refused"
        except (ssl.SSLError, ConnectionError):
            return "refused"
"""


def test_attack_credentials(alice: HubUser, bob: HubUser, hub: Hub, cluster: LocalHadoop) -> None:
    """The credentials of alice's application open neither bob's store nor the hub's driver."""
    address = bob.run("import os; print(os.environ['SKEIN_APPMASTER_ADDRESS'])").strip()
    alice.run(KNOCK)
    assert alice.run("print(knock(os.environ['SKEIN_APPMASTER_ADDRESS']))") == "let in\n"
    for other in (address, *drivers(hub)):
        assert alice.run(f"print(knock({other!r}))") == "refused\n", other


def drivers(hub: Hub) -> list[str]:
    """The addresses of the hub's drivers."""
    assert hub._process is not None
    found = []
    for driver in drivers_of(hub._process.pid):
        found += [f"localhost:{c.laddr.port}" for c in driver.net_connections("tcp") if c.status == "LISTEN"]
    assert found
    return found


def test_attack_token(alice: HubUser, bob: HubUser, hub: Hub) -> None:
    """Alice's token opens nothing of bob's, and nothing of the hub's or the proxy's administration."""
    token, api = alice.run(
        "import os; print(os.environ['JUPYTERHUB_API_TOKEN'], os.environ['JUPYTERHUB_API_URL'])"
    ).split()
    header = {"Authorization": f"token {token}"}

    def asked(method: str, path: str, **more: Any) -> int:
        return requests.request(method, api + path, headers=header, timeout=30, **more).status_code

    assert asked("GET", "/users/alice") in (200, 403)
    for method, path in [
        ("GET", "/users"),
        ("GET", "/users/bob"),
        ("POST", "/users/bob/server"),
        ("DELETE", "/users/bob/server"),
        ("POST", "/users/bob/tokens"),
        ("GET", "/proxy"),
        ("POST", "/shutdown"),
        ("PATCH", "/users/alice"),
    ]:
        assert asked(method, path, json={"admin": True}) in (403, 404), (method, path)
    assert "bob" in json.dumps(bob.servers()) or bob.servers()
    # Bob's server does not know her, and neither does the proxy's own interface.
    _, host, port = addresses(hub)["bob", ""]
    for address in (f"{hub.address}/user/bob", f"http://{host}:{port}/user/bob"):
        assert requests.get(f"{address}/api/contents", headers=header, timeout=30).status_code == 403
    proxy = hub._environment["YARNSPAWNER_PROXY_API_URL"]
    assert requests.get(f"{proxy}/api/routes", headers=header, timeout=30).status_code == 403


def test_attack_files_and_processes(alice: HubUser, bob: HubUser, cluster: LocalHadoop) -> None:
    """Bob cannot read alice's private files, processes and HDFS folder, and cannot kill her application."""
    folder, pid, home = alice.run(
        "import os, sys, skein\nprint(skein.properties.container_dir, os.getppid(), os.environ['HOME'])"
    ).split()
    tried = [
        f"{folder}/yarnspawner.env",
        f"{folder}/.skein.pem",
        f"{folder}/container_tokens",
        f"{folder}/launch_container.sh",
        f"/proc/{pid}/environ",
        f"/proc/{pid}/mem",
        f"{home}/.bash_history",
    ]
    bob.run(
        "def attempt(path):\n"
        "    try:\n        open(path, 'rb').read(1)\n        return 'read'\n"
        "    except PermissionError:\n        return 'refused'\n"
        "    except OSError as error:\n        return type(error).__name__"
    )
    said = dict(zip(tried, bob.run(f"for path in {tried!r}: print(attempt(path))").split(), strict=True))
    assert set(said.values()) <= {"refused", "FileNotFoundError"}, said
    assert said[f"{folder}/yarnspawner.env"] == "refused"
    assert said[f"/proc/{pid}/environ"] == "refused"
    # Nor does he in HDFS, where the files of her applications are.
    seen = cluster.run(["hdfs", "dfs", "-ls", "/user/alice/.skein"], user="bob")
    assert seen.returncode != 0 and "Permission denied" in seen.stdout + seen.stderr
    # And YARN does not end her application for him.
    (application,) = [
        app["id"] for app in cluster.applications() if app["user"] == "alice" and app["state"] == "RUNNING"
    ][-1:]
    ended = cluster.run(["yarn", "application", "-kill", application], user="bob")
    assert ended.returncode != 0 or "cannot perform" in ended.stdout + ended.stderr
    assert application in unfinished(cluster, "alice")


# Listens to a kernel's output, and tries whether its ports let this process in, with and without its keys.
EAVESDROP = """
import json, threading, zmq
context, heard, kept = zmq.Context(), {}, []
def connected(kind, port, keys):
    client = context.socket(kind)
    client.linger = 0
    if keys:
        client.curve_publickey, client.curve_secretkey = zmq.curve_keypair()
        client.curve_serverkey = keys
    client.monitor(f"inproc://{id(client)}", zmq.EVENT_HANDSHAKE_SUCCEEDED)
    events = context.socket(zmq.PAIR)
    events.connect(f"inproc://{id(client)}")
    kept.append((client, events))
    client.connect(f"tcp://127.0.0.1:{port}")
    return client, events
def let_in(channel, port, keys):
    client, events = connected(zmq.SUB if channel == "iopub" else zmq.DEALER, port, keys)
    return bool(events.poll(20000 if keys else 2000))
def listen(port, keys):
    client, events = connected(zmq.SUB, port, keys)
    client.subscribe(b"")
    events.poll(20000 if keys else 2000)
    heard[keys] = b""
    def run():
        while client.poll(60000):
            heard[keys] += b"".join(client.recv_multipart())
    threading.Thread(target=run, daemon=True).start()
"""


def test_attack_eavesdropping(alice: HubUser, bob: HubUser) -> None:
    """No port of alice's kernel lets bob in, and he reads nothing of what it prints; with her key he would."""
    kernel = json.loads(alice.run("import ipykernel; print(open(ipykernel.get_connection_file()).read())"))
    ports = {channel: kernel[f"{channel}_port"] for channel in ("shell", "stdin", "control", "hb", "iopub")}
    iopub, key = kernel["iopub_port"], kernel["curve_publickey"].encode()
    bob.run(EAVESDROP)
    for keys, entry in ((b"", False), (key, True)):
        said = bob.run(
            f"print(json.dumps([let_in(*port, {keys!r}) for port in {ports}.items()])); listen({iopub}, {keys!r})"
        )
        assert json.loads(said) == [entry] * len(ports)
    alice.run("print('patient', 4000 + 711)")
    wait = f"import time; [time.sleep(0.1) for _ in range(200) if b'patient 4711' not in heard[{key!r}]]; time.sleep(1)"
    assert bob.run(f"{wait}; print(b'patient 4711' in heard[{key!r}], heard[b''])") == "True b''\n"


# -- What alice can post


def test_attack_posted_options(alice: HubUser, bob: HubUser, hub: Hub) -> None:
    """Options that a user posts are neither settings nor templates."""
    name = "posted"
    forged = {
        "cmd": ["touch /tmp/pwned"],
        "hadoop_user": "bob",
        "environment": {"JUPYTERHUB_USER": "bob", "JUPYTERHUB_API_TOKEN": "x", "LD_PRELOAD": "/tmp/x.so"},
        "prologue": "touch /tmp/pwned",
        "profile": "{0.__class__.__mro__}",
        "queue": "{unescaped_username.__class__}",
        "mem_limit": "900 G",
        "_access": None,
        "__class__": "x",
        "port_range": [1, 2],
    }
    alice.ask_to_start(name, options=forged)
    alice.wait_ready(name, timeout=PATIENCE)
    found = [variables for variables in environments() if variables.get("JUPYTERHUB_SERVER_NAME") == name]
    assert found and {variables["JUPYTERHUB_USER"] for variables in found} == {"alice"}
    assert {variables["SERVER"] for variables in found} == {name}
    assert not [variables for variables in found if "LD_PRELOAD" in variables]
    assert not Path("/tmp/pwned").exists()
    _, _, port = addresses(hub)["alice", name]
    assert port in PORTS
    alice.ask_to_stop(name)
    alice.wait_gone(name)
    assert "Traceback" not in log_of(hub)
