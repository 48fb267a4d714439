"""The check's own user and spawner, and the stand-in for a hub that does not run."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from jupyterhub import orm
from jupyterhub.app import JupyterHub
from tornado.httpclient import AsyncHTTPClient
from traitlets.config import Config

from yarnspawner import YarnSpawner
from yarnspawner.check.result import Unknown
from yarnspawner.check.stand_in import hub_or_stand_in
from yarnspawner.check.trial_user import trial_spawner
from yarnspawner.yarn.tags import hub_tag


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A hub's configuration. The hub itself does not run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("yarnspawner.yarn.access.ClusterAccess.warm", lambda access: None)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = Config()
    config.JupyterHub.spawner_class = YarnSpawner
    config.JupyterHub.hub_port = port
    config.JupyterHub.db_url = f"sqlite:///{tmp_path}/jupyterhub.sqlite"
    config.YarnSpawner.queue = "users.{username}"
    return JupyterHub(config=config)


def test_spawner(hub: Any, tmp_path: Path) -> None:
    """The spawner has the hub's settings, an identity of its own, and touches neither database nor secret."""
    spawner = trial_spawner(hub, "alice", "yarnspawner-check-1")
    assert spawner.queue == "users.{username}"
    assert spawner.hub_context.identity.id == "yarnspawner-check-1"
    assert hub_tag(spawner.hub_context.identity.id) != hub_tag("")
    assert "JUPYTERHUB_API_TOKEN" in spawner.get_env()
    assert list(tmp_path.iterdir()) == []


def test_groups(hub: Any) -> None:
    """The user's groups come from the hub's database, which is only read."""
    db = orm.new_session_factory(hub.db_url)()
    db.add(orm.User(name="alice", groups=[orm.Group(name="analysts")]))
    db.commit()
    db.close()
    spawner = trial_spawner(hub, "alice", "check")
    assert [group.name for group in spawner.user.groups] == ["analysts"]


async def test_stand_in(hub: Any) -> None:
    """A stand-in answers at the hub's address, and is gone afterwards; a hub that runs is left alone."""
    async with hub_or_stand_in(hub) as who:
        assert "stand-in" in who
        url = f"http://127.0.0.1:{hub.hub_port}/hub/api/"
        answer = await AsyncHTTPClient().fetch(url)
        assert answer.headers["X-JupyterHub-Version"]
        async with hub_or_stand_in(hub) as other:
            assert other == "the hub, which runs"
    refused = pytest.raises(Unknown, match=f":{hub.hub_port} cannot be used")
    with socket.create_server(("127.0.0.1", hub.hub_port)), refused:
        async with hub_or_stand_in(hub):
            pass
