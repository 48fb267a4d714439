"""The client of the ResourceManagers' REST API. Small servers stand in for them; tests/cluster uses real ones."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from yarnspawner.hadoop.resourcemanager import (
    Node,
    ResourceManager,
    ResourceManagerRefused,
    ResourceManagerUnavailable,
)
from yarnspawner.hadoop.scheduler import Resources

APPLICATION = "application_1795407264899_0013"
ATTEMPT = {
    "id": 1,
    "containerId": "container_1795407264899_0013_01_000001",
    "nodeHttpAddress": "node7.example.com:8042",
    "nodeId": "node7.example.com:45454",
    "appAttemptId": "appattempt_1795407264899_0013_000001",
}


def scheduler(*names: str) -> dict[str, Any]:
    """Return the document of a capacity scheduler with leaf queues."""
    queues = [{"type": "capacitySchedulerLeafQueueInfo", "queueName": name, "queuePath": name} for name in names]
    return {"scheduler": {"schedulerInfo": {"queues": {"queue": queues}}}}


class Manager:
    """A ResourceManager: `documents` by path; `status` and `location` apply to all responses."""

    def __init__(self) -> None:
        self.documents: dict[str, Any] = {}
        self.status = 200
        self.location = ""
        self.asked: list[str] = []
        manager = self

        class Handler(RequestHandler):
            def get(self) -> None:
                manager.asked.append(self.request.path)
                document = manager.documents.get(self.request.path.removeprefix("/ws/v1/cluster/"))
                self.set_status(manager.status if manager.status != 200 or document is not None else 404)
                if manager.location:
                    self.set_header("Location", manager.location + self.request.path)
                self.finish(document if isinstance(document, str) else json.dumps(document))

        listener, port = bind_unused_port()
        self.server = HTTPServer(Application([(".*", Handler)]))
        self.server.add_socket(listener)
        self.url = f"http://127.0.0.1:{port}"


@pytest.fixture
async def managers() -> AsyncIterator[list[Manager]]:
    managers = [Manager(), Manager()]
    yield managers
    for manager in managers:
        manager.server.stop()


@pytest.fixture
def manager(managers: list[Manager]) -> Manager:
    return managers[0]


@pytest.fixture
def rm(manager: Manager) -> Iterator[ResourceManager]:
    rm = ResourceManager([manager.url], timeout=1)
    yield rm
    rm.close()


@pytest.fixture
def both(managers: list[Manager]) -> Iterator[ResourceManager]:
    rm = ResourceManager([manager.url for manager in managers], timeout=1)
    yield rm
    rm.close()


async def test_master_node(manager: Manager, rm: ResourceManager) -> None:
    """The node of the master container comes from the scheduler."""
    manager.documents[f"apps/{APPLICATION}/appattempts"] = {"appAttempts": {"appAttempt": [ATTEMPT]}}
    node = await rm.master_node(APPLICATION)
    assert node == Node("node7.example.com")
    assert node.container == ATTEMPT["containerId"]
    assert node.web == f"http://{ATTEMPT['nodeHttpAddress']}"


async def test_node_of_last_attempt(manager: Manager, rm: ResourceManager) -> None:
    """The node is that of the last attempt."""
    second = {**ATTEMPT, "id": 2, "nodeId": "node8.example.com:45454"}
    manager.documents[f"apps/{APPLICATION}/appattempts"] = {"appAttempts": {"appAttempt": [second, ATTEMPT]}}
    node = await rm.master_node(APPLICATION)
    assert node is not None
    assert node.host == "node8.example.com"


async def test_server_node(manager: Manager, rm: ResourceManager) -> None:
    """A server in a service container runs in the first container after the master container."""
    containers = [
        {"containerId": f"container_1795407264899_0013_01_{number:06}", "assignedNodeId": f"node{number}:45454"}
        for number in (3, 2, 1)
    ]
    attempts = f"apps/{APPLICATION}/appattempts"
    manager.documents[attempts] = {"appAttempts": {"appAttempt": [ATTEMPT]}}
    manager.documents[f"{attempts}/{ATTEMPT['appAttemptId']}/containers"] = {"container": containers}
    assert await rm.server_node(APPLICATION) == Node("node2")


async def test_pending_without_node(manager: Manager, rm: ResourceManager) -> None:
    """A pending application has no node."""
    waiting = {**ATTEMPT, "containerId": "", "nodeHttpAddress": "", "nodeId": ""}
    manager.documents[f"apps/{APPLICATION}/appattempts"] = {"appAttempts": {"appAttempt": [waiting]}}
    manager.documents[f"apps/{APPLICATION}"] = {"app": {"state": "ACCEPTED"}}
    assert await rm.master_node(APPLICATION) is None


async def test_hidden_node_is_an_error(manager: Manager, rm: ResourceManager) -> None:
    """A running application without a node means that the ResourceManager hides it."""
    hidden = {**ATTEMPT, "containerId": "", "nodeHttpAddress": "", "nodeId": ""}
    manager.documents[f"apps/{APPLICATION}/appattempts"] = {"appAttempts": {"appAttempt": [hidden]}}
    manager.documents[f"apps/{APPLICATION}"] = {"app": {"state": "RUNNING"}}
    with pytest.raises(ResourceManagerRefused, match="does not show the hub the node"):
        await rm.master_node(APPLICATION)


async def test_pending_applications(manager: Manager, rm: ResourceManager) -> None:
    """Only the ids are read, also of a list with one item or none."""
    manager.documents["apps"] = {"apps": None}
    assert await rm.pending_applications("root.default") == []
    manager.documents["apps"] = {"apps": {"app": {"id": APPLICATION, "user": "bob"}}}
    assert await rm.pending_applications("root.default") == [APPLICATION]


async def test_unknown_application(rm: ResourceManager) -> None:
    """An unknown application has no report and no node."""
    assert await rm.master_node(APPLICATION) is None
    assert await rm.application(APPLICATION) is None


async def test_invalid_id(manager: Manager, rm: ResourceManager) -> None:
    """No request is sent for an invalid id."""
    with pytest.raises(ValueError, match="not an application id"):
        await rm.application("../../conf")
    assert not manager.asked


async def test_maximum_allocation(manager: Manager, rm: ResourceManager) -> None:
    """The largest container is limited by the largest running node."""
    manager.documents["scheduler"] = (Path(__file__).parent / "samples" / "capacity-scheduler.json").read_text()
    nodes = [
        {"state": "RUNNING", "totalResource": {"memory": 3000, "vCores": 4}},
        {"state": "RUNNING", "totalResource": {"memory": 2000, "vCores": 16}},
        {"state": "LOST", "totalResource": {"memory": 9000, "vCores": 90}},
    ]
    manager.documents["nodes"] = {"nodes": {"node": nodes}}
    assert await rm.maximum_allocation() == Resources(3000, 8)
    assert await rm.maximum_allocation("small") == Resources(1024, 8)
    assert await rm.maximum_allocation("root.small") == Resources(1024, 8)
    assert await rm.maximum_allocation("no-such-queue") is None


async def test_cache(manager: Manager, rm: ResourceManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """Concurrent callers share one request, and its response is used for a minute."""
    manager.documents["scheduler"] = scheduler("a", "b")
    assert [set(queues) for queues in await asyncio.gather(*(rm.queues() for _ in range(10)))] == [{"a", "b"}] * 10
    assert len(manager.asked) == 1
    manager.documents["scheduler"] = scheduler("c")
    assert set(await rm.queues()) == {"a", "b"}
    monkeypatch.setattr("yarnspawner.hadoop.resourcemanager._CACHE_SECONDS", -1)
    assert set(await rm.queues()) == {"c"}


async def test_cancelled_caller_keeps_request(manager: Manager, rm: ResourceManager) -> None:
    """A cancelled caller does not cancel the request of the others."""
    manager.documents["scheduler"] = scheduler("a")
    first, second = asyncio.create_task(rm.queues()), asyncio.create_task(rm.queues())
    await asyncio.sleep(0)
    first.cancel()
    assert set(await second) == {"a"}


async def test_failures_are_not_cached(manager: Manager, rm: ResourceManager) -> None:
    """The next call after a failure sends another request."""
    manager.status = 500
    with pytest.raises(ResourceManagerUnavailable, match="answered with HTTP 500"):
        await rm.queues()
    manager.status = 200
    manager.documents["scheduler"] = scheduler("a")
    assert set(await rm.queues()) == {"a"}


async def test_standby(managers: list[Manager], both: ResourceManager, caplog: pytest.LogCaptureFixture) -> None:
    """If one ResourceManager is a standby, the other one is used, and is then tried first."""
    standby, active = managers
    standby.status, standby.location = 307, active.url
    active.documents["scheduler"] = scheduler("a")
    active.documents[f"apps/{APPLICATION}"] = {"app": {"id": APPLICATION}}
    with caplog.at_level(logging.INFO):
        assert set(await both.queues()) == {"a"}
    assert f"The active ResourceManager is {active.url}" in caplog.text
    assert await both.application(APPLICATION) == {"id": APPLICATION}
    assert len(standby.asked) == 1  # later requests go to the active one first
    assert both.application_url(APPLICATION) == f"{active.url}/cluster/app/{APPLICATION}"


async def test_standby_without_redirect(managers: list[Manager], both: ResourceManager) -> None:
    """A standby may answer with plain text."""
    managers[0].documents["scheduler"] = "There is no active RM right now."
    managers[1].documents["scheduler"] = scheduler("a")
    assert set(await both.queues()) == {"a"}


async def test_redirect_to_other_address(managers: list[Manager], manager: Manager, rm: ResourceManager) -> None:
    """Redirects to other addresses are not followed."""
    elsewhere = managers[1]
    manager.status, manager.location = 302, elsewhere.url
    with pytest.raises(ResourceManagerUnavailable, match="redirects to an address that is not configured"):
        await rm.queues()
    assert not elsewhere.asked


async def test_all_down(managers: list[Manager], both: ResourceManager) -> None:
    """The error names all addresses."""
    for manager in managers:
        manager.server.stop()
    with pytest.raises(ResourceManagerUnavailable) as raised:
        await both.queues()
    assert all(manager.url in str(raised.value) for manager in managers)
    assert not isinstance(raised.value, ResourceManagerRefused)


@pytest.mark.parametrize("status", [401, 403])
async def test_refused_hub(manager: Manager, rm: ResourceManager, status: int) -> None:
    """HTTP 401 and 403 raise ResourceManagerRefused."""
    manager.status = status
    with pytest.raises(ResourceManagerRefused, match=f"HTTP {status}"):
        await rm.queues()


async def test_other_service(manager: Manager, rm: ResourceManager) -> None:
    """A response that is no JSON object is an error."""
    manager.documents["scheduler"] = "<html>Welcome</html>"
    with pytest.raises(ResourceManagerUnavailable, match="did not return a JSON object"):
        await rm.queues()


def test_missing_configuration(tmp_path: Path) -> None:
    """Without Hadoop's configuration, ResourceManagerUnavailable is raised."""
    with pytest.raises(ResourceManagerUnavailable, match="has no Hadoop configuration"):
        ResourceManager.from_configuration(tmp_path)
