"""Import gRPC with settings that let its process start other programs."""

from __future__ import annotations

import os

_SETTINGS = {
    # gRPC's fork handlers serve children that keep using gRPC, but our children run another program. With the handlers,
    # a child that pexpect or ptyprocess starts (Jupyter's terminals, a notebook's `!ls`, an authenticator's kinit)
    # sometimes dies before it runs that program: 12 of 150 with four threads that call.
    "GRPC_ENABLE_FORK_SUPPORT": "0",
    # gRPC's core logs what a user's container does wrong to stderr. Failures that matter raise an exception.
    "GRPC_VERBOSITY": "NONE",
}


def import_grpc() -> None:
    """Import gRPC before skein does.

    gRPC reads its settings from the environment once, at import. Existing variables take precedence. The environment is
    restored afterwards, so a user's own programs do not inherit the settings.
    """
    added = _SETTINGS.keys() - os.environ.keys()
    os.environ.update({name: _SETTINGS[name] for name in added})
    try:
        import grpc  # noqa: F401
    finally:
        for name in added:
            del os.environ[name]
