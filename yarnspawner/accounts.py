"""Whose account is whose: which of the hub's users have had servers as which Hadoop users."""

from __future__ import annotations

import json
from typing import Any
from weakref import WeakKeyDictionary

from jupyterhub import orm
from sqlalchemy import Text, column, select, table


class Accounts:
    """An index of the states that the hub keeps of all servers, those that have ended included.

    - it is read from the database once, so that a start does not read the states of thousands of others
    - the database has the last word: users come, go and are renamed
    """

    _of_databases: WeakKeyDictionary[Any, Accounts] = WeakKeyDictionary()

    def __init__(self, db: Any) -> None:
        self._users: dict[str, set[int]] = {}
        # Two columns of thousands of rows, rather than as many objects that the session then keeps.
        spawners = table(orm.Spawner.__tablename__)
        for user_id, state in db.execute(select(column("user_id"), column("state", Text)).select_from(spawners)):
            if account := account_of(json.loads(state or "null")):
                self.add(account, user_id)

    @classmethod
    def of(cls, db: Any) -> Accounts:
        """The one of a hub's database session."""
        if db not in cls._of_databases:
            cls._of_databases[db] = cls(db)
        return cls._of_databases[db]

    def add(self, account: str, user_id: int) -> None:
        """Note that a user has, or is about to have, servers as that account."""
        self._users.setdefault(account, set()).add(user_id)

    def other_owner(self, db: Any, account: str, user_id: int) -> Any:
        """The user of the hub (``orm.User``), other than this one, who has had servers as that account; None if nobody."""
        for other in sorted(self._users.get(account, set()) - {user_id}):
            for spawner in db.query(orm.Spawner).filter(orm.Spawner.user_id == other):
                if account_of(spawner.state) == account:
                    return spawner.user
        return None


def account_of(state: Any) -> str:
    """The Hadoop user that a stored state names; "" for none, also if it is broken."""
    name = state.get("hadoop_user") if isinstance(state, dict) else ""
    return name if isinstance(name, str) else ""
