"""The command's own parts: no step ends it, and what it prints can be copied."""

from __future__ import annotations

import asyncio
import gc
import io
import json
from typing import Any

from yarnspawner.check.kerberos import ticket_time
from yarnspawner.check.report import TextReport, as_document
from yarnspawner.check.result import Finished, Fix, Mark, Result, Step, Unknown, ok, wrong
from yarnspawner.check.runner import run_step, run_steps

FIX = Fix("core-site.xml", "hadoop.proxyuser.hub.users", "alice,<b>")


def step(run: Any, timeout: float = 5) -> Step:
    return Step("Group", "Name", run, timeout)


async def test_no_step_ends_the_command() -> None:
    """An exception, a refusal and a step that hangs are unknown, with the reason; the next step runs."""

    async def breaks(context: Any) -> Result:
        raise ZeroDivisionError("by zero")

    async def refused(context: Any) -> Result:
        raise Unknown("No permission.")

    async def hangs(context: Any) -> Result:
        await asyncio.sleep(60)
        return ok("late")

    async def works(context: Any) -> Result:
        return ok("fine")

    shown: list[Finished] = []
    steps = [step(breaks), step(refused), step(hangs, 0.05), step(works)]
    finished = await run_steps(steps, None, shown.append)  # type: ignore[arg-type]
    assert [one.result.mark for one in finished] == [Mark.UNKNOWN] * 3 + [Mark.OK]
    assert [one.result.finding for one in shown] == [
        "This step failed: ZeroDivisionError: by zero",
        "No permission.",
        "This step did not finish within 0.05 s.",
        "fine",
    ]


async def test_cancelled_step_cleans_up() -> None:
    """A step that is cancelled finishes its cleaning before the command ends, also if that fails."""
    cleaned = []
    logged: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context["message"]))

    async def cleans(context: Any) -> Result:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            cleaned.append(True)
            raise ConnectionError("the cluster does not answer")

    running = asyncio.ensure_future(run_step(step(cleans), None))  # type: ignore[arg-type]
    await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    assert cleaned == [True]
    del running
    gc.collect()
    assert logged == []


def test_text() -> None:
    """The text has the property as XML to copy, no colours outside of a terminal, and no control characters."""
    stream = io.StringIO()
    report = TextReport(stream)
    finished = Finished(step(None), wrong("It\x1b[31m is wrong.", FIX, commands=("yarn x",)), 0.5)
    report.step(finished)
    report.end([finished])
    text = stream.getvalue()
    assert "<property><name>hadoop.proxyuser.hub.users</name><value>alice,&lt;b&gt;</value></property>" in text
    assert "Set in core-site.xml:" in text
    assert "\x1b" not in text
    assert text.endswith("0 ok, 1 wrong, 0 warning, 0 unknown\n")


def test_json() -> None:
    """The JSON document says whether all is well, and has each step."""
    document = as_document([Finished(step(None), wrong("bad", FIX), 0.5)], user="alice")
    document = json.loads(json.dumps(document))
    assert document["ok"] is False
    assert document["counts"]["wrong"] == 1
    assert document["steps"][0]["set"] == [
        {"file": "core-site.xml", "property": "hadoop.proxyuser.hub.users", "value": "alice,<b>"}
    ]


def test_ticket_time() -> None:
    """The KDC's clock is read from klist's list, as MIT's klist printed it."""
    listed = (
        "Ticket cache: FILE:/tmp/cc\nDefault principal: jupyterhub@EXAMPLE.COM\n\n"
        "Valid starting     Expires            Service principal\n"
        "11/27/26 12:52:01  11/28/26 12:52:01  krbtgt/EXAMPLE.COM@EXAMPLE.COM\n"
    )
    first = ticket_time(listed, 0)
    assert first is not None
    assert ticket_time(listed, first - 30) == 30
    assert ticket_time("klist: No credentials cache found", 0) is None
