"""The stored state of a server: what a restarted hub needs to find it and to talk to it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from yarnspawner.common.ids import APPLICATION_ID
from yarnspawner.common.notebook_storage import STORAGES
from yarnspawner.common.text import one_line
from yarnspawner.state.credentials import Credentials
from yarnspawner.state.seal import Seal, SealError

VERSION = 1

# Stricter patterns for some fields: the hub puts them into requests to YARN and redirects browsers to them.
_VALID = {
    "application_id": f"|{APPLICATION_ID.pattern}",
    "url": r"|https?://[A-Za-z0-9.:_\[\]-]+:\d{1,5}",
    "container": "master|service",
    "notebooks": "|".join(["", *STORAGES]),
}

# 9999-12-31T23:59:59Z, in seconds since 1970: Python's dates have four-digit years.
_LATEST_DATE = 253402300799


class StateError(ValueError):
    """A stored state cannot be used; the message is the reason."""


@dataclass(frozen=True, slots=True)
class ServerState:
    """A server, from just before its submission until its end.

    Attributes:
        start_id: id of this start. Its tag finds the application if the hub died before it learned the application's id.
        hadoop_user: Hadoop user that the application runs as.
        queue: queue that the application was submitted to.
        application_id: "" until YARN has accepted the submission.
        url: the server's address, "" until it is known.
        credentials: of the application's key-value store; None if they could not be unsealed.
        container: container that the server runs in, "master" or "service".
        ends: when the server's maximum lifetime ends, in seconds since 1970; 0 for no limit.
        stopping: True once a stop was requested. A restarted hub continues the stop.
        hub: id of the hub that started the server, "" if the state does not have it.
        notebooks: where the server's notebooks are, "" until that is known.
        settings: spawner settings that apply to this start only. They are sealed: an environment may contain secrets.
    """

    start_id: str
    hadoop_user: str
    queue: str
    credentials: Credentials | None
    application_id: str = ""
    url: str = ""
    container: str = "master"
    ends: float = 0
    stopping: bool = False
    hub: str = ""
    notebooks: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def new(
        cls,
        hadoop_user: str,
        queue: str,
        credentials: Credentials,
        *,
        container: str = "master",
        hub: str = "",
        settings: Mapping[str, Any] | None = None,
    ) -> ServerState:
        """Return the state of a server that is about to be submitted."""
        start_id = secrets.token_hex(16)
        return cls(start_id, hadoop_user, queue, credentials, container=container, hub=hub, settings=settings or {})

    @classmethod
    def recovered(cls, application_id: str, hadoop_user: str, queue: str) -> ServerState:
        """Return the state of a server whose stored state was lost.

        Such a server can be polled and killed. Its key-value store cannot be read: the credentials are lost.
        """
        return cls("", hadoop_user, queue, None, application_id)

    def with_application_id(self, application_id: str) -> ServerState:
        """Return a copy with the id of the application that YARN has accepted."""
        return replace(self, application_id=application_id)

    def with_end_time(self, ends: float) -> ServerState:
        """Return a copy with the time when the server's maximum lifetime ends, in seconds since 1970."""
        return replace(self, ends=ends)

    def with_url(self, url: str, notebooks: str = "") -> ServerState:
        """Return a copy with the address that the server has published, and where its notebooks are."""
        return replace(self, url=url, notebooks=notebooks or self.notebooks)

    def with_stop_requested(self) -> ServerState:
        """Return a copy of which a stop was requested."""
        return replace(self, stopping=True)

    def is_same(self, other: ServerState | None) -> bool:
        """Return True if the other state is of the same start."""
        return other is not None and (
            self.start_id == other.start_id if self.start_id else self.application_id == other.application_id
        )

    def public_dict(self) -> dict[str, Any]:
        """Return all fields except the secrets."""
        document: dict[str, Any] = {
            "version": VERSION,
            "start_id": self.start_id,
            "hadoop_user": self.hadoop_user,
            "queue": self.queue,
            "application_id": self.application_id,
            "url": self.url,
            "container": self.container,
            "ends": self.ends,
            "stopping": self.stopping,
            "hub": self.hub,
        }
        return {**document, "notebooks": self.notebooks} if self.notebooks else document

    def to_dict(self, seal: Seal) -> dict[str, Any]:
        """Return the document that JupyterHub stores in its database; its secrets are sealed."""
        document = self.public_dict()
        if self.credentials is not None:
            document["sealed"] = seal.seal(
                {
                    "certificate": self.credentials.certificate.decode(),
                    "key": self.credentials.key.decode(),
                    "settings": dict(self.settings),
                }
            )
        return document

    @classmethod
    def from_dict(cls, document: dict[str, Any], seal: Seal, *, hub_user: str) -> ServerState | None:
        """Read a stored state.

        - A state whose secrets cannot be unsealed still identifies its application, which can be polled and killed.
        - yarnspawner 0.4.0 stored only ``app_id``.

        Args:
            document: the state that JupyterHub has stored.
            seal: seal of the hub.
            hub_user: JupyterHub's name of the user. 0.4.0 ran applications under this name.

        Returns:
            The server, or None if the state describes none.

        Raises:
            StateError: the state was written by a later version, or is invalid.
        """
        if not isinstance(document, dict):
            raise StateError(f"it is invalid: {type(document).__name__} instead of a mapping")
        if "app_id" in document:
            document = _from_0_4_0(document, hub_user)
        if not document.get("version"):
            return None
        if document["version"] != VERSION:
            raise StateError(
                f"it has version {one_line(repr(document['version']), 100)}, but this yarnspawner reads version {VERSION}"
            )
        texts = {name: document.get(name) for name in ("start_id", "hadoop_user", "queue", "application_id", "url")}
        texts |= {"container": document.get("container", "master"), "hub": document.get("hub", "")}
        texts["notebooks"] = document.get("notebooks", "")
        for name, text in texts.items():
            if not isinstance(text, str) or (name in _VALID and not re.fullmatch(_VALID[name], text)):
                raise StateError(f"it is invalid: {name} is {one_line(repr(text), 100)}")
        ends = document.get("ends", 0)
        if isinstance(ends, bool) or not isinstance(ends, (int, float)) or not 0 <= ends <= _LATEST_DATE:
            raise StateError(f"it is invalid: ends is {one_line(repr(ends), 100)}")
        stopping = document.get("stopping") is True
        credentials, settings = cls._unseal(document, seal)
        known = {name: str(text) for name, text in texts.items()}
        return cls(credentials=credentials, ends=ends, stopping=stopping, settings=settings, **known)

    @staticmethod
    def _unseal(document: dict[str, Any], seal: Seal) -> tuple[Credentials | None, dict[str, Any]]:
        try:
            content = seal.unseal(document["sealed"])
            credentials = Credentials(content["certificate"].encode(), content["key"].encode())
            return credentials, dict(content.get("settings", {}))
        except (SealError, LookupError, AttributeError, TypeError, ValueError):
            return None, {}


def _from_0_4_0(document: dict[str, Any], hub_user: str) -> dict[str, Any]:
    if document["app_id"] in ("", "PENDING", None):
        return {}
    texts = {"start_id": "", "hadoop_user": hub_user, "queue": "", "url": ""}
    return {"version": VERSION, "application_id": document["app_id"], **texts}
