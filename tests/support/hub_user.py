"""A user of a hub who speaks to its API as the pages' scripts do, for several servers at a time."""

from __future__ import annotations

import contextlib
import html
import re
import time
from collections.abc import Callable
from http.client import BAD_REQUEST
from typing import Any

import requests

from demo.visitor import AnswerError, VisitError, Visitor
from localhadoop import LocalHadoop

# Seconds; the machine may be busy with the clusters of other tests.
START = 180.0
END = 60.0


class HubUser(Visitor):
    """Logged in from the beginning. Waits raise :class:`VisitError` when their time is over."""

    def __init__(self, address: str, name: str, password: str) -> None:
        super().__init__(address, name, password)
        self._opened = False
        self.log_in()

    def run(self, code: str, timeout: float = START) -> str:
        """Run a cell in the default server's kernel and return what it prints."""
        if not self._opened:
            # The server wants to know from the hub who that is.
            self.open_lab()
            self._opened = True
        return super().run(code, timeout)

    def take_kernel_of(self, other: HubUser) -> None:
        """Go on in the kernel of an earlier visit."""
        self._kernel = other._kernel

    def ask_to_start(self, server: str = "", options: dict[str, Any] | None = None, *, wait: float = 1) -> None:
        """Ask for a start and do not wait for it, but up to ``wait`` seconds for the hub's answer."""
        headers = {"X-XSRFToken": self._token("/hub/")}
        with contextlib.suppress(requests.ReadTimeout):
            # The hub answers after ten seconds, or when the server is there; the start goes on also if nobody listens.
            address = self._url(self._path(server))
            self._check(self._session.post(address, json=options or {}, headers=headers, timeout=(10, wait)))

    def ask_to_stop(self, server: str = "") -> None:
        """Ask for a stop, also of a server that is starting, and do not wait for it."""
        self._call("DELETE", self._path(server))

    def servers(self) -> dict[str, dict[str, Any]]:
        """What the hub says of the user's servers, by their names."""
        found: dict[str, dict[str, Any]] = self._call("GET", f"/hub/api/users/{self.name}")["servers"]
        return found

    def wait_ready(self, *servers: str, timeout: float = START) -> None:
        """Wait until all these servers are ready; one that fails raises what its user is told."""
        wanted = servers or ("",)
        seen: set[str] = set()

        def ready() -> bool:
            there = self.servers()
            for name in seen - there.keys():
                raise VisitError(f"not ready: {self.refusal(name)}")
            seen.update(there.keys() & set(wanted))
            return all(there.get(name, {}).get("ready") for name in wanted)

        until(ready, timeout, "ready")

    def wait_gone(self, *servers: str, timeout: float = END) -> None:
        """Wait until none of these servers is there."""
        wanted = servers or ("",)
        until(lambda: not any(name in self.servers() for name in wanted), timeout, "gone")

    def wait_told(self, words: str, server: str = "", timeout: float = START) -> str:
        """Follow the page of a start until it says these words; the whole sentence."""
        told = []
        for event in self._told(server, timeout):
            told.append(str(event["message"]))
            if words in told[-1]:
                return told[-1]
        raise VisitError(f"told was {told}, and not {words!r}")

    def page(self, path: str) -> str:
        """The text that a page shows, whatever its status."""
        shown = self._session.get(self._url(path), timeout=60).text
        return html.unescape(" ".join(re.sub("(?s)<script.*?</script>|<[^>]*>", " ", shown).split()))

    def failure(self, timeout: float = START, options: dict[str, Any] | None = None) -> str:
        """Start a server that cannot start; what the user is told."""
        address = self._url(self._path(""))
        answer = self._session.post(
            address, json=options or {}, headers={"X-XSRFToken": self._token("/hub/")}, timeout=60
        )
        if answer.status_code >= 400:
            return str(answer.json()["message"])
        return self.refusal("", timeout)

    def refusal(self, server: str, timeout: float = START) -> str:
        """What the user is told of a start that fails, also when it has failed already."""
        end = time.monotonic() + timeout
        event: dict[str, Any] = {}
        while time.monotonic() < end and not event.get("ready"):
            try:
                for event in self._told(server, end - time.monotonic()):
                    if event.get("failed"):
                        return str(event["message"])
            except AnswerError as error:
                if error.status != BAD_REQUEST:
                    raise
                # JupyterHub stops what has failed, and says until that is done that nothing is starting.
                time.sleep(0.2)
        raise VisitError(f"{server} did not fail: {event}")


def until(holds: Callable[[], object], timeout: float, what: str) -> None:
    """Wait until something holds."""
    end = time.monotonic() + timeout
    while not holds():
        if time.monotonic() > end:
            raise VisitError(f"not {what} after {timeout:.0f} s")
        time.sleep(0.2)


def applications(cluster: LocalHadoop, user: str = "") -> dict[str, str]:
    """The states of a user's applications, in YARN's words, by their ids."""
    return {app["id"]: app["state"] for app in cluster.applications() if user in ("", app["user"])}


def unfinished(cluster: LocalHadoop, user: str = "") -> list[str]:
    """A user's applications that have not ended."""
    return [
        name for name, state in applications(cluster, user).items() if state not in ("FINISHED", "FAILED", "KILLED")
    ]
