"""Start the orphan reaper with the hub. JupyterHub has no hook for this, so wrap ``JupyterHub.init_spawners``.

- The reaper does not wait for the first user's spawner, because a hub can have orphans and no users. It starts after
  JupyterHub has checked the servers of its last run. That is the end of ``init_spawners`` in versions 5 and 6.
- JupyterHub serves no user until ``init_spawners`` has returned, or for its ``init_spawners_timeout``. Its checks of starts
  that are still pending can take minutes, so the wrapper does not wait for them.

Commands and tests also import this module, but never call that method.
"""

from __future__ import annotations

import asyncio
import functools
import sys
import weakref
from typing import Any

from traitlets import TraitError

from yarnspawner.hadoop.configuration import ConfigurationError, HadoopConfiguration
from yarnspawner.hub.context import HubContext
from yarnspawner.hub.owned_servers import live_spawners, read_owned, users_with_servers
from yarnspawner.settings.typing import SpawnerSettings
from yarnspawner.yarn.orphan_reaper import OrphanReaper, ReaperLoop

# Seconds between two looks at JupyterHub's checks. It has no event for a single one.
_CHECK_INTERVAL = 0.05

_reaper_loops: weakref.WeakKeyDictionary[Any, ReaperLoop] = weakref.WeakKeyDictionary()


def install_startup_hook(spawner_class: type[Any]) -> None:
    """Start the reaper after JupyterHub has checked its servers, if this process is a JupyterHub.

    JupyterHub imports all installed spawners, so the hook checks later if the hub uses this one.

    Args:
        spawner_class: the spawner class that the hub must use.
    """
    for hub_class in _hub_classes():
        _install(hub_class, spawner_class)


def _hub_classes() -> list[Any]:
    """Return JupyterHub's application classes in this process. ``python -m jupyterhub.app`` has a second one."""
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
        if not issubclass(self.spawner_class, spawner_class):
            return await original(self)
        prepare(self, spawner_class)
        result = await _check_servers(self, original)
        start_reaper(self, spawner_class)
        start_drivers(self, spawner_class)
        return result

    hub_class.init_spawners = init_spawners


async def _check_servers(hub: Any, original: Any) -> Any:
    """Let JupyterHub check its servers, and return what it logs: how many there are."""
    users = users_with_servers(hub.db)
    checks = asyncio.ensure_future(original(hub))
    await _wait_for_running_servers(hub, checks)
    users.clear()  # until then, they are kept for JupyterHub
    return checks.result() if checks.done() else len(_checked_spawners(hub))


async def _wait_for_running_servers(hub: Any, checks: asyncio.Future[Any]) -> None:
    """Wait for JupyterHub's checks of all servers except those with a pending start."""
    while not checks.done():
        await asyncio.wait({checks}, timeout=_CHECK_INTERVAL)
        checked = _checked_spawners(hub)
        if checked and all(spawner.recovery.has_pending_start for spawner in checked):
            return


def _checked_spawners(hub: Any) -> list[Any]:
    spawners = [spawner for user in hub.users.values() for spawner in user.spawners.values()]
    return [spawner for spawner in spawners if spawner._check_pending]  # noqa: SLF001 - it has no public name


def prepare(hub: Any, spawner_class: type[Any]) -> None:
    """Start the driver for reports, check Hadoop's configuration and add the hub's pages before the hub checks its servers.

    Errors are logged. If a setting has a value that it does not accept, the hub exits.

    Args:
        hub: JupyterHub's application.
        spawner_class: see :func:`install_startup_hook`.
    """
    try:
        if not issubclass(hub.spawner_class, spawner_class):
            return
        if warning := configuration_warning():
            hub.log.warning("%s", warning)
        access = settings_of(hub).hub_context.access
        # JupyterHub's handlers are imported only in a hub.
        from yarnspawner.hub.kernel_waits import add_kernel_waits
        from yarnspawner.hub.log_page import add_log_page
        from yarnspawner.hub.restart_page import add_restart_page

        add_log_page(hub, access)
        add_restart_page(hub)
        add_kernel_waits(hub)
        access.connect()
    except TraitError as error:
        # Otherwise, each start would fail.
        hub.log.critical("The hub does not start, because a setting of its configuration is invalid: %s", error)
        hub.exit(1)
    except Exception:
        hub.log.exception("The hub cannot prepare its access to YARN; the first start will try again")


def start_drivers(hub: Any, spawner_class: type[Any]) -> None:
    """Start all drivers, so that the first user does not wait for one. While the hub checks its servers, it needs the CPU.

    Args:
        hub: JupyterHub's application.
        spawner_class: see :func:`install_startup_hook`.
    """
    try:
        if issubclass(hub.spawner_class, spawner_class):
            settings_of(hub).hub_context.access.warm()
    except Exception:
        hub.log.exception("The drivers do not start; the first start will try again")


def start_reaper(hub: Any, spawner_class: type[Any]) -> None:
    """Start a hub's reaper. Idempotent.

    Args:
        hub: JupyterHub's application, with its database and secrets.
        spawner_class: see :func:`install_startup_hook`.
    """
    if hub in _reaper_loops or not issubclass(hub.spawner_class, spawner_class):
        return
    try:
        settings = settings_of(hub)
        if settings.sweep_interval < 0 or not settings.hub_context.identity.certain:
            return
        reaper = reaper_of(settings, hub.db, spawners=live_spawners)
        _reaper_loops[hub] = ReaperLoop(
            reaper,
            grace=settings.sweep_grace,
            interval=settings.sweep_interval,
            log=hub.log,
        )
        _reaper_loops[hub].start()
    except Exception:
        hub.log.exception("Orphaned applications will not be swept")


def configuration_warning() -> str:
    """Return a warning if Hadoop's configuration is missing or lets everyone kill any server; "" otherwise."""
    try:
        configuration = HadoopConfiguration.load()
    except ConfigurationError as error:
        return f"The hub cannot find its cluster: {error}. Set HADOOP_CONF_DIR to the folder of yarn-site.xml"
    if configuration.flag("yarn.acl.enable"):
        everybody = (configuration.get("yarn.admin.acl") or "").strip() == "*"
        return (
            "yarn.admin.acl of yarn-site.xml is *: any user of the cluster can kill any user's server"
            if everybody
            else ""
        )
    return (
        "yarn.acl.enable of yarn-site.xml is false: any user of the cluster can view and kill any user's server."
        ' Set it to true (docs/install.md, "YARN\'s own settings")'
    )


def settings_of(hub: Any) -> SpawnerSettings:
    """Return a spawner without a user. It has the settings that the hub's configuration gives to all users."""
    settings: SpawnerSettings = hub.spawner_class(parent=hub, log=hub.log)
    return settings


def reaper_of(settings: SpawnerSettings, db: Any, *, spawners: Any = ()) -> OrphanReaper:
    """Return an orphan reaper with the hub's settings.

    Args:
        settings: see :func:`settings_of`.
        db: JupyterHub's database session.
        spawners: the spawners in memory, if this is the hub.
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
