"""Bob means harm to alice's kernels in containers, on a real secure cluster. He knows all that is not secret."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import requests

from demo.hub import Hub
from localhadoop import LocalHadoop
from tests.support.kernel_hubs import PYTHON, containers, hub_with_kernels, server_of
from tests.support.kernel_user import KernelUser

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]

# What a port scan and YARN's pages tell of alice's kernel.
KNOWN = """
import json, os
from ipykernel.connect import get_connection_file
with open(get_connection_file()) as file:
    connection = json.load(file)
print(json.dumps({"ip": connection["ip"], "port": connection["shell_port"],
                  "master": os.environ["SKEIN_APPMASTER_ADDRESS"]}))
"""

# Ask the kernel for a reply: in plain text, with a random Curve key, and with the one that bob's own private file gives for the
# id of alice's kernel.
CONNECT = """
import os, socket as sockets, zmq
from pathlib import Path
from jupyter_client.session import Session
from yarnspawner.common.kernel_protocol import SECRET_FILE, KernelKeys
from yarnspawner.singleuser.store import Store
def answers(server_key, key):
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.linger, socket.sndtimeo = 0, 4000
    if server_key:
        socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
        socket.curve_serverkey = server_key
    socket.connect("tcp://{ip}:{port}")
    try:
        Session(key=key).send(socket, "kernel_info_request")
        return socket.poll(4000)
    except zmq.Again:  # the kernel has refused the connection already
        return 0
    finally:
        socket.close()
sockets.create_connection(("{ip}", {port}), timeout=5).close()
own = KernelKeys(Path(Store().container_folder, SECRET_FILE).read_bytes(), "{kernel}").connection
print(answers(None, os.urandom(32)), answers(zmq.curve_keypair()[0], os.urandom(32)),
      answers(own["curve_publickey"].encode(), own["key"].encode()))
"""

# Alice's server runs a cell in the kernel. Somebody between them records all that it sends.
RECORD = """
import base64, socket as sockets, threading, zmq
from pathlib import Path
from jupyter_client.session import Session
from yarnspawner.common.kernel_protocol import SECRET_FILE, KernelKeys
from yarnspawner.singleuser.store import Store
keys = KernelKeys(Path(Store().container_folder, SECRET_FILE).read_bytes(), "{kernel}").connection
recorded = []
def copy(source, target, kept):
    while data := source.recv(65536):
        kept.append(data)
        target.sendall(data)
def relay(listener):
    client, server = listener.accept()[0], sockets.create_connection(("{ip}", {port}))
    threading.Thread(target=copy, args=(server, client, []), daemon=True).start()
    copy(client, server, recorded)
listener = sockets.create_server(("127.0.0.1", 0))
threading.Thread(target=relay, args=(listener,), daemon=True).start()
socket = zmq.Context.instance().socket(zmq.DEALER)
socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
socket.curve_serverkey = keys["curve_publickey"].encode()
socket.connect("tcp://127.0.0.1:%d" % listener.getsockname()[1])
cell = dict(code="executions = globals().get('executions', 0) + 1", silent=False, store_history=False,
            user_expressions=dict(), allow_stdin=False, stop_on_error=True)
Session(key=keys["key"].encode()).send(socket, "execute_request", cell)
assert socket.poll(20000)
print(base64.b64encode(b"".join(recorded)).decode())
"""

# Send the recorded bytes to the kernel again.
REPLAY = """
import base64, socket
connection = socket.create_connection(("{ip}", {port}), timeout=3)
connection.sendall(base64.b64decode("{recorded}"))
try:
    while connection.recv(65536):
        pass
except OSError:
    pass
"""

# Ask alice's application master for one more container, with bob's own credentials and with new ones.
ADD = """
import grpc, skein, socket
from skein import proto
def add(security):
    certificate, key = (security._get_bytes(kind) for kind in ("cert", "key"))
    credentials = grpc.ssl_channel_credentials(certificate, key, certificate)
    options = [("grpc.ssl_target_name_override", "skein-internal"), ("grpc.enable_http_proxy", 0)]
    stub = proto.AppMasterStub(grpc.secure_channel("{master}", credentials, options))
    try:
        stub.addContainer(proto.AddContainerRequest(service_name="{service}"), timeout=10)
        return "added"
    except grpc.RpcError as error:
        return error.code().name
host, _, port = "{master}".rpartition(":")
socket.create_connection((host, int(port)), timeout=5).close()
print(add(skein.Security.from_default()), add(skein.Security.new_credentials()))
"""


@pytest.fixture(scope="module")
def hub(kerberos_cluster_of_session: LocalHadoop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with hub_with_kernels(kerberos_cluster_of_session, tmp_path_factory) as hub:
        yield hub


def test_bob_cannot_use_alices_kernel(hub: Hub, kerberos_cluster_of_session: LocalHadoop) -> None:
    """He can neither talk to it nor add containers to her application. Her kernel's id and a recorded session do not help him."""
    with ExitStack() as stack:
        alice, bob = (
            stack.enter_context(server_of(name, hub, kerberos_cluster_of_session)) for name in ("alice", "bob")
        )
        kernel, hers, own = alice.start_kernel(PYTHON), alice.start_kernel("python3"), bob.start_kernel("python3")
        known = json.loads(alice.execute(kernel, KNOWN)) | {"kernel": kernel}

        assert bob.execute(own, CONNECT.format(**known)).split() == ["0", "0", "0"]
        # Alice's own private file gives the right keys.
        assert alice.execute(hers, CONNECT.format(**known)).split() == ["0", "0", "1"]

        recorded = alice.execute(hers, RECORD.format(**known)).split()[-1]
        assert len(recorded) > 1000
        bob.execute(own, REPLAY.format(**known, recorded=recorded))
        assert alice.execute(kernel, "print(executions)").strip() == "1"

        before = containers(kerberos_cluster_of_session)
        refused = bob.execute(own, ADD.format(**known, service=PYTHON.replace("yarn-", "kernel-"))).split()[-2:]
        assert refused == ["UNAVAILABLE", "UNAVAILABLE"]
        assert containers(kerberos_cluster_of_session) == before

        assert bob.kernel(kernel) is None
        assert _status_at(alice, bob, kernel) in (403, 404)
        assert alice.execute(kernel, "print(6 * 7)").strip() == "42"
        alice.shut_down(kernel)


def _status_at(alice: KernelUser, bob: KernelUser, kernel: str) -> int:
    """The status of bob's request to alice's server."""
    address = bob._url(f"/user/{alice.name}/api/kernels/{kernel}")
    answer: requests.Response = bob._session.get(address, timeout=60)
    return answer.status_code
