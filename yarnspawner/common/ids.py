"""YARN's ids."""

from __future__ import annotations

import re

APPLICATION_ID = re.compile(r"application_\d{1,19}_\d{1,10}", re.ASCII)


def is_application_id(text: str) -> bool:
    """Return True for an application id such as ``application_1763890000000_0001``."""
    return APPLICATION_ID.fullmatch(text) is not None


def checked_application_id(text: str) -> str:
    """Return the text if it is an application id.

    Raises:
        ValueError: it is not. Otherwise it could change the path of a URL or add options to a command.
    """
    if not is_application_id(text):
        raise ValueError(f"not an application id: {text!r}")
    return text
