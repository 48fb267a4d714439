"""A user who presses Start and watches the clock."""

from __future__ import annotations

import json
import time
from functools import partial
from typing import Any

import requests

from benchmarks.clusters import until
from demo.hub import Hub
from demo.visitor import VisitError, Visitor


class Person(Visitor):
    """A user who is logged in, and who starts servers by the hub's API."""

    def __init__(self, hub: Hub, name: str) -> None:
        super().__init__(hub.address, name, hub.password)
        self.log_in()

    def new_token(self) -> str:
        """A token of the user's own, good for the user's servers."""
        made: dict[str, Any] = self._call("POST", f"/hub/api/users/{self.name}/tokens", {"note": "benchmark"})
        return str(made["token"])

    def start(self, timeout: float = 300) -> tuple[float, float, float]:  # type: ignore[override]
        """Ask for a start and follow the page's progress.

        Returns:
            When it was asked for, when the hub saw the address, and when it was ready, in seconds since the epoch.
        """
        seen = 0.0
        asked = time.time()
        self._post_start()
        with self._session.get(
            self._url(f"/hub/api/users/{self.name}/server/progress"),
            headers={"X-XSRFToken": self._token("/hub/"), "Accept": "text/event-stream"},
            stream=True,
            timeout=60,
        ) as stream:
            self._check(stream)
            for raw in stream.iter_lines(chunk_size=1):
                if not raw.startswith(b"data:"):
                    continue
                event = json.loads(raw.removeprefix(b"data:"))
                if event.get("failed"):
                    raise VisitError(event["message"])
                if event["progress"] == 90:
                    seen = time.time()
                if event.get("ready"):
                    return asked, seen, time.time()
                if time.time() > asked + timeout:
                    break
        raise VisitError(f"the server is not ready after {timeout:.0f} s")

    def start_many(self, servers: int, timeout: float, *, at_once: int) -> None:
        """Start named servers, so many at a time, and wait until all are ready."""
        for first in range(0, servers, at_once):
            last = min(first + at_once, servers)
            for number in range(first, last):
                self._call("POST", f"/hub/api/users/{self.name}/servers/s{number}", {})
            until(partial(self._are_ready, last), timeout, "servers to be ready", pause=0.5)

    def start_kernels(self, servers: int, kernels: int, name: str, timeout: float) -> None:
        """Start so many kernels in each of the servers of `start_many`."""
        headers = {"Authorization": f"token {self.new_token()}"}
        for number in range(servers):
            for _ in range(kernels):
                url = self._url(f"/user/{self.name}/s{number}/api/kernels")
                self._check(requests.post(url, json={"name": name}, headers=headers, timeout=timeout))

    def _are_ready(self, servers: int) -> bool:
        return servers == sum(bool(server["ready"]) for server in self._servers().values())

    def stop_many(self, timeout: float) -> None:
        """Stop all of the user's servers, and wait until they are gone."""
        for name, server in self._servers().items():
            if server["ready"]:
                self._call("DELETE", f"/hub/api/users/{self.name}/servers/{name}")
        until(
            lambda: not any(server["ready"] for server in self._servers().values()),
            timeout,
            "servers to be gone",
            pause=0.5,
        )

    def _servers(self) -> dict[str, dict[str, Any]]:
        user: dict[str, Any] = self._call("GET", f"/hub/api/users/{self.name}?include_stopped_servers")
        return dict(user["servers"])

    def _post_start(self) -> None:
        """As the page does, which does not wait for the start's end: the hub answers the API only after a while."""
        answer = self._session.post(
            self._url(f"/hub/spawn/{self.name}"),
            params={"_xsrf": self._token("/hub/")},
            headers={"Referer": self.address},
            timeout=60,
            allow_redirects=False,
        )
        self._check(answer)
