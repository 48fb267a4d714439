"""The YARN application tags by which a hub finds its applications."""

from __future__ import annotations

import hashlib


def hub_tag(hub_id: str) -> str:
    """Return the tag of all applications of a hub."""
    return _tag("hub", hub_id)


def user_tag(hub_id: str, user: str) -> str:
    """Return the tag of all applications of a user. ``user`` is JupyterHub's name."""
    return _tag("user", hub_id, user)


def server_tag(hub_id: str, user: str, server: str) -> str:
    """Return the tag of all starts of a server. ``server`` is its name, "" for the default server."""
    return _tag("server", hub_id, user, server)


def start_tag(start_id: str) -> str:
    """Return the tag of one start."""
    return _tag("start", start_id)


def server_tags(hub_id: str, user: str, server: str, start_id: str) -> frozenset[str]:
    """Return all tags of a server's application."""
    return frozenset([hub_tag(hub_id), user_tag(hub_id, user), server_tag(hub_id, user, server), start_tag(start_id)])


def has_server_tags(tags: frozenset[str]) -> bool:
    """Return True if there is a tag of each type, as every server's application has."""
    return all(
        any(tag.startswith(f"yarnspawner-{kind}-") for tag in tags) for kind in ("hub", "user", "server", "start")
    )


def _tag(kind: str, *names: str) -> str:
    """Return a tag that identifies exactly these names.

    Names are hashed. YARN converts tags to lower case, allows ASCII and 100 characters, and separates them by commas
    (``ApplicationSubmissionContext.setApplicationTags``). The hashes of two names differ even if only their case differs.
    """
    digest = hashlib.sha256("\0".join(names).encode()).hexdigest()
    return f"yarnspawner-{kind}-{digest[:32]}"
