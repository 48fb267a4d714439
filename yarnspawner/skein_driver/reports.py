"""What YARN says of applications, nodes and queues, read from skein's messages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from hashlib import blake2b
from typing import Any

from skein.proto import skein_pb2 as messages

_ENDED = frozenset({"FINISHED", "FAILED", "KILLED"})


@dataclass(frozen=True, slots=True)
class Report:
    """What YARN says of an application. Texts that YARN gives as "N/A" are empty."""

    id: str
    user: str = ""
    name: str = ""
    queue: str = ""
    state: str = "NEW"  # YARN's word: NEW, NEW_SAVING, SUBMITTED, ACCEPTED, RUNNING, FINISHED, FAILED or KILLED
    final_status: str = "UNDEFINED"  # until it has ended, then SUCCEEDED, FAILED or KILLED
    host: str = ""  # what the application master, which is the user's own process, says of itself
    rpc_port: int = 0  # the same; 0 when there is none
    tracking_url: str = ""
    diagnostics: str = ""
    tags: frozenset[str] = frozenset()  # in lower case, as YARN keeps them; anyone may give any tag to an application
    started: datetime | None = None
    finished: datetime | None = None

    @property
    def ended(self) -> bool:
        return self.state in _ENDED

    @classmethod
    def read(cls, message: Any) -> Report:
        """Read skein's ApplicationReport."""
        return cls(
            id=message.id,
            user=message.user,
            name=message.name,
            queue=message.queue,
            state=_STATES[message.state],
            final_status=_FINAL_STATUSES[message.final_status],
            host=_given(message.host),
            rpc_port=max(message.port, 0),
            tracking_url=_given(message.tracking_url),
            diagnostics=_given(message.diagnostics),
            tags=frozenset(message.tags),
            started=_time(message.start_time),
            finished=_time(message.finish_time),
        )


class ReportLists:
    """Reads one list of applications after another, and only what has changed since the last: thousands take 0.1 s."""

    def __init__(self) -> None:
        self._last: dict[bytes, Report] = {}

    def read(self, answer: bytes) -> list[Report]:
        """Read skein's ApplicationsResponse."""
        known: dict[bytes, Report] = {}
        for message in messages.ApplicationsResponse.FromString(answer).reports:
            # They differ each time, and no report has them.
            message.ClearField("usage")
            message.ClearField("progress")
            content = message.SerializeToString(deterministic=True)
            # A digest, since nobody needs the bytes of thousands of reports again.
            content = blake2b(content, digest_size=16).digest()
            known[content] = self._last.get(content) or Report.read(message)
        self._last = known
        return list(known.values())


@dataclass(frozen=True)
class ClusterNode:
    """A NodeManager: its host, its web address (``host:port``), and YARN's word for its state (RUNNING, LOST, ...)."""

    host: str
    http_address: str
    state: str

    @classmethod
    def read(cls, message: Any) -> ClusterNode:
        """Read skein's NodeReport, whose id is ``host:port``."""
        return cls(message.id.rpartition(":")[0], message.http_address, messages.NodeState.Type.Name(message.state))


@dataclass(frozen=True)
class Queue:
    """A queue: RUNNING or STOPPED, and in percent what it is guaranteed, may grow to, and uses of its guarantee."""

    name: str
    state: str
    capacity: float
    max_capacity: float
    used: float

    @classmethod
    def read(cls, message: Any) -> Queue:
        """Read skein's Queue."""
        state = messages.Queue.State.Name(message.state)
        return cls(message.name, state, message.capacity, message.max_capacity, message.percent_used)


_STATES = {value: name for name, value in messages.ApplicationState.Type.items()}
_FINAL_STATUSES = {value: name for name, value in messages.FinalStatus.Type.items()}


def _given(text: str) -> str:
    return "" if text == "N/A" else text


def _time(milliseconds: int) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc) if milliseconds > 0 else None
