"""What a hub does as a whole when it starts."""

import asyncio
import sys
from types import ModuleType, SimpleNamespace

import pytest
from jupyterhub import orm

from yarnspawner.hub import startup
from yarnspawner.hub.startup import configuration_warning, install_startup_hook


@pytest.mark.parametrize(
    ("settings", "warns"),
    [
        ({}, "yarn.acl.enable"),
        ({"yarn.acl.enable": "false", "yarn.admin.acl": "yarn"}, "yarn.acl.enable"),
        ({"yarn.acl.enable": "true"}, "yarn.admin.acl"),
        ({"yarn.acl.enable": "true", "yarn.admin.acl": "yarn"}, ""),
    ],
)
def test_warning_about_acls(settings, warns, tmp_path, monkeypatch):
    """The hub warns if YARN's ACLs are off or open, as any user can then kill any server."""
    properties = "".join(
        f"<property><name>{name}</name><value>{value}</value></property>" for name, value in settings.items()
    )
    (tmp_path / "yarn-site.xml").write_text(f"<configuration>{properties}</configuration>")
    monkeypatch.setenv("HADOOP_CONF_DIR", str(tmp_path))
    assert warns in configuration_warning() and bool(configuration_warning()) == bool(warns)


def test_warning_without_hadoop(tmp_path, monkeypatch):
    """A hub without Hadoop's configuration warns when it starts, and the warning says what to set."""
    monkeypatch.setenv("HADOOP_CONF_DIR", str(tmp_path / "nowhere"))
    assert f"{tmp_path}/nowhere" in configuration_warning()
    assert "Set HADOOP_CONF_DIR" in configuration_warning()


async def test_both_names_of_the_hub(monkeypatch):
    """The hook also changes the class of a hub that runs as `python -m jupyterhub.app`."""

    class JupyterHub:
        spawner_class = int
        users = {}
        db = orm.new_session_factory("sqlite:///:memory:")()

        async def init_spawners(self):
            return "done"

    main = ModuleType("__main__")
    main.__spec__ = SimpleNamespace(name="jupyterhub.app")
    main.JupyterHub = JupyterHub
    monkeypatch.setitem(sys.modules, "__main__", main)
    monkeypatch.delitem(sys.modules, "jupyterhub.app", raising=False)
    begun = []
    monkeypatch.setattr("yarnspawner.hub.startup.prepare", lambda hub, spawner_class: begun.append("prepared"))
    monkeypatch.setattr("yarnspawner.hub.startup.start_reaper", lambda hub, spawner_class: begun.append(hub))
    monkeypatch.setattr("yarnspawner.hub.startup.start_drivers", lambda hub, spawner_class: begun.append("drivers"))
    install_startup_hook(int)
    hub = JupyterHub()
    assert await hub.init_spawners() == "done"
    assert begun == ["prepared", hub, "drivers"]


def test_drivers_start_with_the_hub(monkeypatch):
    """The drivers start with the hub; what fails there is logged, and the hub starts."""
    from yarnspawner.hub import startup as hub

    warmed, logged = [], []
    access = SimpleNamespace(connect=lambda: warmed.append("reports"), warm=lambda: warmed.append("all"))
    settings = SimpleNamespace(hub_context=SimpleNamespace(access=access), sweep_interval=-1)
    monkeypatch.setattr(hub, "settings_of", lambda _: settings)
    log = SimpleNamespace(exception=logged.append, warning=lambda *words: None)

    class Hub:
        spawner_class = int

    one = Hub()
    one.log = log
    added = []
    monkeypatch.setattr("yarnspawner.hub.log_page.add_log_page", lambda *what: added.append(what))
    monkeypatch.setattr("yarnspawner.hub.restart_page.add_restart_page", lambda *what: added.append(what))
    monkeypatch.setattr("yarnspawner.hub.kernel_waits.add_kernel_waits", lambda *what: added.append(what))
    hub.prepare(one, int)
    assert (warmed, logged) == (["reports"], [])
    hub.start_drivers(one, int)
    assert (warmed, logged) == (["reports", "all"], [])
    assert added == [(one, access), (one,), (one,)]
    settings.hub_context = None
    hub.prepare(one, int)
    hub.start_drivers(one, int)
    assert len(logged) == 2
    hub.start_drivers(one, str)
    assert len(logged) == 2


def test_unreadable_configuration(monkeypatch):
    """A hub starts even if the configuration is not readable, and the error is logged."""
    from yarnspawner.hub import startup as hub

    def broken():
        raise PermissionError("/etc/hadoop/conf")

    monkeypatch.setattr(hub, "configuration_warning", broken)
    logged = []
    one = SimpleNamespace(spawner_class=int, log=SimpleNamespace(exception=logged.append))
    hub.prepare(one, int)
    assert len(logged) == 1


class Checking:
    """A hub that checks servers, of which one has a pending start."""

    spawner_class = int

    def __init__(self, *pending_starts):
        self.spawners = [
            SimpleNamespace(_check_pending=True, recovery=SimpleNamespace(has_pending_start=pending))
            for pending in pending_starts
        ]
        self.users = {"alice": SimpleNamespace(spawners=dict(enumerate(self.spawners)))}
        self.rest = asyncio.Event()
        self.db = orm.new_session_factory("sqlite:///:memory:")()

    async def init_spawners(self):
        await asyncio.sleep(0.1)
        for spawner in self.spawners:
            if not spawner.recovery.has_pending_start:
                spawner._check_pending = False
        await self.rest.wait()
        return len(self.spawners)


async def checked(hub, spawner_class, monkeypatch):
    """Start the wrapped checks, and return them and the reapers that were started."""
    reapers = []
    monkeypatch.setattr("yarnspawner.hub.startup.prepare", lambda *_: None)
    monkeypatch.setattr("yarnspawner.hub.startup.start_reaper", lambda hub, _: reapers.append(hub))
    monkeypatch.setattr("yarnspawner.hub.startup.start_drivers", lambda *_: None)
    hub_class = type("Hub", (), {"init_spawners": Checking.init_spawners})
    startup._install(hub_class, spawner_class)
    return asyncio.ensure_future(hub_class.init_spawners(hub)), reapers


async def test_pending_starts_do_not_block(monkeypatch):
    """The hub waits for the checks of running servers, and not for pending starts."""
    hub = Checking(False, True, True)
    checks, reapers = await checked(hub, int, monkeypatch)
    await asyncio.sleep(0.07)
    assert not checks.done()
    assert await asyncio.wait_for(checks, 5) == 2
    assert reapers == [hub]
    hub.rest.set()


async def test_checks_without_pending_starts(monkeypatch):
    """Without pending starts, the hub waits for all checks."""
    hub = Checking(False, False)
    hub.rest.set()
    checks, _ = await checked(hub, int, monkeypatch)
    assert await asyncio.wait_for(checks, 5) == 2


async def test_checks_of_other_spawners(monkeypatch):
    """The hub waits for all checks if it uses another spawner."""
    hub = Checking(True)
    checks, _ = await checked(hub, str, monkeypatch)
    await asyncio.sleep(0.2)
    assert not checks.done()
    hub.rest.set()
    assert await asyncio.wait_for(checks, 5) == 1
