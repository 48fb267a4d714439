"""Spawners of users of a hub without the hub: JupyterHub's own users, groups and stored options, in a database in memory.

A small web server says what a ResourceManager does.
"""

import json
from types import SimpleNamespace

import pytest
from jupyterhub import orm
from jupyterhub.user import User
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler
from traitlets.config import Config

from yarnspawner import YarnSpawner
from yarnspawner.hub import identity as hub_identity
from yarnspawner.hub.account_registry import AccountRegistry
from yarnspawner.yarn import audit
from yarnspawner.yarn.access import ClusterAccess

SCHEDULER = {
    "scheduler": {
        "schedulerInfo": {
            "type": "capacityScheduler",
            "queueName": "root",
            "queues": {
                "queue": [
                    {
                        "type": "capacitySchedulerLeafQueueInfo",
                        "queueName": name,
                        "queuePath": f"root.{name}",
                        "state": state,
                        "absoluteCapacity": 50.0,
                        "absoluteMaxCapacity": 50.0,
                        "absoluteUsedCapacity": used,
                        "numActiveApplications": 1,
                        "numPendingApplications": pending,
                        "maximumAllocation": {"memory": memory, "vCores": 4},
                    }
                    for name, state, used, pending, memory in [
                        ("default", "RUNNING", 10.0, 0, 8192),
                        ("busy", "RUNNING", 40.0, 3, 8192),
                        ("small", "RUNNING", 0.0, 1, 1024),
                        ("closed", "STOPPED", 0.0, 0, 8192),
                    ]
                ]
            },
        }
    }
}

NODES = {"nodes": {"node": [{"state": "RUNNING", "totalResource": {"memory": 65536, "vCores": 32}}]}}


@pytest.fixture
async def lifetimes():
    """What the ResourceManager was told of applications' ends: the last part of the path, and the document."""
    return []


@pytest.fixture
async def yarn(lifetimes):
    """The web address of something that knows queues, and is told when applications are to end."""

    class ResourceManager(RequestHandler):
        def get(self, what):
            self.finish({"scheduler": SCHEDULER, "nodes": NODES}[what])

    class Timeout(RequestHandler):
        def put(self, application_id):
            lifetimes.append((application_id, json.loads(self.request.body)["timeout"]))
            self.finish({"timeout": {}})

    server = HTTPServer(
        Application(
            [
                ("/ws/v1/cluster/(scheduler|nodes)", ResourceManager),
                ("/ws/v1/cluster/apps/(.*)/timeout", Timeout),
            ]
        )
    )
    socket, port = bind_unused_port()
    server.add_socket(socket)
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture(autouse=True)
def _nothing_shared():
    """Let no test see what another one has left in the caches that all spawners of a hub share."""
    caches = (
        AccountRegistry._of_databases,
        ClusterAccess._shared,
        audit._told,
        hub_identity._identities,
    )
    kept = [dict(cache) for cache in caches]
    for cache in caches:
        cache.clear()
    yield
    for cache, before in zip(caches, kept, strict=True):
        cache.clear()
        cache.update(before)


@pytest.fixture(scope="session")
def tables():
    session = orm.new_session_factory("sqlite:///:memory:")()
    yield session
    session.close()


@pytest.fixture
def database(tables):
    """JupyterHub's database, empty."""
    yield tables
    AccountRegistry._of_databases.clear()
    tables.rollback()
    for table in reversed(orm.Base.metadata.sorted_tables):
        tables.execute(table.delete())
    tables.commit()
    tables.expunge_all()


@pytest.fixture
async def spawner_of(yarn, database):
    made = []

    def make(name="alice", groups=(), stored=None, **settings):
        """A user's spawner, as JupyterHub makes it."""
        for group in groups:
            database.add(orm.Group(name=group))
        user = orm.User(name=name)
        user.groups = database.query(orm.Group).filter(orm.Group.name.in_(groups)).all()
        database.add(user)
        orm_spawner = orm.Spawner(name="", user=user, user_options=stored)
        database.add(orm_spawner)
        database.commit()
        config = Config({"YarnSpawner": {"resource_manager_url": yarn, **settings}})
        application = {"spawner_class": YarnSpawner, "config": config, "base_url": "/", "cookie_secret": b"secret"}
        spawner = User(user, application, database).spawner
        made.append(spawner)
        return spawner

    yield make
    for access in {spawner.hub_context.access for spawner in made}:
        await access.uploads.close()
        access.resource_manager.close()
        await access.cluster.close()
        ClusterAccess._shared.pop(access)


@pytest.fixture
async def spawner_on(spawner_of):
    """A user's spawner on a cluster of the test's own."""
    views = []

    async def nothing():
        pass

    def make(cluster):
        spawner = spawner_of()
        uploads = SimpleNamespace(url_if_ready=lambda path: "", close=nothing)
        spawner.hub_context.access.__dict__.update(cluster=cluster, uploads=uploads)
        views.append(spawner.hub_context.access.reflector)
        return spawner

    yield make
    for view in views:
        await view.close()
