"""Spawners that find a server or a start of the hub's last run."""

import pytest
from jupyterhub import orm
from jupyterhub.objects import Server

from tests.support.one_application import ID, OneApplication
from yarnspawner.state.credentials import Credentials
from yarnspawner.state.server_state import ServerState


@pytest.fixture
def adopted(spawner_on):
    def make(url):
        cluster = OneApplication()
        spawner = spawner_on(cluster)
        row = orm.Server(base_url="/user/alice/")
        spawner.user.db.add(row)
        spawner.user.db.commit()
        spawner.server = Server(orm_server=row)
        server = ServerState.new("alice", "default", Credentials(b"", b"")).with_application_id(ID).with_url(url)
        spawner.load_state(server.to_dict(spawner.hub_context.seal))
        spawner._check_pending = True
        spawner.http_timeout = 1
        return spawner, cluster

    return make
