"""What the hub's database says of its servers."""

from jupyterhub import orm
from sqlalchemy import event
from sqlalchemy.orm import selectinload

from yarnspawner.hub.owned_servers import users_with_servers


def test_users_are_loaded_at_once():
    """While their rows are kept, JupyterHub's own query at its start sends no more queries for more users."""
    db = orm.new_session_factory("sqlite:///:memory:")()
    for number in range(40):
        server = orm.Server() if number % 2 else None
        db.add(orm.Spawner(name="", user=orm.User(name=f"user{number}"), server=server))
    db.commit()
    db.expunge_all()
    statements = []
    event.listen(db.get_bind(), "before_cursor_execute", lambda *execution: statements.append(execution[2]))

    users = users_with_servers(db)
    assert {user.name for user in users} == {f"user{number}" for number in range(1, 40, 2)}
    found = (
        db.query(orm.Spawner)
        .filter(orm.Spawner.server_id.is_not(None))
        .options(selectinload(orm.Spawner.user), selectinload(orm.Spawner.user, orm.User._orm_spawners))
        .populate_existing()
    )
    assert sum(len(spawner.user.orm_spawners) for spawner in found) == 20
    assert len(statements) < 20
