"""Cases 12 to 19 of public reports: what a site's cluster is like."""

import asyncio
import ssl
import subprocess
from pathlib import Path

import pytest
from certipy import Certipy
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler
from traitlets import TraitError

from yarnspawner.diagnosis.explain import explain, explain_submission_error
from yarnspawner.hadoop.http_client import HadoopHttpClient, WebError
from yarnspawner.settings.hub import HubSettings
from yarnspawner.skein_driver import ClusterRefused, driver_process
from yarnspawner.skein_driver.application_master import JAVA_OPTIONS, LAUNCHER_OPTIONS, master_environment

ROOT = Path(__file__).parents[3]


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
def test_case_18_invalid_link(link):
    """A link that names no application, or is none, is refused by the setting's name."""
    with pytest.raises(TraitError, match="application_link"):
        HubSettings(application_link=link)


def ended(diagnostics):
    return explain(Report(diagnostics))


class Report:
    """The parts of YARN's report that a diagnosis reads."""

    def __init__(self, diagnostics):
        self.diagnostics = diagnostics
        self.user, self.queue, self.state, self.final_status = "alice", "default", "FINISHED", "FAILED"


@pytest.mark.parametrize(
    "diagnostics",
    [
        (
            "Container [pid=1,containerID=c] is running 300B beyond the 'VIRTUAL' memory limit. Current usage: 412.0 MB of 1.3 GB"
            " physical memory used; 2.9 GB of 2.6 GB virtual memory used. Killing container."
        ),
        (
            "Container [pid=1,containerID=c] is running beyond virtual memory limits. Current usage: 412.0 MB of 1.3 GB physical"
            " memory used; 2.9 GB of 2.6 GB virtual memory used. Killing container."
        ),
    ],
)
def test_case_12_virtual_memory(diagnostics):
    """The cause is called by its name, with the figures of virtual memory and the property to change."""
    found = ended(diagnostics)
    assert found.cause.startswith("YARN's check of virtual memory killed the server")
    assert "2.9 GB" in found.cause and "2.6 GB" in found.cause
    assert "yarn.nodemanager.vmem-check-enabled" in found.remedy


def test_case_12_application_master():
    """The application master reserves little address space: neither for classes nor for each thread."""
    assert "-XX:CompressedClassSpaceSize=64m" in JAVA_OPTIONS
    assert "MALLOC_ARENA_MAX" in master_environment(JAVA_OPTIONS)


def refused(message):
    return explain_submission_error(ClusterRefused(message), hub="jupyterhub", user="alice", queue="default")


@pytest.mark.parametrize(
    "message",
    [
        "Failed to submit application: java.net.ConnectException: Timeline server (http://rm:8188) Connection refused",
        "java.lang.NoClassDefFoundError: com/sun/jersey/api/client/config/ClientConfig",
    ],
)
def test_case_15_timeline_service(message):
    """The property that asks for the service is named."""
    assert "yarn.timeline-service.enabled" in refused(message).remedy


@pytest.mark.parametrize(
    "message",
    [
        (
            "java.io.IOException: org.apache.hadoop.security.authorize.AuthorizationException: HTTP status [403], message"
            " [User: jupyterhub is not allowed to impersonate alice]"
        ),
        (
            "User: jupyterhub/hub@EXAMPLE.COM is not allowed to impersonate alice\n"
            "\tat org.apache.hadoop.crypto.key.kms.KMSClientProvider.getDelegationToken"
        ),
    ],
)
def test_case_16_kms(message):
    """A refusal of a key server is distinguished from HDFS and YARN, and its property is named."""
    found = refused(message)
    assert "KMS" in found.cause
    assert "hadoop.kms.proxyuser.jupyterhub.users" in found.remedy


def test_case_17_noexec_for_the_driver(monkeypatch, tmp_path):
    """If /tmp is noexec, the driver unpacks its native code elsewhere."""
    monkeypatch.setattr(driver_process, "find_java", lambda: "java")
    monkeypatch.setattr(driver_process, "_is_noexec", lambda folder: folder != str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    command = driver_process.driver_command(driver_process.DriverSettings())
    assert f"-Dcom.anaconda.skein.shaded.io.netty.native.workdir={tmp_path}" in command


def test_case_17_default_folder(monkeypatch):
    """If /tmp is not noexec, the driver uses it."""
    monkeypatch.setattr(driver_process, "_is_noexec", lambda folder: False)
    assert driver_process._executable_folder() == ""


def test_case_17_noexec_for_the_master():
    """The application master unpacks its native code in the container's folder."""
    assert "netty.native.workdir=." in JAVA_OPTIONS


@pytest.mark.parametrize("url", ["rm.example.com:8088", "https://rm1:8090, rm2:8090", "ftp://rm"])
def test_case_18_address_without_scheme(url):
    """An address that is no URL is refused by the setting's name."""
    with pytest.raises(TraitError, match=r"resource_manager_url: '.*' is not a URL"):
        HubSettings(resource_manager_url=url)


@pytest.mark.parametrize("content", [b"", b"\xfe\xed\xfe\xed a Java keystore", b"-----BEGIN CERTIFICATE-----\n!\n"])
async def test_case_18_no_pem_file(private_service, tmp_path, content):
    """A CA file that is not PEM, such as Java's truststore, is named."""
    url, _ = private_service
    file = tmp_path / "truststore.jks"
    file.write_bytes(content)
    client = HadoopHttpClient("hub", ca_file=str(file))
    with pytest.raises(WebError, match=r"hadoop_ca_file: .* is not a readable PEM file"):
        await client.get(url)
    client.close()
    client = HadoopHttpClient("hub", ca_file=str(tmp_path))
    with pytest.raises(WebError, match="hadoop_ca_file"):
        await client.get(url)
    client.close()


@pytest.mark.parametrize("series", ["3.1", "3.2"])
def test_case_19_hadoop_versions(series):
    """Hadoop 3.1 and 3.2 have a lock file, and the compatibility page says what was tried with them."""
    assert "hadoop-yarn-server-resourcemanager" in (ROOT / "localhadoop" / f"hadoop-{series}.lock").read_text()
    assert series in (ROOT / "docs" / "compatibility.md").read_text()


def test_case_19_java():
    """Hadoop 3.1 looks into Java's Kerberos by reflection, which Java 16 and later allow with an option only."""
    assert "--add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED" in LAUNCHER_OPTIONS
