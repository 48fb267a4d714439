"""Tell open pages of JupyterLab what kernels wait for, as events of Jupyter Server.

JupyterLab shows no more than "Connecting" while a kernel starts. yarnspawner's extension of JupyterLab shows these events.
"""

from __future__ import annotations

from typing import Any

from yarnspawner.kernels.start_progress import StartProgress

SCHEMA = {
    "$id": "https://github.com/jupyterhub/yarnspawner/kernel-wait/v1",  # a name, not an address
    "version": "1",
    "title": "What a kernel in a container waits for",
    "personal-data": False,
    "type": "object",
    "required": ["kernel", "message"],
    "properties": {
        "kernel": {"type": "string", "description": "The kernel's id."},
        "message": {"type": "string", "description": 'A sentence; "" when the kernel no longer waits.'},
    },
}
"""The event, as JSON Schema. JupyterLab's extension knows its id."""


def emit_waits(event_logger: Any) -> None:
    """Emit an event whenever what a kernel waits for has changed.

    Args:
        event_logger: Jupyter Server's.
    """
    event_logger.register_event_schema(SCHEMA)

    def emit(kernel_id: str, message: str) -> None:
        event_logger.emit(schema_id=SCHEMA["$id"], data={"kernel": kernel_id, "message": message})

    StartProgress.listeners.append(emit)
