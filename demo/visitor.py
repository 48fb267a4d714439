"""A person in front of the hub, without the person: the requests that the pages make in a browser."""

from __future__ import annotations

import html
import json
import re
import time
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import requests
import websocket


class VisitError(Exception):
    """The hub or the server did not do what a person would expect; the words are the page's own where it has any."""


class AnswerError(VisitError):
    """An answer that says no."""

    def __init__(self, answer: requests.Response) -> None:
        path = answer.request.path_url.partition("?")[0]
        super().__init__(f"{answer.request.method} {path}: {answer.status_code} {answer.reason}")
        self.status = answer.status_code


class Visitor:
    """One user's visit, with the cookies of one browser. All waits are in seconds and raise :class:`VisitError`."""

    def __init__(self, address: str, name: str, password: str) -> None:
        self.address = address
        self.name = name
        self._password = password
        self._kernel = ""
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy stands between this machine and itself

    def log_in(self) -> None:
        """Fill in the login form and send it."""
        self._get("/hub/login")
        form = {"username": self.name, "password": self._password, "_xsrf": self._token("/hub/")}
        answer = self._session.post(self._url("/hub/login"), data=form, timeout=30)
        if answer.status_code >= 400 or "/hub/login" in answer.url:
            raise VisitError(f"{self.name} cannot log in: {answer.status_code} {answer.reason}")

    def start(self, timeout: float = 300) -> Iterator[str]:
        """Press "Start My Server", take what is offered first, and yield what the page says until the server is ready."""
        if 'id="spawn_form"' in self._get(f"/hub/spawn/{self.name}").text:
            self._choose_nothing()
        for event in self._told("", timeout):
            if event.get("failed"):
                raise VisitError(event["message"])
            yield event["message"]
            if event.get("ready"):
                return
        raise VisitError(f"the server is not ready after {timeout:.0f} s")

    def open_lab(self) -> str:
        """Open JupyterLab; returns the page's title."""
        page = self._get(f"/user/{self.name}/lab").text
        return page.partition("<title>")[2].partition("</title>")[0].strip()

    def run(self, code: str, timeout: float = 120) -> str:
        """Run a cell and return what it prints. The kernel stays: a variable is there in the next cell."""
        if not self._kernel:
            kernels = self._call("POST", f"/user/{self.name}/api/kernels", {})
            self._kernel = kernels["id"]
        path = f"/user/{self.name}/api/kernels/{self._kernel}/channels"
        connection = websocket.create_connection(
            self._url(path).replace("http", "ws", 1),
            cookie=self._cookies(path),
            timeout=timeout,
            http_no_proxy=["127.0.0.1"],
        )
        try:
            return self._execute(connection, code, timeout)
        except websocket.WebSocketTimeoutException:
            raise VisitError(f"the cell has not ended after {timeout:.0f} s") from None
        finally:
            connection.close()

    def stop(self, timeout: float = 90) -> None:
        """Press "Stop My Server" and wait until it is gone."""
        self._call("DELETE", f"/hub/api/users/{self.name}/server")
        end = time.monotonic() + timeout
        while self._call("GET", f"/hub/api/users/{self.name}")["servers"]:
            if time.monotonic() > end:
                raise VisitError(f"the server is not gone after {timeout:.0f} s")
            time.sleep(0.2)

    # -- Requests

    def _told(self, server: str, timeout: float) -> Iterator[dict[str, Any]]:
        """The events that the page of a start receives, until the last one or the time is over."""
        end = time.monotonic() + timeout
        headers = {"X-XSRFToken": self._token("/hub/"), "Accept": "text/event-stream"}
        # The hub sends a sign of life every few seconds.
        with self._session.get(
            self._url(f"{self._path(server)}/progress"), headers=headers, stream=True, timeout=60
        ) as stream:
            self._check(stream)
            for line in stream.iter_lines(chunk_size=1):
                if time.monotonic() > end:
                    return
                if line.startswith(b"data:"):
                    yield json.loads(line[5:])

    def _path(self, server: str) -> str:
        return f"/hub/api/users/{self.name}/" + (f"servers/{server}" if server else "server")

    def _choose_nothing(self) -> None:
        """Send the options page's form as it is."""
        answer = self._session.post(
            self._url(f"/hub/spawn/{self.name}"),
            params={"_xsrf": self._token("/hub/")},
            headers={"Referer": self.address},
            timeout=60,
        )
        if refusal := re.search(r'class="spawn-error-msg[^>]*>(.*?)</p>', answer.text, re.DOTALL):
            raise VisitError(html.unescape(refusal[1]).strip())
        self._check(answer)

    def _send(self, connection: websocket.WebSocket, code: str) -> str:
        """Send a cell to a kernel, and return the message's id."""
        request = uuid.uuid4().hex
        header = {"msg_id": request, "msg_type": "execute_request", "username": self.name, "session": request}
        header |= {"version": "5.3", "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        # After an error, a kernel aborts what it has received already, also the next cell of who saw the error.
        content = {"code": code, "silent": False, "allow_stdin": False, "stop_on_error": False}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        connection.send(json.dumps(message))
        return request

    def _execute(self, connection: websocket.WebSocket, code: str, timeout: float) -> str:
        request = self._send(connection, code)
        printed = []
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            answer = json.loads(connection.recv())
            if answer["parent_header"].get("msg_id") != request:
                continue
            content = answer["content"]
            if answer["msg_type"] == "stream":
                printed.append(content["text"])
            elif answer["msg_type"] == "error":
                raise VisitError(f"the cell failed: {content['ename']}: {content['evalue']}")
            elif answer["msg_type"] == "status" and content["execution_state"] == "idle":
                return "".join(printed)
        raise VisitError(f"the cell has not ended after {timeout:.0f} s")

    def _get(self, path: str) -> requests.Response:
        answer = self._session.get(self._url(path), timeout=60)
        self._check(answer)
        return answer

    def _call(self, method: str, path: str, document: Any = None) -> Any:
        """Make a request of the API as a page's script does; returns the JSON of the answer, None if it is empty."""
        scope = path if path.startswith("/hub/") else f"/user/{self.name}/"
        headers = {"X-XSRFToken": self._token(scope), "Referer": self._url(path)}
        answer = self._session.request(method, self._url(path), json=document, headers=headers, timeout=60)
        self._check(answer)
        return answer.json() if answer.content else None

    def _check(self, answer: requests.Response) -> None:
        if answer.status_code >= 400:
            raise AnswerError(answer)

    def _token(self, path: str) -> str:
        """The XSRF token of the hub's or the server's pages; there is one cookie for each."""
        path = "/hub/" if path.startswith("/hub/") else path
        token = self._session.cookies.get("_xsrf", path=path)
        return str(token) if token else ""

    def _cookies(self, path: str) -> str:
        request = requests.Request("GET", self._url(path), cookies=self._session.cookies)
        return str(self._session.prepare_request(request).headers["Cookie"])

    def _url(self, path: str) -> str:
        return urljoin(self.address, path)
