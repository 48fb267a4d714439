"""JupyterHub's own hooks: one that raises an exception is named, instead of an "Internal server error"."""

from __future__ import annotations

import logging
from typing import Any

from yarnspawner.launch.admin_code import call_setting


class HookingSpawner:
    """The part of a spawner that runs the hooks of JupyterHub's Spawner."""

    # JupyterHub's Spawner has these.
    apply_user_options: Any
    log: logging.Logger

    async def run_auth_state_hook(self, auth_state: Any) -> None:
        """Run ``auth_state_hook``. JupyterHub calls this at each start."""
        await call_setting("auth_state_hook", super().run_auth_state_hook, auth_state, log=self.log)  # type: ignore[misc]

    async def run_pre_spawn_hook(self) -> None:
        """Run ``pre_spawn_hook``. JupyterHub calls this at each start."""
        await call_setting("pre_spawn_hook", super().run_pre_spawn_hook, log=self.log)  # type: ignore[misc]

    async def get_options_form(self) -> Any:
        """Return the page's form. JupyterHub calls this when a user opens the page."""
        return await call_setting("options_form", super().get_options_form, log=self.log)  # type: ignore[misc]

    async def run_options_from_form(self, form_data: Any) -> Any:
        """Read a form. JupyterHub calls this when a user posts it."""
        run = super().run_options_from_form  # type: ignore[misc]
        return await call_setting("options_from_form", run, form_data, log=self.log)

    async def _run_apply_user_options(self, user_options: Any) -> None:
        apply = self.apply_user_options
        if callable(apply):
            await call_setting("apply_user_options", apply, self, user_options, log=self.log)
        else:
            await super()._run_apply_user_options(user_options)  # type: ignore[misc]
