"""Cases 13 and 14 of public reports: a firewall, a name that cannot be resolved, and logs that nobody collects."""

import logging
import re
from types import SimpleNamespace

import pytest

from yarnspawner.hadoop.logs import LogsUnavailable
from yarnspawner.hadoop.resourcemanager import Node, ResourceManagerUnavailable
from yarnspawner.launch import readiness
from yarnspawner.launch.progress import Progress
from yarnspawner.launch.readiness import ReadinessWaiter
from yarnspawner.skein_driver import ClusterUnavailable


class Silent:
    """A channel whose application master does not answer."""

    def __init__(self, host):
        self.host = host

    async def node(self, report):
        return Node(self.host)

    async def get_prefix(self, report, prefix):
        raise ClusterUnavailable("Deadline exceeded")


class Unreachable:
    """A ResourceManager without a web service that the hub can use."""

    async def master_node(self, application_id):
        raise ResourceManagerUnavailable("no answer")


def waiter_of(channel):
    server = SimpleNamespace(
        application_id="application_1700000000000_0001", container="master", hadoop_user="alice", queue="q"
    )
    access = SimpleNamespace(link_to=lambda application_id: "", principal="", keytab="", resource_manager=Unreachable())
    progress = Progress()
    return ReadinessWaiter(server, channel, access, None, progress, logging.getLogger("test")), progress


REPORT = SimpleNamespace(rpc_port=45123, id="application_1700000000000_0001", user="alice")


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("127.0.0.1", "127.0.0.1, port 45123.*firewall.*application master's port"),
        ("node7.invalid", r"node7\.invalid, port 45123.*cannot resolve the name node7\.invalid"),
    ],
)
async def test_case_13_unreachable(monkeypatch, caplog, host, said):
    """The page names host and port, and the reason; the hub's log has it once."""
    monkeypatch.setattr(readiness, "_SILENCE", 0)
    waiter, progress = waiter_of(Silent(host))
    for _ in range(3):
        assert await waiter._read_address(REPORT) is None
    events = [event["message"] for event in progress._events]
    assert len(events) == 2
    assert re.search(said, events[-1])
    assert caplog.text.count("cannot reach") == 1


def test_case_13_within_a_minute():
    """The user is told within a minute."""
    assert readiness._SILENCE < 40


async def test_case_14_logs_are_not_collected(monkeypatch, tmp_path):
    """If YARN collects no logs, there is one attempt, and the details name the property."""
    (tmp_path / "yarn-site.xml").write_text("<configuration/>")
    monkeypatch.setenv("HADOOP_CONF_DIR", str(tmp_path))
    limits = []

    async def tail(*_, timeout, **__):
        limits.append(timeout)
        raise LogsUnavailable("no logs")

    monkeypatch.setattr(readiness, "tail", tail)
    waiter, _ = waiter_of(Silent("127.0.0.1"))
    assert "yarn.log-aggregation-enable" in await waiter._log_tail(REPORT)
    assert limits == [5.0]
