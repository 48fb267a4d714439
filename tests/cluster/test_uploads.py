"""Files that the hub puts into HDFS once, on both kinds of a real cluster: who owns and reads them, and what runs with them."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import skein

from localhadoop import LocalHadoop
from tests.support.applications import LONG, reach, specification, use
from tests.support.cluster_kinds import mostly_on_kerberos, mostly_on_simple
from yarnspawner.hadoop.accounts import hub_account
from yarnspawner.hadoop.uploads import UploadError, Uploads
from yarnspawner.launch.localize import upload_shared_files
from yarnspawner.skein_driver import SKEIN_JAR, SKEIN_JAR_NAME, Cluster, ClusterRefused

pytestmark = pytest.mark.timeout(900)

# Ends once it has found its file, and says whether it could.
SCRIPT = "test -s data || exit 7"


@pytest.fixture(params=[pytest.param("simple_cluster", marks=pytest.mark.full), "kerberos_cluster"])
def hadoop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> LocalHadoop:
    found: LocalHadoop = request.getfixturevalue(request.param)
    use(found, monkeypatch)
    return found


@pytest.fixture
def own(hadoop: LocalHadoop) -> dict[str, str]:
    """The hub's principal and keytab."""
    return {
        "principal": hadoop.principal("jupyterhub") or "",
        "keytab": str(hadoop.keytab("jupyterhub") or ""),
    }


@pytest.fixture
async def uploads(own: dict[str, str]) -> AsyncIterator[Uploads]:
    # A folder of its own, so that nothing of another test is found there.
    made = Uploads(f".yarnspawner-{secrets.token_hex(4)}", hub_account(own["principal"]), **own)
    yield made
    await made.close()


@pytest.fixture
async def cluster(own: dict[str, str]) -> AsyncIterator[Cluster]:
    made = Cluster(**own)
    yield made
    await made.close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    file = tmp_path / "data"
    file.write_bytes(os.urandom(2 << 20))
    return file


def listed(hadoop: LocalHadoop, url: str) -> tuple[str, str]:
    """The owner and the permissions of a file."""
    fields = hadoop.hdfs("-ls", re.sub(r"^hdfs://", "", url)).splitlines()[-1].split()
    return fields[2], fields[0]


async def run(cluster: Cluster, files: dict[str, skein.File], user: str) -> str:
    """Run an application with these files; its final status."""
    spec = specification(SCRIPT, user=user)
    spec.master.files.update(files)
    application_id = await cluster.submit(spec)
    return (await reach(cluster, application_id, lambda report: report.ended)).final_status


@mostly_on_simple("hadoop")
@pytest.mark.full  # every start on a shared cluster uses the public jar
async def test_public_files_are_shared(hadoop, uploads, cluster, data, own):
    """One public jar and file serve several users' applications, and another hub does not upload the file again."""
    jar = await uploads.public(SKEIN_JAR)
    url = await uploads.public(data)
    hub = hub_account(own["principal"])
    assert listed(hadoop, jar) == listed(hadoop, url) == (hub, "-rw-r--r--")
    files = {
        SKEIN_JAR_NAME: skein.File(jar, type="file", visibility="public"),
        "data": skein.File(url, type="file", visibility="public"),
    }
    ends = await asyncio.gather(*(run(cluster, files, user) for user in ("alice", "bob")))
    assert ends == ["SUCCEEDED", "SUCCEEDED"]
    # Found, and not uploaded again, by a hub that knows nothing of it.
    other = Uploads(uploads._folder, hub, **own)
    assert await other.public(data) == url
    await other.close()


@mostly_on_kerberos("hadoop")
async def test_private_file(hadoop, uploads, cluster, data):
    """A private file belongs to its user, who alone can read it."""
    told: list[str] = []
    found = await upload_shared_files({"data": str(data)}, uploads, "alice", logging.getLogger(), told.append)
    assert listed(hadoop, found["data"].source) == ("alice", "-rw-------")
    assert str(found["data"].visibility) == "PRIVATE"
    assert await run(cluster, found, "alice") == "SUCCEEDED"
    assert told


@pytest.mark.full
async def test_writable_folder_is_refused(hadoop, uploads, data):
    """The hub does not use an upload folder that others can write to."""
    url = await uploads.public(data)
    folder = re.sub(r"^hdfs://", "", url).rsplit("/", 2)[0]
    hadoop.hdfs("-chmod", "777", folder)
    again = Uploads(uploads._folder, uploads._hub_user, **uploads._access)
    with pytest.raises(UploadError, match="is writable for others"):
        await again.public(data)
    await again.close()


@pytest.mark.full
async def test_removed_file_is_replaced(hadoop, uploads, cluster, data):
    """A start names an uploaded file that was removed, and the hub uploads it again."""
    url = await uploads.public(data)
    hadoop.hdfs("-rm", "-skipTrash", re.sub(r"^hdfs://", "", url))
    with pytest.raises(ClusterRefused) as refused:
        await run(cluster, {"data": skein.File(url, type="file", visibility="public")}, "alice")
    assert uploads.invalidate(str(refused.value))
    assert await uploads.public(data) == url
    files = {"data": skein.File(url, type="file", visibility="public")}
    assert await asyncio.wait_for(run(cluster, files, "alice"), LONG) == "SUCCEEDED"
