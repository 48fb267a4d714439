"""A user and a spawner as the hub would make them, in a database of the check's own."""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.orm import sessionmaker
from sqlalchemy.pool import StaticPool

from yarnspawner.hub.identity import HubIdentity


def trial_spawner(hub: Any, name: str, hub_id: str) -> Any:
    """Return a spawner for a user of the hub's configuration, without a hub and without its database.

    Its identity is the check's own, so that neither this hub nor another one sweeps or adopts its application.

    Args:
        hub: JupyterHub's application, with its configuration.
        name: the user's name.
        hub_id: the check's id.
    """
    from jupyterhub import orm
    from jupyterhub.objects import Server
    from jupyterhub.user import User

    # Not JupyterHub's new_session_factory, which migrates and logs.
    engine = create_engine("sqlite://", poolclass=StaticPool)
    orm.Base.metadata.create_all(engine)
    db = sessionmaker(bind=engine)()
    orm_user = orm.User(name=name, groups=[orm.Group(name=group) for group in _groups(hub, name)])
    db.add(orm_user)
    db.commit()
    user = User(
        orm_user,
        {
            "base_url": hub.base_url,
            "hub": hub_of(hub),
            "config": hub.config,
            "cookie_secret": secrets.token_bytes(32),
            "spawner_class": hub.spawner_class,
            "allow_named_servers": False,
            "log": hub.log,
        },
    )
    spawner = user.spawners[""]
    spawner.hub_context.identity = HubIdentity(hub_id, "yarnspawner check", certain=True, former=())
    orm_server = orm.Server(base_url=user.base_url)
    db.add(orm_server)
    db.commit()
    spawner.server = Server(orm_server=orm_server)
    spawner.api_token = secrets.token_hex(16)  # the hub does not know it, so it permits nothing
    return spawner


def hub_of(hub: Any) -> Any:
    """Return JupyterHub's object with the hub's addresses."""
    if getattr(hub, "hub", None) is None:
        hub.init_hub()
    return hub.hub


def _groups(hub: Any, name: str) -> list[str]:
    """Return the user's groups in the hub's database; none if it cannot be read."""
    query = text(
        "SELECT g.name FROM groups g JOIN user_group_map m ON m.group_id = g.id JOIN users u ON u.id = m.user_id"
        " WHERE u.name = :name"
    )
    url = hub.db_url
    file = url.partition("sqlite:///")[2]
    with suppress(Exception):
        # A missing file must not be created.
        engine = create_engine(f"sqlite:///file:{file}?mode=ro&uri=true" if file else url)
        with engine.connect() as connection:
            return [str(row[0]) for row in connection.execute(query, {"name": name})]
    return []
