"""A cell in a kernel that a kernel manager of this process has."""

from __future__ import annotations

from typing import Any


async def run_cell(kernel: Any, code: str) -> str:
    """Run a cell, and return what it prints, or the name of its error."""
    client = kernel.client()
    client.start_channels()
    await client.wait_for_ready(timeout=60)
    said: list[str] = []

    def on_output(message: dict[str, Any]) -> None:
        content = message["content"]
        said.append(content.get("text") or content.get("ename") or "")

    try:
        await client.execute_interactive(code, timeout=60, output_hook=on_output)
        return "".join(said).strip()
    finally:
        client.stop_channels()
