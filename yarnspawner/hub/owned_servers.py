"""What this hub's spawners own, as its database and its memory say."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any
from weakref import WeakSet

from jupyterhub import orm

from yarnspawner.yarn.orphans import OwnedServers, ServerKey

# All spawners of this process.
live_spawners: WeakSet[Any] = WeakSet()

# Rows at a time, between which others have their turn.
_PAGE = 500


async def read_owned(db: Any, *, hub_id: str, spawners: Iterable[Any] = ()) -> OwnedServers:
    """Read what is owned now.

    A start is committed to the database before it is submitted, so whatever YARN listed before this call is in it.

    Args:
        db: JupyterHub's database session, which is only read.
        hub_id: this hub's.
        spawners: those in memory, which the database may lag behind.
    """
    owned = OwnedServers()
    last = 0
    while True:
        query = db.query(orm.Spawner, orm.User.name).join(orm.User, orm.Spawner.user_id == orm.User.id)
        rows = query.filter(orm.Spawner.id > last).order_by(orm.Spawner.id).limit(_PAGE).all()
        for row, user in rows:
            last = row.id
            owned.add(ServerKey(user, row.name), row.state, hub_id=hub_id, has_server=row.server_id is not None)
        if len(rows) < _PAGE:
            break
        await asyncio.sleep(0)
    for (user,) in db.query(orm.User.name):
        # Also where the user's spawner was forgotten, it is good to know whose the application is.
        owned.add(ServerKey(user), None, hub_id=hub_id, has_server=False)
    for spawner in list(spawners):
        if spawner.user and spawner.active:
            owned.add(
                ServerKey(spawner.user.name, spawner.name), spawner.record.public_dict(), hub_id=hub_id, has_server=True
            )
    return owned
