"""What a plain Jupyter server does with a kernel: ``python edge_kernel.py KERNELSPEC``, as a user on an edge node."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from jupyter_client.manager import AsyncKernelManager

WHERE = """
import json, os
print(json.dumps({"application": os.environ["SKEIN_APPLICATION_ID"], "memory": os.environ["SKEIN_RESOURCE_MEMORY"],
                  "uid": os.getuid(), "pid": os.getpid()}))
"""


async def execute(kernel: AsyncKernelManager, code: str) -> str:
    """Return a cell's output, or the name of its error."""
    client = kernel.client()
    client.start_channels()
    said: list[str] = []

    def on_output(message: dict[str, Any]) -> None:
        said.append(message["content"].get("text") or message["content"].get("ename") or "")

    try:
        await client.wait_for_ready(timeout=60)
        await client.execute_interactive(code, timeout=60, output_hook=on_output)
        return "".join(said).strip()
    finally:
        client.stop_channels()


async def main(name: str) -> None:
    """Start, interrupt, restart and shut down a kernel, and print what was seen as JSON."""
    kernel = AsyncKernelManager(kernel_name=name)
    seen: dict[str, Any] = {}
    start = time.monotonic()
    await kernel.start_kernel()
    seen["start"] = time.monotonic() - start
    try:
        seen["encrypted"] = "curve_publickey" in kernel.get_connection_info()
        seen["first"] = json.loads(await execute(kernel, WHERE))
        sleeping = asyncio.ensure_future(execute(kernel, "import time; time.sleep(60)"))
        await asyncio.sleep(2)
        await kernel.interrupt_kernel()
        seen["interrupted"] = await asyncio.wait_for(sleeping, 20)
        start = time.monotonic()
        await kernel.restart_kernel()
        seen["second"] = json.loads(await execute(kernel, WHERE))
        seen["restart"] = time.monotonic() - start
        seen["alive"] = await kernel.is_alive()
    finally:
        start = time.monotonic()
        await kernel.shutdown_kernel()
        seen["shutdown"] = time.monotonic() - start
    seen["alive_after"] = await kernel.is_alive()
    print(json.dumps(seen))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
