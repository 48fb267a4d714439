"""Reports of applications and nodes, read from skein's messages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from hashlib import blake2b
from typing import Any

from skein.proto import skein_pb2 as messages

_ENDED = frozenset({"FINISHED", "FAILED", "KILLED"})


@dataclass(frozen=True, slots=True)
class Report:
    """YARN's report of an application. Texts that YARN reports as "N/A" are empty.

    Attributes:
        id: application id.
        user: Hadoop user that it runs as.
        name: name of the application.
        queue: queue that it was submitted to.
        state: NEW, NEW_SAVING, SUBMITTED, ACCEPTED, RUNNING, FINISHED, FAILED or KILLED.
        final_status: UNDEFINED until it has finished, then SUCCEEDED, FAILED or KILLED.
        host: host that the application master reports. It is the user's own process, so this is not trusted.
        rpc_port: port that the application master reports, 0 for none.
        diagnostics: YARN's messages.
        tags: lower-case tags. Any user may give an application any tag.
        started: start time, None if unknown.
        finished: finish time, None if it has not finished.
        memory_seconds: MiB of memory times seconds so far, 0 in lists.
        vcore_seconds: virtual cores times seconds so far, 0 in lists.
    """

    id: str
    user: str = ""
    name: str = ""
    queue: str = ""
    state: str = "NEW"
    final_status: str = "UNDEFINED"
    host: str = ""
    rpc_port: int = 0
    diagnostics: str = ""
    tags: frozenset[str] = frozenset()
    started: datetime | None = None
    finished: datetime | None = None
    memory_seconds: int = 0
    vcore_seconds: int = 0

    @property
    def ended(self) -> bool:
        """True if the application has finished."""
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
            host=_text(message.host),
            rpc_port=max(message.port, 0),
            diagnostics=_text(message.diagnostics),
            tags=frozenset(message.tags),
            started=_time(message.start_time),
            finished=_time(message.finish_time),
            memory_seconds=max(message.usage.memory_seconds, 0),
            vcore_seconds=max(message.usage.vcore_seconds, 0),
        )


class ReportLists:
    """Read successive lists of applications and reuse unchanged reports. A list of thousands takes 0.1 s."""

    def __init__(self) -> None:
        self._last: dict[bytes, Report] = {}

    def read(self, answer: bytes) -> list[Report]:
        """Read skein's ApplicationsResponse."""
        known: dict[bytes, Report] = {}
        for message in messages.ApplicationsResponse.FromString(answer).reports:
            # These fields change all the time, and `Report` does not have them.
            message.ClearField("usage")
            message.ClearField("progress")
            content = message.SerializeToString(deterministic=True)
            # A digest saves memory: the content itself is not needed again.
            content = blake2b(content, digest_size=16).digest()
            known[content] = self._last.get(content) or Report.read(message)
        self._last = known
        return list(known.values())


@dataclass(frozen=True)
class ClusterNode:
    """A node of the cluster, by the host name of its NodeManager."""

    host: str

    @classmethod
    def read(cls, message: Any) -> ClusterNode:
        """Read skein's NodeReport, whose id is ``host:port``."""
        return cls(message.id.rpartition(":")[0])


_STATES = {value: name for name, value in messages.ApplicationState.Type.items()}
_FINAL_STATUSES = {value: name for name, value in messages.FinalStatus.Type.items()}


def _text(text: str) -> str:
    return "" if text == "N/A" else text


def _time(milliseconds: int) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc) if milliseconds > 0 else None
