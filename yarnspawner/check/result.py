"""The result of a step: a mark, what was found, and what to set."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from yarnspawner.check.context import CheckContext

# Seconds for a step. A JVM takes 2 s, or 15 s on a busy machine, and Hadoop's clients retry for half a minute.
STEP_TIMEOUT = 120.0


class Mark(str, Enum):
    """The mark of a step. Only ``wrong`` makes the command fail."""

    OK = "ok"
    WRONG = "wrong"
    WARNING = "warning"
    UNKNOWN = "unknown"


class Unknown(Exception):
    """The step cannot look at its subject. The message is the reason."""


class NotUsed(Exception):
    """The cluster does not use what the step checks. The message says why."""


@dataclass(frozen=True)
class Fix:
    """A property to set.

    Attributes:
        file: the file, and whose: ``yarn-site.xml of the ResourceManager``.
        name: name of the property.
        value: value to set.
    """

    file: str
    name: str
    value: str


@dataclass(frozen=True)
class Result:
    """What a step found.

    Attributes:
        mark: the mark.
        finding: one or two sentences.
        fixes: properties to set.
        commands: shell commands that an administrator can run.
        facts: further data for the JSON output and the support bundle.
    """

    mark: Mark
    finding: str
    fixes: tuple[Fix, ...] = ()
    commands: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One step of the check.

    Attributes:
        group: heading.
        name: short name.
        run: coroutine function that returns the result. It raises Unknown if it cannot look.
        timeout: seconds.
    """

    group: str
    name: str
    run: Callable[[CheckContext], Awaitable[Result]]
    timeout: float = STEP_TIMEOUT


@dataclass(frozen=True)
class Finished:
    """A finished step.

    Attributes:
        step: the step.
        result: its result.
        seconds: how long it took.
    """

    step: Step
    result: Result
    seconds: float


def ok(finding: str, **facts: Any) -> Result:
    """Return a result without a problem."""
    return Result(Mark.OK, finding, facts=facts)


def wrong(finding: str, *fixes: Fix, commands: tuple[str, ...] = (), **facts: Any) -> Result:
    """Return a result that keeps servers from working."""
    return Result(Mark.WRONG, finding, fixes, commands, facts)


def warning(finding: str, *fixes: Fix, commands: tuple[str, ...] = (), **facts: Any) -> Result:
    """Return a result that an administrator should know of."""
    return Result(Mark.WARNING, finding, fixes, commands, facts)
