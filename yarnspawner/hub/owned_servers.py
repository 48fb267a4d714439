"""Read which applications this hub's spawners own, from its database and its memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any
from weakref import WeakSet

from jupyterhub import orm

from yarnspawner.yarn.orphans import OwnedServers, ServerKey

# All spawners of this process.
live_spawners: WeakSet[Any] = WeakSet()

# Rows for each query. Between queries, the event loop runs other tasks.
_PAGE = 500


def users_with_servers(db: Any) -> list[Any]:
    """Load all users with a running server or a pending start, and return their rows.

    JupyterHub 6 loads these users one by one when it starts, with five queries for each, unless its session knows them. The
    session forgets rows without another reference.

    Args:
        db: JupyterHub's database session, only read.
    """
    users = db.query(orm.Spawner.user_id).filter(orm.Spawner.server_id.is_not(None))
    return list(db.query(orm.User).filter(orm.User.id.in_(users)))


async def read_owned(db: Any, *, hub_id: str, spawners: Iterable[Any] = ()) -> OwnedServers:
    """Return the applications and starts that servers own now.

    A start is committed to the database before it is submitted. So the result covers all servers that YARN listed
    before this call.

    Args:
        db: JupyterHub's database session, only read.
        hub_id: this hub's id.
        spawners: the spawners in memory. The database can lag behind them.
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
        # Name the user of an application in the log even if the database no longer has its spawner.
        owned.add(ServerKey(user), None, hub_id=hub_id, has_server=False)
    for spawner in list(spawners):
        if spawner.user and spawner.active:
            owned.add(
                ServerKey(spawner.user.name, spawner.name), spawner.record.public_dict(), hub_id=hub_id, has_server=True
            )
    return owned
