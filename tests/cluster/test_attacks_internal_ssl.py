"""With `internal_ssl`, what is not the hub or its proxy does not get as far as a user's server."""

from __future__ import annotations

import socket
import sqlite3
import ssl
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests
from cryptography import x509

from demo.hub import CONFIGURATION as EXAMPLE
from demo.hub import Hub
from localhadoop import LocalHadoop
from tests.support.hub_user import START, HubUser

CONFIGURATION = Path(__file__).resolve().parent.parent / "support" / "jupyterhub_config_internal_ssl.py"


class CertifiedHub(Hub):
    """Its own interface answers nobody without a certificate; through the proxy it answers all."""

    def _answers(self, port: int) -> bool:
        return port != self.port or super()._answers(port)


@pytest.fixture(scope="module")
def hub(kerberos_cluster_of_session: LocalHadoop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    settings = {"EXAMPLE_CONFIGURATION": str(EXAMPLE)}
    folder = tmp_path_factory.mktemp("hub")
    hub = CertifiedHub(kerberos_cluster_of_session, folder, configuration=CONFIGURATION, settings=settings)
    try:
        hub.start(120)
        yield hub
    finally:
        hub.stop()


@pytest.fixture
def alice(hub: Hub, kerberos_cluster: LocalHadoop) -> Iterator[HubUser]:
    alice = HubUser(hub.address, "alice", hub.password)
    yield alice
    alice = HubUser(hub.address, "alice", hub.password)
    if alice.servers():
        alice.ask_to_stop()
        alice.wait_gone()


def server(hub: Hub) -> tuple[str, str, int]:
    """Where alice's server is: scheme, host, port."""
    with closing(sqlite3.connect(f"file:{hub.folder}/jupyterhub.sqlite?mode=ro", uri=True)) as database:
        (found,) = database.execute(
            "select proto, ip, port from spawners join servers on servers.id = spawners.server_id"
        ).fetchall()
    return found  # type: ignore[no-any-return]


def shown(host: str, port: int) -> x509.Certificate:
    """The certificate that a server shows to everybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((host, port), 30) as connection, context.wrap_socket(connection) as tls:
        return x509.load_der_x509_certificate(tls.getpeercert(True) or b"")


@pytest.mark.timeout(600)
def test_attack_without_certificate(hub: Hub, alice: HubUser, kerberos_cluster: LocalHadoop) -> None:
    """Only the hub's certificate opens a user's server, and a restarted hub still reaches it."""
    alice.ask_to_start()
    alice.wait_ready(timeout=400)
    assert alice.run("answer = 42\nprint(6 * 7)") == "42\n"
    scheme, host, port = server(hub)
    assert scheme == "https"
    address = f"https://{host}:{port}/user/alice/api"

    # Without a certificate, and in plain text, there is no answer at all.
    with pytest.raises((requests.exceptions.SSLError, requests.exceptions.ConnectionError)):
        requests.get(address, verify=False, timeout=30)  # noqa: S501 - it is believed whatever it shows
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(address.replace("https", "http", 1), timeout=30)
    # Nor with that of another user's server: here alice's own, which is of the same kind.
    folder = alice.run("import os; print(os.path.dirname(os.environ['JUPYTERHUB_SSL_KEYFILE']), end='')")
    own = (f"{folder}/certfile.pem", f"{folder}/keyfile.pem")
    with pytest.raises((requests.exceptions.SSLError, requests.exceptions.ConnectionError)):
        requests.get(address, cert=own, verify=False, timeout=30)  # noqa: S501 - it is believed whatever it shows
    # The hub's own certificate opens it, and so the name is right.
    certificates = hub.folder / "certificates"
    hubs = (str(certificates / "hub-internal/hub-internal.crt"), str(certificates / "hub-internal/hub-internal.key"))
    answer = requests.get(address, cert=hubs, verify=str(certificates / "hub-ca_trust.crt"), timeout=30)
    assert (answer.status_code, "version" in answer.json()) == (200, True)

    # It is good for the cluster's nodes alone: not for the hub, nor for whatever else runs on the hub's machine.
    names = shown(host, port).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    nodes = {node["nodeHostName"] for node in kerberos_cluster.nodes()}
    assert {str(name.value) for name in names} == nodes
    # The key is the user's alone.
    assert Path(own[1]).stat().st_mode & 0o007 == 0

    # The hub that comes back still reaches it, and so does its proxy.
    hub.kill()
    hub.start(120)
    again = HubUser(hub.address, "alice", hub.password)
    again.wait_ready(timeout=START)
    again.take_kernel_of(alice)
    assert again.run("print(answer)") == "42\n"
    assert server(hub) == (scheme, host, port)
