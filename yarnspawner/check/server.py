"""Start a real server for the user, as the hub would, and stop it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

from jupyterhub.utils import maybe_future

from yarnspawner.check.context import CheckContext
from yarnspawner.check.result import Result, Step, Unknown, ok, wrong
from yarnspawner.check.stand_in import hub_or_stand_in
from yarnspawner.common.text import one_line

_GROUP = "A real server"
_STOP_TIMEOUT = 120.0
# Seconds. YARN itself ends the server if this command is killed.
_LIFETIME = 600


async def start_server(context: CheckContext) -> Result:
    """Start a server with the user's settings and wait until it answers. Stop it in every case."""
    context.need_user()
    spawner = context.spawner()
    since = time.monotonic()
    async with hub_or_stand_in(context.hub) as who:
        try:
            url = await _start(context, spawner)
        except Unknown:
            raise
        except Exception as error:  # noqa: BLE001 - whatever keeps a server from starting is what is looked for
            return _failed(error)
        finally:
            await _stop(spawner)
    application = spawner.check_application
    return ok(
        f"A server for {context.user} answered at {url} after {time.monotonic() - since:.0f} s, in {application}, and"
        f" stopped. So the hub reaches the application master and the server, and the server reaches {who}",
        application=application,
        url=url,
    )


async def _start(context: CheckContext, spawner: Any) -> str:
    await spawner.apply_group_overrides()
    await spawner._run_apply_user_options(spawner.user_options)  # noqa: SLF001 - as User.spawn does
    await maybe_future(spawner.run_pre_spawn_hook())
    spawner.tags = [*spawner.tags, context.tag]
    spawner.maximum_lifetime = spawner.maximum_lifetime or int(spawner.start_timeout) + _LIFETIME
    context.started = True
    try:
        url: str = await asyncio.wait_for(spawner.start(), spawner.start_timeout)
    finally:
        spawner.check_application = spawner.record.application_id
    return url


async def _stop(spawner: Any) -> None:
    """Stop the server, also if this step is cancelled in the meantime."""
    stopping = asyncio.ensure_future(_stop_and_call_hook(spawner))
    try:
        await asyncio.wait_for(asyncio.shield(stopping), _STOP_TIMEOUT)
    except asyncio.CancelledError:
        await asyncio.wait([stopping], timeout=_STOP_TIMEOUT)
        raise
    except asyncio.TimeoutError:
        return


async def _stop_and_call_hook(spawner: Any) -> None:
    with contextlib.suppress(Exception):
        await spawner.stop()
    with contextlib.suppress(Exception):
        await maybe_future(spawner.run_post_stop_hook())


def _failed(error: Exception) -> Result:
    diagnosis = getattr(error, "diagnosis", None)
    message = getattr(error, "jupyterhub_message", "") or f"{type(error).__name__}: {error}"
    detail = getattr(diagnosis, "detail", "")
    end = one_line("\n".join(detail.splitlines()[-3:]), 300)
    return wrong(
        f"The server did not start: {one_line(message, 800)}{f' The log ends with: {end}' if end else ''}",
        detail=detail,
    )


STEPS = [Step(_GROUP, "Start and stop", start_server, 900)]
