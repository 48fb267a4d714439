"""Record which of the hub's users may run servers as which Hadoop users."""

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

# The key in each server's stored state. It maps a Hadoop user to the name that the hub's user had when claiming it.
KEY = "hadoop_users"


class AccountRegistry:
    """Keep the claims of the hub's users on Hadoop accounts.

    - The stored state of each of a user's servers contains the claim, so it outlives each server and the hub.
    - A claim ends with its user. It also ends if the user is renamed and nothing runs as the account.
    - A claim is taken and committed without a pause. Of two concurrent starts, one is refused.
    - An index lists the users whose states can contain an account, so a start need not read thousands of states.
    - The database decides, because users come, go and are renamed.
    """

    _of_databases: WeakKeyDictionary[Any, AccountRegistry] = WeakKeyDictionary()

    def __init__(self, db: Any, log: logging.Logger) -> None:
        self._db = db
        self._log = log
        self._users: dict[str, set[int]] = {}
        # The number of a user's pending starts that claimed an account and have submitted nothing yet.
        self._first_starts: dict[tuple[str, int], int] = {}
        self._unreadable: set[int] = set()
        for user_id, state in self._states():
            for account in claims(state, ""):
                self._users.setdefault(account, set()).add(user_id)

    @classmethod
    def of(cls, db: Any, log: logging.Logger) -> AccountRegistry:
        """Return the registry of a hub's database session."""
        if db not in cls._of_databases:
            cls._of_databases[db] = cls(db, log)
        return cls._of_databases[db]

    def reserve(self, account: str, user: Any, *, shared: Collection[str]) -> None:
        """Claim an account for a user and commit the claim. Each start calls this first.

        Args:
            account: the Hadoop user.
            user: JupyterHub's user.
            shared: Hadoop users that several of the hub's users may use.

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

        The context yields a function that confirms the reservation. Without that call, it releases the reservation.
        """
        self.reserve(account, user, shared=shared)
        try:
            yield lambda: self.confirm(account, user)
        finally:
            self.give_up(account, user)

    def other_owner(self, account: str, user_id: int) -> str:
        """Return the name of another user of the hub that owns an account; "" if there is none."""
        for other in sorted(self._users.get(account, set()) - {user_id}):
            user = self._db.query(orm.User).filter(orm.User.id == other).first()
            if user is not None and any(
                claims(state, user.name).get(account) == user.name for _, state in self._states(other)
            ):
                return str(user.name)
        return ""

    def take(self, account: str, user: Any) -> None:
        """Claim an account and commit the claim. Each start calls this, and later `confirm` or `give_up`.

        Args:
            account: the Hadoop user.
            user: JupyterHub's user, or its database row.
        """
        key = (account, user.id)
        held = [_lasting(row.state, user.name).get(account) == user.name for row in user.orm_spawners.values()]
        if key in self._first_starts or not any(held):
            self._first_starts[key] = self._first_starts.get(key, 0) + 1
        if not all(held):
            self._users.setdefault(account, set()).add(user.id)
            self._write(user, lambda kept: {**kept, account: user.name})

    def confirm(self, account: str, user: Any) -> None:
        """Keep a claim as long as its user exists, because an application may have been submitted."""
        self._first_starts.pop((account, user.id), None)

    def give_up(self, account: str, user: Any) -> None:
        """Release a claim whose start has submitted nothing, unless another start of the user needs it."""
        key = (account, user.id)
        if key not in self._first_starts:
            return
        self._first_starts[key] -= 1
        if not self._first_starts[key]:
            del self._first_starts[key]
            self._write(user, lambda kept: {name: by for name, by in kept.items() if name != account})

    def spread(self, user: Any) -> None:
        """Copy all claims of a user to each of the user's servers. Call this before one of them is deleted."""
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
        """Return the user ids and stored states of all servers, or of one user's. Skip broken states."""
        # Select two columns, because the session would keep thousands of objects.
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
    """Return the accounts that a stored state names, each with its user's name at the time of the claim.

    Args:
        state: the stored state, of any type.
        user_name: the user's current name. The account of a running server counts under this name.
    """
    running = state.get("hadoop_user") if isinstance(state, dict) else ""
    return {**_kept(state), **({running: user_name} if isinstance(running, str) and running else {})}


def carried(state: Any, user_name: str) -> dict[str, Any]:
    """Return the claims that a server's new state must keep from the previous one; {} if there are none."""
    kept = _lasting(state, user_name)
    return {KEY: kept} if kept else {}


def _lasting(state: Any, user_name: str) -> dict[str, str]:
    # Earlier versions stored only the last server's account.
    return _kept(state) if isinstance(state, dict) and KEY in state else claims(state, user_name)


def _kept(state: Any) -> dict[str, str]:
    kept = state.get(KEY) if isinstance(state, dict) else None
    pairs: Mapping[Any, Any] = kept if isinstance(kept, Mapping) else {}
    return {name: by for name, by in pairs.items() if isinstance(name, str) and isinstance(by, str)}
