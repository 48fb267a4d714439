"""Folders that skein leaves in HDFS. A small server stands for the NameNodes; tests/cluster asks real ones."""

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from yarnspawner.hadoop.filesystem import FileSystem, Place
from yarnspawner.hadoop.http_client import HadoopWeb, WebInsecure
from yarnspawner.hadoop.processes import CompletedCommand
from yarnspawner.hadoop.skein_staging import StagingFolders, StagingUnavailable

STANDBY = {"RemoteException": {"exception": "StandbyException", "message": "Operation category READ is not supported"}}
ID = "application_1763890000000_0001"


@pytest.fixture
def name_node():
    """Starts one: ``name_node(answers)`` is its address; each answer is a status and a document, by operation."""
    servers = []

    def start(answers, asked=None):
        class Handler(RequestHandler):
            def get(self):
                if asked is not None:
                    asked.append((self.request.method, self.request.path, self.get_argument("doas")))
                status, document = answers[self.get_argument("op")]
                self.set_status(status)
                self.finish(document)

            delete = get

        listener, port = bind_unused_port()
        servers.append(HTTPServer(Application([(".*", Handler)])))
        servers[-1].add_socket(listener)
        return f"http://127.0.0.1:{port}"

    yield start
    for server in servers:
        server.stop()


def listing(*names):
    return {"FileStatuses": {"FileStatus": [{"pathSuffix": name} for name in names]}}


HOME = {"GETHOMEDIRECTORY": (200, {"Path": "/user/alice"})}


async def test_what_is_no_applications_folder_is_not_seen(name_node):
    names = [ID, "application_1763890000000_1/..", "..", "other", 5]
    folders = StagingFolders([name_node({**HOME, "LISTSTATUS": (200, listing(*names))})])
    assert await folders.applications("alice") == {ID}


async def test_a_home_without_folders_has_none(name_node):
    missing = {"RemoteException": {"exception": "FileNotFoundException", "message": "File does not exist"}}
    assert await StagingFolders([name_node({**HOME, "LISTSTATUS": (404, missing)})]).applications("alice") == set()


async def test_a_folder_is_removed_as_its_user(name_node):
    asked = []
    folders = StagingFolders([name_node({**HOME, "DELETE": (200, {"boolean": True})}, asked)])
    assert await folders.remove(ID, "alice")
    assert asked[-1] == ("DELETE", f"/webhdfs/v1/user/alice/.skein/{ID}", "alice")


async def test_the_active_one_of_two_is_asked(name_node):
    standby = name_node(dict.fromkeys(["GETHOMEDIRECTORY", "LISTSTATUS"], (403, STANDBY)))
    active = name_node({**HOME, "LISTSTATUS": (200, listing(ID))})
    assert await StagingFolders([standby, active]).applications("alice") == {ID}


@pytest.mark.parametrize("application", ["", "..", "application_1_1/../..", "application_1"])
async def test_nothing_else_than_an_application_is_removed(application):
    with pytest.raises(ValueError, match="not an application id"):
        await StagingFolders(["http://127.0.0.1:1"]).remove(application, "alice")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            (403, {"RemoteException": {"exception": "AuthorizationException", "message": "may not\nimpersonate"}}),
            "may not impersonate",
        ),
        ((500, "<html>"), "status 500"),
        ((200, "<html>"), "something else than a JSON document"),
        ((200, {"Path": 5}), "no home"),
    ],
)
async def test_why_it_cannot_be_seen_is_said(name_node, answer, said):
    with pytest.raises(StagingUnavailable, match=said):
        await StagingFolders([name_node({"GETHOMEDIRECTORY": answer})]).applications("alice")


async def test_a_namenode_that_is_down_is_named():
    with pytest.raises(StagingUnavailable, match=r"127\.0\.0\.1:1"):
        await StagingFolders(["http://127.0.0.1:1"]).applications("alice")


async def test_where_there_is_no_hdfs_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("HADOOP_CONF_DIR", str(tmp_path))
    (tmp_path / "core-site.xml").write_text(
        "<configuration><property><name>fs.defaultFS</name><value>s3a://bucket</value></property></configuration>"
    )
    with pytest.raises(StagingUnavailable, match="s3a://bucket, not HDFS"):
        StagingFolders.from_configuration()


async def test_hadoops_own_client_serves_where_webhdfs_is_not_to_be_asked(monkeypatch):
    """Without a login over plain HTTP, folders are listed and removed through `hadoop fs`, as their user."""
    done = []

    async def insecure(self, url):
        raise WebInsecure("plain")

    async def run(self, *arguments, **options):
        done.append((self._user, *arguments))
        return CompletedCommand(0, f"/user/alice/.skein/{ID}\n/user/alice/.skein/other\n".encode(), "", cut=False)

    monkeypatch.setattr(HadoopWeb, "get", insecure)
    monkeypatch.setattr(FileSystem, "_command", run)
    monkeypatch.setattr(Place, "configured", lambda: Place("hdfs", "/user"))
    folders = StagingFolders(["http://nn.example.com:9870"])
    assert await folders.applications("alice") == {ID}
    assert await folders.remove(ID, "alice")
    assert [command[0] for command in done] == ["alice", "alice"]
    assert done[1][-1] == f"/user/alice/.skein/{ID}"
