"""The type of a spawner as its collaborators see it: the settings, and what JupyterHub's Spawner has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyterhub.spawner import Spawner

    from yarnspawner.settings.hub import HubSettings
    from yarnspawner.settings.profiles import ProfileSettings
    from yarnspawner.settings.server import ServerSettings
    from yarnspawner.settings.yarn import YarnSettings

    class SpawnerSettings(ServerSettings, YarnSettings, ProfileSettings, HubSettings, Spawner):
        """All settings of a spawner. It exists for type checkers only."""

else:
    SpawnerSettings = Any
