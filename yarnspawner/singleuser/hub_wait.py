"""Wait for the hub: a start continues while the hub is down, and fails early if the hub's address is wrong."""

from __future__ import annotations

import asyncio
import errno
import http.client
import os
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from yarnspawner.singleuser.ancestors import Ancestors
from yarnspawner.singleuser.failure import RecipeError

LIMIT_VARIABLE = "YARNSPAWNER_START_TIMEOUT"
"""Timeout of a start in seconds, and of the wait for the hub."""

# Where the hub says nothing of it.
_DEFAULT_LIMIT = 60.0
# Seconds for one answer; between two attempts, at first and at most.
_PATIENCE = 10.0
_INTERVAL = 0.5
_LONGEST_INTERVAL = 5.0
# A wrong address is believed when it has been wrong so many times in a row, and for so many seconds: a proxy or a service
# before a hub that restarts has no name, no route or another certificate during the restart.
_SURE = 3
_SURE_AFTER = 40.0
# Answers of HTTP below 500 that say "later".
_LATER = (408, 425, 429)


class Wrong(Exception):
    """The hub's address is wrong, as far as one request can show."""


class Away(Exception):
    """The hub does not answer at the moment."""


async def find_hub(url: str, tell: Callable[[str], None], context: ssl.SSLContext | None = None) -> str:
    """Wait until the hub answers.

    Args:
        url: its API. Messages contain only its host and port.
        tell: takes a sentence for the user while it is away, and "" when it is there.
        context: for TLS; None for the system's certificates.

    Returns:
        the version that it says it has, "" for none.

    Raises:
        RecipeError: the address is wrong, or the time of the start is over.
    """
    parts = urlsplit(url)
    where = f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
    ancestors = Ancestors()
    until = time.monotonic() + _limit()
    pause, wrong, since = _INTERVAL, 0, 0.0
    while True:
        try:
            version = await asyncio.to_thread(_ask, url, context)
        except Away as error:
            wrong, found = 0, str(error)
        except Wrong as error:
            since = since if wrong else time.monotonic()
            wrong, found = wrong + 1, str(error)
        else:
            tell("")
            return version
        sure = wrong >= _SURE and time.monotonic() >= since + _SURE_AFTER
        if sure or time.monotonic() > until:
            raise RecipeError(f"Cannot connect to the hub at {where}: {found}.")
        if ancestors.changed:
            raise RecipeError("The application master has ended.")
        tell(f"The server's node cannot reach the hub at {where} yet ({found}); waiting.")
        await asyncio.sleep(min(pause, max(0.1, until - time.monotonic())))
        pause = min(1.5 * pause, _LONGEST_INTERVAL)


def context_of(keyfile: str, certfile: str, authority: str) -> ssl.SSLContext | None:
    """Return the TLS context of ``internal_ssl``; None if it is off."""
    if not keyfile or not certfile:
        return None
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=authority or None)
    context.load_cert_chain(certfile, keyfile)
    return context


def _limit() -> float:
    try:
        return float(os.environ[LIMIT_VARIABLE])
    except (KeyError, ValueError):
        return _DEFAULT_LIMIT


def _ask(url: str, context: ssl.SSLContext | None) -> str:
    """Send a request without a token, because another service may listen there."""
    parts = urlsplit(url)
    try:
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        more: dict[str, Any] = {"context": context} if parts.scheme == "https" and context else {}
        connection = kind(parts.hostname or "", parts.port, timeout=_PATIENCE, **more)
        try:
            connection.request("GET", parts.path or "/")
            answer = connection.getresponse()
            answer.read(1024)
        finally:
            connection.close()
    except socket.gaierror as error:
        raise (Away if error.errno == socket.EAI_AGAIN else Wrong)(
            f"its name is not known: {error.strerror}"
        ) from error
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError) as error:
        raise Away("it closed the connection") from error
    except ssl.SSLError as error:
        raise Wrong(
            f"TLS failed: {getattr(error, 'verify_message', '') or error.reason or 'no reason given'}"
        ) from error
    except OSError as error:
        raise Away(_words(error)) from error
    except http.client.IncompleteRead as error:
        raise Away("it closed the connection") from error
    except (http.client.HTTPException, ValueError) as error:
        raise Wrong("what answers there does not speak HTTP as a hub does") from error
    if answer.status >= 500 or answer.status in _LATER:
        raise Away(f"HTTP status {answer.status}")
    if answer.status >= 400:
        raise Wrong(f"HTTP status {answer.status}")
    return answer.headers.get("X-JupyterHub-Version") or ""


def _words(error: OSError) -> str:
    if isinstance(error, TimeoutError) or error.errno == errno.ETIMEDOUT:
        return "timed out"
    return os.strerror(error.errno) if error.errno else "it closed the connection"
