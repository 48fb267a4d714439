"""The cluster's own Kerberos."""

from __future__ import annotations

from typing import Any

from localhadoop.settings import REALM, Settings


def principal(user: str) -> str:
    return f"{user}@{REALM}"


def password(user: str) -> str:
    return user


def ticket(settings: Settings, user: str) -> dict[str, str]:
    raise NotImplementedError


def identity(user: str) -> dict[str, Any]:
    raise NotImplementedError


def create(settings: Settings) -> None:
    raise NotImplementedError
