"""skein's staging folders in HDFS. A small server stands in for the NameNodes; tests/cluster uses real ones."""

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from yarnspawner.hadoop.filesystem import DefaultFileSystem, FileSystem
from yarnspawner.hadoop.http_client import HadoopHttpClient, WebInsecure
from yarnspawner.hadoop.processes import CompletedCommand
from yarnspawner.hadoop.skein_staging import StagingFolders, StagingUnavailable

STANDBY = {"RemoteException": {"exception": "StandbyException", "message": "Operation category READ is not supported"}}
ID = "application_1763890000000_0001"


@pytest.fixture
def name_node():
    """Return a function that starts a NameNode and returns its address. It takes status and document by operation."""
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


async def test_only_application_folders(name_node):
    """Other names in the folder are ignored."""
    names = [ID, "application_1763890000000_1/..", "..", "other", 5]
    folders = StagingFolders([name_node({**HOME, "LISTSTATUS": (200, listing(*names))})])
    assert await folders.applications("alice") == {ID}


async def test_missing_folder(name_node):
    """A home without the folder has no applications."""
    missing = {"RemoteException": {"exception": "FileNotFoundException", "message": "File does not exist"}}
    assert await StagingFolders([name_node({**HOME, "LISTSTATUS": (404, missing)})]).applications("alice") == set()


async def test_remove(name_node):
    """A folder is removed as its user."""
    asked = []
    folders = StagingFolders([name_node({**HOME, "DELETE": (200, {"boolean": True})}, asked)])
    assert await folders.remove(ID, "alice")
    assert asked[-1] == ("DELETE", f"/webhdfs/v1/user/alice/.skein/{ID}", "alice")


async def test_active_namenode(name_node):
    """A standby's error is skipped."""
    standby = name_node(dict.fromkeys(["GETHOMEDIRECTORY", "LISTSTATUS"], (403, STANDBY)))
    active = name_node({**HOME, "LISTSTATUS": (200, listing(ID))})
    assert await StagingFolders([standby, active]).applications("alice") == {ID}


@pytest.mark.parametrize("application", ["", "..", "application_1_1/../..", "application_1"])
async def test_remove_invalid_id(application):
    """An invalid id is refused."""
    with pytest.raises(ValueError, match="not an application id"):
        await StagingFolders(["http://127.0.0.1:1"]).remove(application, "alice")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            (403, {"RemoteException": {"exception": "AuthorizationException", "message": "may not\nimpersonate"}}),
            "may not impersonate",
        ),
        ((500, "<html>"), "HTTP 500"),
        ((200, "<html>"), "did not return a JSON object"),
        ((200, {"Path": 5}), "no home folder"),
    ],
)
async def test_errors(name_node, answer, reason):
    """The error has HDFS's reason."""
    with pytest.raises(StagingUnavailable, match=reason):
        await StagingFolders([name_node({"GETHOMEDIRECTORY": answer})]).applications("alice")


async def test_namenode_down():
    """The error names the NameNode."""
    with pytest.raises(StagingUnavailable, match=r"127\.0\.0\.1:1"):
        await StagingFolders(["http://127.0.0.1:1"]).applications("alice")


async def test_other_file_system(tmp_path, monkeypatch):
    """Another default file system than HDFS is an error."""
    monkeypatch.setenv("HADOOP_CONF_DIR", str(tmp_path))
    (tmp_path / "core-site.xml").write_text(
        "<configuration><property><name>fs.defaultFS</name><value>s3a://bucket</value></property></configuration>"
    )
    with pytest.raises(StagingUnavailable, match="s3a://bucket, not HDFS"):
        StagingFolders.from_configuration()


async def test_fallback_to_hadoop_fs(monkeypatch):
    """If no login over plain HTTP is allowed, `hadoop fs` is used as the user."""
    done = []

    async def insecure(self, url):
        raise WebInsecure("plain")

    async def run(self, *arguments, **options):
        done.append((self._user, *arguments))
        return CompletedCommand(0, f"/user/alice/.skein/{ID}\n/user/alice/.skein/other\n".encode(), "", truncated=False)

    monkeypatch.setattr(HadoopHttpClient, "get", insecure)
    monkeypatch.setattr(FileSystem, "_run", run)
    monkeypatch.setattr(DefaultFileSystem, "from_configuration", lambda: DefaultFileSystem("hdfs", "/user"))
    folders = StagingFolders(["http://nn.example.com:9870"])
    assert await folders.applications("alice") == {ID}
    assert await folders.remove(ID, "alice")
    assert [command[0] for command in done] == ["alice", "alice"]
    assert done[1][-1] == f"/user/alice/.skein/{ID}"
