"""Base of the handlers of this package's pages of the hub."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, FileSystemLoader
from jupyterhub.handlers.base import BaseHandler

_TEMPLATES = Path(__file__).resolve().parent.parent / "templates" / "hub"


class PageHandler(BaseHandler):
    """Finds the page's template in this package. It need not be in `template_paths`; one of the site's replaces it."""

    own_template = ""

    def get_template(self, name: str, sync: bool = False) -> Any:
        """Return a template. Called by `BaseHandler.render_template`."""
        return (
            super().get_template(name, sync)
            if sync or name != self.own_template
            else self._templates.get_template(name)
        )

    @cached_property
    def _templates(self) -> Any:
        environment = self.settings["jinja2_env"]
        return environment.overlay(loader=ChoiceLoader([environment.loader, FileSystemLoader(_TEMPLATES)]))
