"""How the hub asks a ResourceManager, or two. Small servers stand for them; tests/cluster asks real ones."""

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


class Manager:
    """Stands for a ResourceManager: `documents` by path; `status` and `location` for all if they are set."""

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


async def test_the_master_is_where_the_scheduler_put_it(manager: Manager, rm: ResourceManager) -> None:
    manager.documents[f"apps/{APPLICATION}/appattempts"] = {"appAttempts": {"appAttempt": [ATTEMPT]}}
    assert await rm.master_node(APPLICATION) == Node(
        "node7.example.com", "node7.example.com:8042", ATTEMPT["containerId"]
    )


async def test_the_last_attempt_counts(manager: Manager, rm: ResourceManager) -> None:
    second = {**ATTEMPT, "id": 2, "nodeId": "node8.example.com:45454"}
    manager.documents[f"apps/{APPLICATION}/appattempts"] = {"appAttempts": {"appAttempt": [second, ATTEMPT]}}
    node = await rm.master_node(APPLICATION)
    assert node is not None
    assert node.host == "node8.example.com"


async def test_a_waiting_application_is_nowhere_yet(manager: Manager, rm: ResourceManager) -> None:
    waiting = {**ATTEMPT, "containerId": "", "nodeHttpAddress": "", "nodeId": ""}
    manager.documents[f"apps/{APPLICATION}/appattempts"] = {"appAttempts": {"appAttempt": [waiting]}}
    manager.documents[f"apps/{APPLICATION}"] = {"app": {"state": "ACCEPTED"}}
    assert await rm.master_node(APPLICATION) is None


async def test_a_running_application_whose_node_is_hidden_is_not_nowhere(manager: Manager, rm: ResourceManager) -> None:
    hidden = {**ATTEMPT, "containerId": "", "nodeHttpAddress": "", "nodeId": ""}
    manager.documents[f"apps/{APPLICATION}/appattempts"] = {"appAttempts": {"appAttempt": [hidden]}}
    manager.documents[f"apps/{APPLICATION}"] = {"app": {"state": "RUNNING"}}
    with pytest.raises(ResourceManagerRefused, match="does not let the hub see where"):
        await rm.master_node(APPLICATION)


async def test_an_unknown_application_is_nowhere(rm: ResourceManager) -> None:
    assert await rm.master_node(APPLICATION) is None
    assert await rm.application(APPLICATION) is None


async def test_what_is_no_applications_id_is_not_asked_for(manager: Manager, rm: ResourceManager) -> None:
    with pytest.raises(ValueError, match="not an application id"):
        await rm.application("../../conf")
    assert not manager.asked


async def test_the_largest_container_is_no_larger_than_the_largest_node(manager: Manager, rm: ResourceManager) -> None:
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


async def test_what_changes_slowly_is_asked_once_however_many_want_it(manager: Manager, rm: ResourceManager) -> None:
    manager.documents["nodes"] = {"nodes": {"node": [{"nodeHostName": "a"}, {"nodeHostName": "b"}]}}
    assert await asyncio.gather(*(rm.nodes() for _ in range(10))) == [{"a", "b"}] * 10
    assert len(manager.asked) == 1
    manager.documents["nodes"] = {"nodes": {"node": [{"nodeHostName": "c"}]}}
    assert await rm.nodes() == {"a", "b"}
    assert await rm.nodes(fresh=True) == {"c"}


async def test_who_gives_up_does_not_take_the_answer_from_the_others(manager: Manager, rm: ResourceManager) -> None:
    manager.documents["nodes"] = {"nodes": {"node": [{"nodeHostName": "a"}]}}
    first, second = asyncio.create_task(rm.nodes()), asyncio.create_task(rm.nodes())
    await asyncio.sleep(0)
    first.cancel()
    assert await second == {"a"}


async def test_a_failure_is_not_kept(manager: Manager, rm: ResourceManager) -> None:
    manager.status = 500
    with pytest.raises(ResourceManagerUnavailable, match="answered with status 500"):
        await rm.nodes()
    manager.status = 200
    manager.documents["nodes"] = {"nodes": {"node": [{"nodeHostName": "a"}]}}
    assert await rm.nodes() == {"a"}


async def test_the_other_one_is_asked_when_one_is_a_standby(
    managers: list[Manager], both: ResourceManager, caplog: pytest.LogCaptureFixture
) -> None:
    standby, active = managers
    standby.status, standby.location = 307, active.url
    active.documents["metrics"] = {"clusterMetrics": {"activeNodes": 3}}
    active.documents[f"apps/{APPLICATION}"] = {"app": {"id": APPLICATION}}
    with caplog.at_level(logging.INFO):
        assert (await both.metrics())["activeNodes"] == 3
    assert f"The active ResourceManager is {active.url}" in caplog.text
    assert await both.application(APPLICATION) == {"id": APPLICATION}
    assert len(standby.asked) == 1  # the active one is asked first from now on
    assert both.application_url(APPLICATION) == f"{active.url}/cluster/app/{APPLICATION}"


async def test_a_standby_without_an_active_one_says_so_in_plain_text(
    managers: list[Manager], both: ResourceManager
) -> None:
    managers[0].documents["metrics"] = "There is no active RM right now."
    managers[1].documents["metrics"] = {"clusterMetrics": {"activeNodes": 3}}
    assert (await both.metrics())["activeNodes"] == 3


async def test_no_redirect_leads_elsewhere(managers: list[Manager], manager: Manager, rm: ResourceManager) -> None:
    elsewhere = managers[1]
    manager.status, manager.location = 302, elsewhere.url
    with pytest.raises(ResourceManagerUnavailable, match="points elsewhere, to an address that is not configured"):
        await rm.metrics()
    assert not elsewhere.asked


async def test_when_all_are_down_the_error_names_each(managers: list[Manager], both: ResourceManager) -> None:
    for manager in managers:
        manager.server.stop()
    with pytest.raises(ResourceManagerUnavailable) as raised:
        await both.metrics()
    assert all(manager.url in str(raised.value) for manager in managers)
    assert not isinstance(raised.value, ResourceManagerRefused)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_hub_that_is_not_let_in_is_told_apart(manager: Manager, rm: ResourceManager, status: int) -> None:
    manager.status = status
    with pytest.raises(ResourceManagerRefused, match=f"status {status}"):
        await rm.metrics()


async def test_another_service_at_the_address_is_no_resource_manager(manager: Manager, rm: ResourceManager) -> None:
    manager.documents["metrics"] = "<html>Welcome</html>"
    with pytest.raises(ResourceManagerUnavailable, match="something else than a JSON document"):
        await rm.metrics()


def test_without_hadoops_configuration_the_error_is_of_its_kind(tmp_path: Path) -> None:
    with pytest.raises(ResourceManagerUnavailable, match="holds no Hadoop configuration"):
        ResourceManager.from_configuration(tmp_path)
