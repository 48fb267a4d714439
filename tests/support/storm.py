"""A storm: users who start, compute and stop in a loop, while the hub is killed again and again."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import BAD_REQUEST, INTERNAL_SERVER_ERROR
from typing import TypeVar

import requests
import websocket

from demo.hub import Hub
from demo.visitor import AnswerError, VisitError
from localhadoop import LocalHadoop
from tests.support.hub_user import START, HubUser, applications, until

# Seconds: the hub may be away, start with ten servers to look at, and make another proxy.
PATIENCE = 150.0
_PAUSE = 1.0
_HOLD = 120.0  # at most

# Looks at the hub's list in a row without a server, after which there is none.
_ABSENT = 5

# The hub or its proxy is away, or has just come back.
_AWAY = (requests.RequestException, websocket.WebSocketException, OSError, ValueError, VisitError)

_T = TypeVar("_T")


def patiently(do: Callable[[], _T]) -> _T:
    """Try again and again while the hub is away, as a person reloads a page; what a kernel itself says is its answer."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return do()
        except _AWAY as error:
            if time.monotonic() > end or "the cell failed" in str(error):
                raise
            time.sleep(_PAUSE)


@dataclass
class Storm:
    """What all users have part in.

    Attributes:
        kills: how often the hub was killed.
        over: set when its time is over, and each user keeps the server that is there.
        events: what has happened, with words for whoever looks into a failure.
    """

    cluster: LocalHadoop
    hub: Hub
    kills: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    began: float = field(default_factory=time.monotonic)
    events: list[tuple[str, str]] = field(default_factory=list)

    def note(self, kind: str, words: str) -> None:
        """Count an event, and print it."""
        self.events.append((kind, words))
        print(f"{time.monotonic() - self.began:5.0f} s  {kind}: {words}", flush=True)


class User:
    """Starts, computes and stops for as long as the storm lasts, and keeps the last server."""

    def __init__(self, name: str, storm: Storm, seed: int) -> None:
        self.name = name
        self.application = ""
        self._storm = storm
        self._chance = random.Random(f"{seed} {name}")  # noqa: S311 - no secret
        self._answer = 0
        self._since = 0

    def live(self) -> None:
        """Go on until the storm is over, or something goes wrong, which is noted."""
        while True:
            try:
                self.start()
                self.compute()
                self.hold()
                self.check()
                if self._storm.over.is_set():
                    return
                self.stop()
            except Exception as error:  # noqa: BLE001 - else it would be lost with the thread
                self._storm.note("failed", f"{self.name}: {type(error).__name__}: {error}")
                return

    def start(self) -> None:
        """Ask for a server until it is ready; what was submitted must come to a server."""
        self.come()
        before = self.submitted()
        began = time.monotonic()
        while True:
            kills = self._storm.kills
            patiently(self._ask)
            if self._arrives():
                break
            if self.submitted() != before or kills == self._storm.kills:
                raise VisitError(f"{self.submitted() - before} did not come to a server: {self._reason()}")
            self._storm.note("asked again", self.name)
        (self.application,) = self.submitted() - before
        self._storm.note("starts", f"{self.name}, {self.application}, after {time.monotonic() - began:.0f} s")

    def come(self) -> None:
        """Log in, as in a new browser."""
        hub = self._storm.hub
        self._member = patiently(lambda: HubUser(hub.address, self.name, hub.password))

    def submitted(self) -> set[str]:
        """The applications of this user that YARN has ever had."""
        return set(applications(self._storm.cluster, self.name))

    def _ask(self) -> None:
        try:
            self._member.ask_to_start(wait=30)
        except AnswerError as error:
            # An earlier request has come to the hub though its answer was lost, or the start has failed already.
            if error.status not in (BAD_REQUEST, INTERNAL_SERVER_ERROR):
                raise

    def _arrives(self) -> bool:
        """Wait until the server is ready; False if there is none any more."""
        absent = 0
        end = time.monotonic() + START + PATIENCE
        while absent < _ABSENT:
            if time.monotonic() > end:
                raise VisitError(f"not ready after {START + PATIENCE:.0f} s")
            server = patiently(self._member.servers).get("")
            if server is not None and server["ready"]:
                return True
            absent = absent + 1 if server is None else 0
            time.sleep(_PAUSE)
        return False

    def _reason(self) -> str:
        try:
            return self._member.refusal("", timeout=10)
        except _AWAY as error:
            return str(error)

    def compute(self) -> None:
        """Set a variable in a new kernel."""
        self._answer = self._chance.randrange(10**9)
        self._since = self._storm.kills
        patiently(lambda: self._member.run(f"answer = {self._answer}", timeout=60))

    def hold(self) -> None:
        """Do nothing for a while, half of the time until the hub has been killed."""
        if self._chance.random() < 0.5:
            until(lambda: self._storm.over.is_set() or self._storm.kills > self._since, _HOLD, "killed")
        self._storm.over.wait(self._chance.uniform(1, 10))

    def check(self) -> None:
        """See whether the same kernel has its variable still; what is lost is noted."""
        try:
            printed = patiently(lambda: self._member.run("print(answer)", timeout=60))
        except _AWAY as error:
            printed = f"{type(error).__name__}: {error}"
        if printed == f"{self._answer}\n":
            kills = self._storm.kills - self._since
            self._storm.note(
                "kernels checked after a kill" if kills else "kernels checked", f"{self.name}, {kills} kills"
            )
        else:
            self._storm.note("lost", f"{self.name}, {self.application}: {printed}")

    def stop(self) -> None:
        """Ask for a stop, again if the hub that was asked has died of it, and wait until the server is gone."""

        def gone() -> bool:
            server = self._member.servers().get("")
            if server is not None and server["ready"] and not server["pending"]:
                self._member.ask_to_stop()
            return server is None

        until(lambda: patiently(gone), PATIENCE, "gone")
        self._storm.note("stops", f"{self.name}, {self.application}")
        self.application = ""
