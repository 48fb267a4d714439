"""Queues of users and groups, as the documentation has them, on a cluster that has such queues."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo.hub import Hub
from localhadoop import LocalHadoop
from localhadoop.fixtures import hadoop_version
from tests.support.documentation import ROOT, examples
from tests.support.hub_user import END, HubUser, until
from tests.support.hubs import running
from tests.support.profile_forms import CONFIGURATION, application, choose, leave

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]

QUEUES = {
    "queues": "default,small,stopped,users,analysts,teaching",
    "default.capacity": "5",
    "small.capacity": "25",
    "users.capacity": "30",
    "users.queues": "alice,bob",
    "users.alice.capacity": "50",
    "users.bob.capacity": "50",
    "analysts.capacity": "20",
    "teaching.capacity": "20",
    "teaching.queues": "bob",
    "teaching.bob.capacity": "100",
    **{f"{queue}.user-limit-factor": "100" for queue in ("users.alice", "users.bob", "analysts", "teaching.bob")},
}
GROUPS = """
c.JupyterHub.load_groups = {"students": {"users": ["bob"]}, "analysts": {"users": ["alice@example.com"]}}
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalHadoop]:
    properties = {f"yarn.scheduler.capacity.root.{name}": value for name, value in QUEUES.items()}
    with LocalHadoop(hadoop=hadoop_version(), properties=properties) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def hub(cluster: LocalHadoop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    documented = tmp_path_factory.mktemp("documented") / "jupyterhub_config.py"
    blocks = examples(ROOT / "docs" / "profiles.md", "Queues and templates")
    documented.write_text("\n".join(["c = get_config()", *blocks, GROUPS]))
    settings = {"DOCUMENTED_CONFIGURATION": str(documented)}
    with running(cluster, tmp_path_factory.mktemp("hub"), configuration=CONFIGURATION, settings=settings) as hub:
        yield hub


@pytest.mark.parametrize(
    ("name", "account", "queue"),
    [
        ("alice", "alice", "root.users.alice"),
        ("bob", "bob", "root.teaching.bob"),
        ("alice@example.com", "alice", "root.analysts"),
    ],
)
def test_queue_of_user_or_group(hub: Hub, cluster: LocalHadoop, name: str, account: str, queue: str) -> None:
    """A server runs in the queue of its user or of its user's group."""
    user = HubUser(hub.address, name, hub.password)
    # YARN's answer is there for the second page at the latest.
    until(lambda: " % free" in user._get(f"/hub/spawn/{name}").text, END, "told")
    choose(user, profile="small")
    assert application(cluster, account)["queue"].rpartition(".")[2] == queue.rpartition(".")[2]
    leave(user)
