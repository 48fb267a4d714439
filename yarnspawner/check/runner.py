"""Run the steps one after the other. No step can end the command."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from yarnspawner.check.context import CheckContext
from yarnspawner.check.result import Finished, Mark, NotUsed, Result, Step, Unknown
from yarnspawner.common.tasks import consume_exception
from yarnspawner.common.text import one_line

_FINDING = 2000


async def run_steps(steps: Iterable[Step], context: CheckContext, report: Callable[[Finished], None]) -> list[Finished]:
    """Run all steps and report each as it finishes.

    - A step that exceeds its time limit or raises an exception is *unknown*.
    - A cancellation ends the step in progress, which cleans up, and then the run.
    """
    finished = []
    for step in steps:
        since = time.monotonic()
        result = await run_step(step, context)
        finished.append(Finished(step, result, time.monotonic() - since))
        report(finished[-1])
    return finished


async def run_step(step: Step, context: CheckContext) -> Result:
    """Run one step and return its result, whatever happens."""
    running = asyncio.ensure_future(step.run(context))
    running.add_done_callback(consume_exception)
    try:
        done, _ = await asyncio.wait([running], timeout=step.timeout)
    except asyncio.CancelledError:
        running.cancel()
        await asyncio.wait([running])
        raise
    if not done:
        running.cancel()
        await asyncio.wait([running])
    try:
        return running.result()
    except asyncio.CancelledError:
        return Result(Mark.UNKNOWN, f"This step did not finish within {step.timeout:g} s.")
    except NotUsed as error:
        return Result(Mark.OK, one_line(f"Not used: {error}", _FINDING))
    except Unknown as error:
        return Result(Mark.UNKNOWN, one_line(str(error), _FINDING))
    except Exception as error:  # noqa: BLE001 - one step must not end the others
        return Result(Mark.UNKNOWN, one_line(f"This step failed: {type(error).__name__}: {error}", _FINDING))
