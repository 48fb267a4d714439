"""Jupyter on Hadoop: a JupyterHub spawner that runs each user's server in a YARN container, as that user."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from yarnspawner.common.grpc_import import import_grpc

if TYPE_CHECKING:
    from yarnspawner.hub.proxy import keep_proxy
    from yarnspawner.spawner import YarnSpawner

__all__ = ["TEMPLATE_PATHS", "YarnSpawner", "keep_proxy"]
__version__ = "1.0.0.dev0"

# For JupyterHub.template_paths: pages that say how long the user's servers have left, and why one has ended.
TEMPLATE_PATHS = [str(Path(__file__).parent / "templates" / "hub")]


def __getattr__(name: str) -> Any:
    # The recipes in the container import this package too, where JupyterHub's spawners are neither needed nor, in a
    # kernel's environment, installed.
    if name == "YarnSpawner":
        import_grpc()
        from yarnspawner.spawner import YarnSpawner

        return YarnSpawner
    if name == "keep_proxy":
        from yarnspawner.hub.proxy import keep_proxy

        return keep_proxy
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def main() -> int:
    """The command ``yarnspawner``."""
    import_grpc()
    from yarnspawner.cli.main import main

    return main()
