"""Ports to listen on."""

from __future__ import annotations

import errno
import secrets
import socket
from collections.abc import Iterable

from yarnspawner.singleuser.failure import RecipeError

PORT_RANGE_VARIABLE = "YARNSPAWNER_PORT_RANGE"
"""``first:last``, both included: the ports that a firewall lets through. Unset or empty: any free port."""

ANY_PORT = (0,)
"""The system chooses the port."""


class ListenError(RecipeError):
    """No port is available; the message gives the reason."""


def parse_port_range(text: str, source: str = PORT_RANGE_VARIABLE) -> Iterable[int]:
    """Return the ports to try, in order.

    They start at a random one, so that servers that start on one node at a time do not all try the same ones.

    Args:
        text: ``first:last``; "" for any.
        source: where it was given, for the message.

    Raises:
        ListenError: not of the form ``first:last``, or not 1 <= first <= last <= 65535.
    """
    if not text:
        return ANY_PORT
    try:
        first, last = (int(number) for number in text.split(":"))
    except ValueError:
        first, last = 0, 0
    if not 1 <= first <= last <= 65535:
        raise ListenError(f"{source} is {text!r}, which is not a range of ports such as 40000:40100")
    start = first + secrets.randbelow(last - first + 1)
    return [*range(start, last + 1), *range(first, start)]


def bind_first_free_port(address: str, ports: Iterable[int]) -> list[socket.socket]:
    """Return sockets that listen on the first free port, on all addresses of ``address``.

    There is no moment between trying a port and having it. "" stands for all interfaces.

    Raises:
        ListenError: no port is free, or none may be listened on.
    """
    # Late, since the kernel's recipe needs this module but not this function.
    from tornado.netutil import bind_sockets

    tried = list(ports)
    for port in tried:
        try:
            return bind_sockets(port, address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise ListenError(f"Cannot listen on port {port} of {address or 'any address'}: {error}.") from error
    if len(tried) == 1:
        raise ListenError(f"Port {tried[0]} is in use on this node.")
    raise ListenError(f"All of the ports {min(tried)} to {max(tried)} are in use on this node.")
