"""A kernel's container that has no kernel yet: wait until the server assigns one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from yarnspawner.common.protocol import ProtocolError
from yarnspawner.common.spare_protocol import KernelAssignment, assignment_key, ready_key, spare_prefix
from yarnspawner.singleuser.failure import say
from yarnspawner.singleuser.store import Store, StoreError

_NAME = "yarnspawner.singleuser.kernel_container"

# Seconds after which an unused container ends by itself, also if no server knows it any more. docs/kernels.md and the help of
# kernel_profiles tell it.
_LIMIT = 1800.0
# Seconds between two requests to the store, without an event stream and with one, which may break without a sign.
_INTERVAL = 0.25
_WATCHED_INTERVAL = 30.0
# Seconds between two checks for a reason to stop. Most of them ask no other process.
_CHECK_INTERVAL = 1.0


def await_assignment(store: Store, reason_to_stop: Callable[[], str]) -> KernelAssignment | None:
    """Wait until the server assigns a kernel, and accept it.

    Args:
        store: the application's key-value store.
        reason_to_stop: returns "" as long as the container is to wait.

    Returns:
        None if the container is to end.
    """
    _import_all()
    return asyncio.run(_wait(store, reason_to_stop))


def _import_all() -> None:
    """Import what a kernel's start needs, so that an assigned kernel does not wait for it."""
    import cryptography.fernet
    import zmq.utils.z85

    from yarnspawner.singleuser import kernel_relay

    _ = (cryptography, zmq, kernel_relay)


async def _wait(store: Store, reason_to_stop: Callable[[], str]) -> KernelAssignment | None:
    container_id = store.container_id or ""
    key = assignment_key(container_id)
    watch = store.watch(key, key)
    with suppress(Exception):  # without the event stream, the store is asked more often
        await watch.open()
    ready = False
    ask = 0.0
    until = time.monotonic() + _LIMIT
    try:
        while True:
            # No assignment can be lost: after the last request, the server finds no spare container here.
            last = time.monotonic() > until or bool(reason_to_stop())
            if last or not watch.active or time.monotonic() >= ask:
                with suppress(StoreError):
                    if last:
                        store.discard(ready_key(container_id))
                    elif not ready:
                        store.put(ready_key(container_id), b"1")
                        ready = True
                        say(_NAME, "the spare container waits for a kernel")
                    if (raw := store.get(key)) is not None:
                        store.discard_prefix(spare_prefix(container_id))
                        return KernelAssignment.from_bytes(raw)
                    ask = time.monotonic() + _WATCHED_INTERVAL
            if last:
                return None
            if watch.active:
                await watch.wait(_CHECK_INTERVAL)
            else:
                await asyncio.sleep(_INTERVAL)
    except ProtocolError as error:
        say(_NAME, f"the assignment cannot be read: {error}")
        return None
    finally:
        await watch.close()
