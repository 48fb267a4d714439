"""Cases 12 to 19 of public reports: what a site's cluster is like."""

import asyncio
import ssl
import subprocess

import pytest
from certipy import Certipy
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler
from traitlets import TraitError

from yarnspawner.hadoop.http_client import HadoopHttpClient, WebError
from yarnspawner.settings.hub import HubSettings


@pytest.fixture
async def private_service(tmp_path):
    """Start a web service with a certificate of a private CA; return its URL and the CA's file."""
    certipy = Certipy(store_dir=str(tmp_path))
    certipy.create_ca("site")
    files = certipy.create_signed_pair("service", "site", alt_names=["IP:127.0.0.1"])["files"]

    class Handler(RequestHandler):
        def get(self):
            self.write({"clusterInfo": {"state": "STARTED"}})

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files["cert"], files["key"])
    listener, port = bind_unused_port()
    server = HTTPServer(Application([(".*", Handler)]), ssl_options=context)
    server.add_socket(listener)
    yield f"https://127.0.0.1:{port}", certipy.store.get_record("site")["files"]["cert"]
    server.stop()


async def test_case_18_private_ca(private_service):
    """A client with the CA of the setting reads a web service; one without does not."""
    url, ca_file = private_service
    without, web = HadoopHttpClient("hub"), HadoopHttpClient("hub", ca_file=ca_file)
    with pytest.raises(WebError, match="certificate"):
        await without.get(f"{url}/ws/v1/cluster/info")
    assert (await web.get(f"{url}/ws/v1/cluster/info")).status == 200
    for client in (without, web):
        client.close()


async def test_case_18_private_ca_with_curl(private_service):
    """curl, which logs in with Kerberos, accepts the same file."""
    url, ca_file = private_service
    command = ["curl", "--silent", "--cacert", ca_file, url]
    completed = await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=20, check=False)
    assert b"STARTED" in completed.stdout


async def test_case_18_ca_reaches_all_clients(spawner_of, tmp_path, monkeypatch):
    """The setting reaches the client of the ResourceManager and that of the NameNodes."""
    (tmp_path / "core-site.xml").write_text(
        "<configuration><property><name>fs.defaultFS</name><value>hdfs://nn.example.com</value></property>"
        "</configuration>"
    )
    (tmp_path / "ca.pem").write_text("")
    monkeypatch.setenv("HADOOP_CONF_DIR", str(tmp_path))
    access = spawner_of(hadoop_ca_file=str(tmp_path / "ca.pem")).hub_context.access
    assert {access.resource_manager._web._ca_file, access.staging._web._ca_file} == {str(tmp_path / "ca.pem")}


async def test_case_18_missing_ca_file():
    """If the file does not exist, the error names the setting."""
    web = HadoopHttpClient("hub", ca_file="/nowhere/ca.pem")
    with pytest.raises(WebError, match=r"hadoop_ca_file: there is no file /nowhere/ca\.pem"):
        await web.get("https://127.0.0.1:1/")
    web.close()


async def test_case_18_link_to_knox(spawner_of):
    """Links on the pages lead to the setting's address, or there are none."""
    application = "application_1700000000000_0001"
    knox = "https://knox.example.com/gateway/default/yarn/cluster/app/{application_id}"
    link = spawner_of(application_link=knox).hub_context.access.link_to(application)
    assert link == f"https://knox.example.com/gateway/default/yarn/cluster/app/{application}"
    assert spawner_of("bob", application_link="").hub_context.access.link_to(application) == ""
    assert spawner_of("carl").hub_context.access.link_to(application).endswith(f"/cluster/app/{application}")


@pytest.mark.parametrize("link", ["https://knox.example.com/", "javascript:alert('{application_id}')"])
def test_case_18_link_without_application(link):
    """A link that names no application, or is none, is refused by the setting's name."""
    with pytest.raises(TraitError, match="application_link"):
        HubSettings(application_link=link)
