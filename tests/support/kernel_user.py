"""A user of a hub who runs kernels in containers of their own."""

from __future__ import annotations

import html
import json
import re
import time
from contextlib import closing, suppress
from typing import Any

import requests
import websocket

from demo.visitor import VisitError
from tests.support.hub_user import START, HubUser, until


class KernelUser(HubUser):
    """Works with several kernels of the default server at a time."""

    def kernelspecs(self) -> dict[str, str]:
        """Display names in the launcher, by name."""
        self.open_lab()
        found = self._call("GET", f"/user/{self.name}/api/kernelspecs")["kernelspecs"]
        return {name: one["spec"]["display_name"] for name, one in found.items()}

    def start_kernel(self, name: str) -> str:
        """Start a notebook's kernel, and return its id.

        Raises:
            VisitError: with what the user is told.
        """
        notebook = {
            "path": f"{name}-{time.monotonic()}.ipynb",
            "type": "notebook",
            "name": "",
            "kernel": {"name": name},
        }
        answer = self._request("POST", "sessions", notebook)
        if answer.status_code >= 400:
            raise VisitError(str(answer.json()["message"]))
        return str(answer.json()["kernel"]["id"])

    def execute(self, kernel: str, code: str, timeout: float = 60) -> str:
        """Run a cell in a kernel, and return what it prints."""
        with closing(self._connected(kernel, timeout)) as connection:
            return self._execute(connection, code, timeout)

    def crash(self, kernel: str, code: str, state: str, timeout: float = 60) -> float:
        """Run a cell that ends the kernel; the seconds until the notebook shows a state."""
        with closing(self._connected(kernel, timeout)) as connection:
            start = time.monotonic()
            with suppress(websocket.WebSocketTimeoutException):
                self._send(connection, code)
                while time.monotonic() < start + timeout:
                    message = json.loads(connection.recv())
                    if message["content"].get("execution_state") == state:
                        return time.monotonic() - start
        raise VisitError(f"the kernel is not {state} after {timeout:.0f} s")

    def _connected(self, kernel: str, timeout: float) -> websocket.WebSocket:
        path = f"/user/{self.name}/api/kernels/{kernel}/channels"
        return websocket.create_connection(
            self._url(path).replace("http", "ws", 1),
            cookie=self._cookies(path),
            timeout=timeout,
            http_no_proxy=["127.0.0.1"],
        )

    def kernel(self, kernel: str) -> dict[str, Any] | None:
        """What Jupyter Server says of a kernel; None if it has shut it down."""
        answer = self._request("GET", f"kernels/{kernel}")
        found: dict[str, Any] | None = answer.json() if answer.status_code == 200 else None
        return found

    def ask_kernel(self, kernel: str, action: str) -> None:
        """Choose "Interrupt Kernel" or "Restart Kernel"."""
        self._check(self._request("POST", f"kernels/{kernel}/{action}", {}))

    def shut_down(self, kernel: str) -> None:
        self._check(self._request("DELETE", f"kernels/{kernel}"))

    def wait_state(self, kernel: str, *states: str, timeout: float = START) -> float:
        """Wait until Jupyter Server says that a kernel is in one of these states; the seconds it took."""
        start = time.monotonic()
        until(lambda: (self.kernel(kernel) or {}).get("execution_state") in states, timeout, " or ".join(states))
        return time.monotonic() - start

    def begin(self, kernel: str, code: str) -> None:
        """Run a cell, and leave before it ends."""
        with closing(self._connected(kernel, 60)) as connection:
            request = self._send(connection, code)
            while True:
                message = json.loads(connection.recv())
                if message["msg_type"] == "execute_input" and message["parent_header"].get("msg_id") == request:
                    return

    def sessions(self) -> dict[str, tuple[str, str]]:
        """For each kernel with a notebook, the session's id and the notebook's path."""
        found = self._call("GET", f"/user/{self.name}/api/sessions")
        return {one["kernel"]["id"]: (one["id"], one["path"]) for one in found}

    def server_began(self) -> str:
        """When the Jupyter server's process began to serve."""
        return str(self._call("GET", f"/user/{self.name}/api/status")["started"])

    def restart_jupyter(self) -> str:
        """Follow the home page's button, press the one of its page, and return what that says."""
        path = re.search(r'href="(/hub/restart-jupyter/[^"]+)"', self._get("/hub/home").text)
        assert path, "no button"
        form = re.search(r'name="_xsrf" value="([^"]+)"', self._get(path[1]).text)
        assert form
        address = self._url(path[1])
        answer = self._session.post(address, data={"_xsrf": form[1]}, headers={"Referer": address}, timeout=200)
        said = re.search(r'<p class="alert[^>]*>(.*?)</p>', answer.text, re.DOTALL)
        assert said, answer.text
        return " ".join(html.unescape(said[1]).split())

    def kernels_page(self) -> str:
        """The server's page of its kernels in containers."""
        answer = self._session.get(self._url(self._page), timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.text

    def press_stop(self, kernel: str) -> None:
        """Press a kernel's Stop button on that page."""
        form = re.search(r'name="_xsrf"[^>]*value="([^"]+)"', self.kernels_page())
        assert form
        address = self._url(self._page)
        data = {"_xsrf": html.unescape(form[1]), "kernel": kernel}
        answer = self._session.post(address, data=data, headers={"Referer": address}, timeout=200)
        assert answer.status_code == 200, answer.text

    def press_stop_elsewhere(self, kernel: str) -> int:
        """The status of such a request from another site, without the form's protection."""
        return self._session.post(self._url(self._page), data={"kernel": kernel}, timeout=60).status_code

    @property
    def _page(self) -> str:
        return f"/user/{self.name}/yarnspawner/kernels"

    def _request(self, method: str, path: str, document: Any = None) -> requests.Response:
        address = self._url(f"/user/{self.name}/api/{path}")
        headers = {"X-XSRFToken": self._token(f"/user/{self.name}/"), "Referer": address}
        return self._session.request(method, address, json=document, headers=headers, timeout=200)
