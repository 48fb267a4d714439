"""What belongs to the hub as a whole, for which JupyterHub gives a spawner no place: the sweep.

Nobody may ever come to a hub whose applications are to be swept, so it does not wait for the first user's spawner. It begins
when JupyterHub has checked all servers that it knows from its last run, which is the end of ``JupyterHub.init_spawners``, in
versions 5 and 6; as there is nothing to be told of it by, this is added to that method. In a command or a test, which
import this as well, that is never called.
"""

from __future__ import annotations

import functools
import sys
import weakref
from typing import Any

from yarnspawner.hadoop.configuration import ConfigurationError, HadoopConfiguration
from yarnspawner.hub.context import HubContext
from yarnspawner.hub.owned_servers import live_spawners, read_owned
from yarnspawner.settings.typing import SpawnerSettings
from yarnspawner.yarn.orphan_reaper import OrphanReaper, ReaperLoop

_sweepers: weakref.WeakKeyDictionary[Any, ReaperLoop] = weakref.WeakKeyDictionary()


def install_startup_hook(spawner_class: type[Any]) -> None:
    """Sweep, if this process is a JupyterHub, once it has checked its servers.

    JupyterHub imports all spawners that are installed, so this asks again later whether it uses this one.

    Args:
        spawner_class: of which it is.
    """
    for hub_class in _hub_classes():
        _install(hub_class, spawner_class)


def _hub_classes() -> list[Any]:
    """The classes of JupyterHub's application in this process: ``python -m jupyterhub.app`` has one of its own."""
    main = sys.modules.get("__main__")
    modules = [sys.modules.get("jupyterhub.app")]
    if getattr(getattr(main, "__spec__", None), "name", "") == "jupyterhub.app":
        modules.append(main)
    classes = [getattr(module, "JupyterHub", None) for module in modules]
    return [hub_class for hub_class in classes if hasattr(hub_class, "init_spawners")]


def _install(hub_class: Any, spawner_class: type[Any]) -> None:
    original = hub_class.init_spawners

    @functools.wraps(original)
    async def init_spawners(self: Any) -> Any:
        prepare(self, spawner_class)
        result = await original(self)
        start_reaper(self, spawner_class)
        return result

    hub_class.init_spawners = init_spawners


def prepare(hub: Any, spawner_class: type[Any]) -> None:
    """Start the drivers, and warn of what is wrong with the configuration, before the hub checks its servers.

    Their check may take long, and the first user should not wait for a driver. What fails is logged.

    Args:
        hub: JupyterHub's application.
        spawner_class: see :func:`install_startup_hook`.
    """
    try:
        if not issubclass(hub.spawner_class, spawner_class):
            return
        if warning := configuration_warning():
            hub.log.warning("%s", warning)
        settings_of(hub).hub_context.access.warm()
    except Exception:
        hub.log.exception("The hub cannot prepare its access to YARN; the first start will try again")


def start_reaper(hub: Any, spawner_class: type[Any]) -> None:
    """Begin to sweep for a hub; beginning twice is beginning once.

    Args:
        hub: JupyterHub's application, with its database and secrets.
        spawner_class: see :func:`install_startup_hook`.
    """
    if hub in _sweepers or not issubclass(hub.spawner_class, spawner_class):
        return
    try:
        settings = settings_of(hub)
        if settings.sweep_interval < 0 or not settings.hub_context.identity.certain:
            return
        sweep = reaper_of(settings, hub.db, spawners=live_spawners)
        _sweepers[hub] = ReaperLoop(
            sweep,
            grace=settings.sweep_grace,
            interval=settings.sweep_interval,
            log=hub.log,
        )
        _sweepers[hub].start()
    except Exception:
        hub.log.exception("Orphaned applications will not be swept")


def configuration_warning() -> str:
    """Return what is wrong with the hub's Hadoop configuration: it is not there, or lets everybody end any server."""
    try:
        configuration = HadoopConfiguration.load()
    except ConfigurationError as error:
        return f"The hub cannot find its cluster: {error}. Set HADOOP_CONF_DIR to the folder of yarn-site.xml"
    if configuration.flag("yarn.acl.enable"):
        everybody = (configuration.get("yarn.admin.acl") or "").strip() == "*"
        return (
            "yarn.admin.acl of yarn-site.xml is *: everybody on the cluster can end everybody's server"
            if everybody
            else ""
        )
    return (
        "yarn.acl.enable of yarn-site.xml is false: everybody on the cluster can end everybody's server and look at it."
        ' Set it to true (docs/install.md, "YARN\'s own settings")'
    )


def settings_of(hub: Any) -> SpawnerSettings:
    """A spawner without a user: the settings that the hub's configuration gives to all."""
    settings: SpawnerSettings = hub.spawner_class(parent=hub, log=hub.log)
    return settings


def reaper_of(settings: SpawnerSettings, db: Any, *, spawners: Any = ()) -> OrphanReaper:
    """A sweep with the hub's settings.

    Args:
        settings: see :func:`settings_of`.
        db: JupyterHub's database session.
        spawners: those in memory, if this is the hub.
    """
    context: HubContext = settings.hub_context
    identity = context.identity
    hub_id = identity.id
    return OrphanReaper(
        context.access,
        hub_id,
        grace=settings.sweep_grace,
        owned=lambda: read_owned(db, hub_id=hub_id, spawners=spawners),
        log=settings.log,
        shared=getattr(settings, "shared_hadoop_users", ()),
        refusal=identity.claim.refusal if identity.claim is not None else lambda: "",
    )
