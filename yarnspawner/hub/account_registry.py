"""Whose account is whose: which of the hub's users may have servers as which Hadoop users."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from jupyterhub import orm
from sqlalchemy import Text, column, select, table

from yarnspawner.hadoop.accounts import IdentityRefused

# In the state of each of a user's servers: Hadoop users, each with the name that the user had when taking it.
KEY = "hadoop_users"


class AccountRegistry:
    """The claims of the hub's users on Hadoop accounts.

    - a claim is in the stored state of all of its user's servers, so it outlasts any of them, and the hub; it goes with
      the user, or with the name that it was made under once nothing runs as the account
    - it is taken and committed without a pause, so of two starts at the same moment one is refused
    - an index tells whose states may have an account, so that a start does not read those of thousands
    - the database has the last word: users come, go and are renamed
    """

    _of_databases: WeakKeyDictionary[Any, AccountRegistry] = WeakKeyDictionary()

    def __init__(self, db: Any, log: logging.Logger) -> None:
        self._db = db
        self._log = log
        self._users: dict[str, set[int]] = {}
        # Starts under way by which a user has taken an account that nothing was submitted as yet.
        self._first_starts: dict[tuple[str, int], int] = {}
        self._unreadable: set[int] = set()
        for user_id, state in self._states():
            for account in claims(state, ""):
                self._users.setdefault(account, set()).add(user_id)

    @classmethod
    def of(cls, db: Any, log: logging.Logger) -> AccountRegistry:
        """The one of a hub's database session."""
        if db not in cls._of_databases:
            cls._of_databases[db] = cls(db, log)
        return cls._of_databases[db]

    def reserve(self, account: str, user: Any, *, shared: Collection[str]) -> None:
        """Make an account the user's own and commit that. Called by each start before it does anything else.

        Args:
            account: the Hadoop user.
            user: JupyterHub's user.
            shared: Hadoop users that several of the hub's users may have.

        Raises:
            IdentityRefused: the account belongs to another user of the hub and is not shared.
        """
        if account not in shared and (other := self.other_owner(account, user.id)):
            self._log.warning("%s may not be %s, as %s is", user.name, account, other)
            raise IdentityRefused(f"The account {account!r} belongs to another user of this hub.")
        self.take(account, user)

    @contextmanager
    def reserved(self, account: str, user: Any, *, shared: Collection[str]) -> Iterator[Callable[[], None]]:
        """Reserve an account for a start; see :meth:`reserve`.

        A start that ends before it calls what this yields has submitted nothing, and its reservation is released.
        """
        self.reserve(account, user, shared=shared)
        try:
            yield lambda: self.confirm(account, user)
        finally:
            self.give_up(account, user)

    def other_owner(self, account: str, user_id: int) -> str:
        """Return the name of another user of the hub whose account it is; "" if there is none."""
        for other in sorted(self._users.get(account, set()) - {user_id}):
            user = self._db.query(orm.User).filter(orm.User.id == other).first()
            if user is not None and any(
                claims(state, user.name).get(account) == user.name for _, state in self._states(other)
            ):
                return str(user.name)
        return ""

    def take(self, account: str, user: Any) -> None:
        """Make an account the user's own and commit that. Each start calls it, and later `confirm` or `give_up`.

        Args:
            account: the Hadoop user.
            user: of JupyterHub, or its database row.
        """
        key = (account, user.id)
        held = [_lasting(row.state, user.name).get(account) == user.name for row in user.orm_spawners.values()]
        if key in self._first_starts or not any(held):
            self._first_starts[key] = self._first_starts.get(key, 0) + 1
        if not all(held):
            self._users.setdefault(account, set()).add(user.id)
            self._write(user, lambda kept: {**kept, account: user.name})

    def confirm(self, account: str, user: Any) -> None:
        """Keep a claim for as long as its user: something may have been submitted."""
        self._first_starts.pop((account, user.id), None)

    def give_up(self, account: str, user: Any) -> None:
        """Release a claim whose start has submitted nothing, unless another start of the user goes by it."""
        key = (account, user.id)
        if key not in self._first_starts:
            return
        self._first_starts[key] -= 1
        if not self._first_starts[key]:
            del self._first_starts[key]
            self._write(user, lambda kept: {name: by for name, by in kept.items() if name != account})

    def spread(self, user: Any) -> None:
        """Give all claims of a user to each of the user's servers, before one of them is deleted."""
        known = {name: by for row in user.orm_spawners.values() for name, by in _lasting(row.state, user.name).items()}
        self._write(user, lambda kept: {**known, **kept})

    def of_user(self, user: Any) -> list[str]:
        """Return the accounts that a user has claimed."""
        return sorted({name for row in user.orm_spawners.values() for name in _lasting(row.state, user.name)})

    def _write(self, user: Any, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
        for row in user.orm_spawners.values():
            if row.state is None or isinstance(row.state, dict):
                row.state = {**(row.state or {}), KEY: change(_lasting(row.state, user.name))}
        self._db.commit()

    def _states(self, user_id: int | None = None) -> list[tuple[int, Any]]:
        """The stored states of all servers, or of a user's, with their users' ids; without those that are broken."""
        # Two columns of thousands of rows, rather than as many objects that the session then keeps.
        query: Any = select(column("user_id"), column("state", Text)).select_from(table(orm.Spawner.__tablename__))
        if user_id is not None:
            query = query.where(column("user_id") == user_id)
        found = []
        for owner, state in self._db.execute(query):
            try:
                found.append((owner, json.loads(state or "null")))
            except ValueError as error:
                if owner not in self._unreadable:
                    self._unreadable.add(owner)
                    self._log.warning(
                        "The stored state of a server of user %s (id in the database) is broken, so the accounts that"
                        " it names are not known: %s",
                        owner,
                        error,
                    )
        return found


def claims(state: Any, user_name: str) -> dict[str, str]:
    """Return the accounts that a stored state names, each with the name that its user had then.

    Args:
        state: anything that the database may have.
        user_name: of the user today, for what counts whatever the name was: the account of a server that runs, and those
            of states without a name.
    """
    running = state.get("hadoop_user") if isinstance(state, dict) else ""
    return {**_kept(state), **({running: user_name} if isinstance(running, str) and running else {})}


def carried(state: Any, user_name: str) -> dict[str, Any]:
    """Return what a new state of a server must keep of the one before: the claims; {} if there are none."""
    kept = _lasting(state, user_name)
    return {KEY: kept} if kept else {}


def _lasting(state: Any, user_name: str) -> dict[str, str]:
    # Earlier versions had nothing but the last server's account.
    return _kept(state) if isinstance(state, dict) and KEY in state else claims(state, user_name)


def _kept(state: Any) -> dict[str, str]:
    kept = state.get(KEY) if isinstance(state, dict) else None
    pairs: Mapping[Any, Any] = kept if isinstance(kept, Mapping) else {}
    return {name: by for name, by in pairs.items() if isinstance(name, str) and isinstance(by, str)}
