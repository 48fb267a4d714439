"""gRPC, imported so that the processes it runs in can start others."""

from __future__ import annotations

import os

_SETTINGS = {
    # Its handlers of a fork are for children that go on with gRPC; ours run another program. With them, a child that
    # pexpect or ptyprocess starts (Jupyter's terminals, a notebook's `!ls`, an authenticator's kinit) dies now and then
    # before it is that program, if a call is under way: 12 of 150 with four threads that call.
    "GRPC_ENABLE_FORK_SUPPORT": "0",
    # Its core writes lines of its own for what a user's container does wrong; what matters comes as an exception.
    "GRPC_VERBOSITY": "NONE",
}


def import_grpc() -> None:
    """Import gRPC, before skein does.

    It reads its settings from the environment once, when it is imported; what is set there already holds. The environment
    is left as it was: a user's own programs are not to inherit these.
    """
    added = _SETTINGS.keys() - os.environ.keys()
    os.environ.update({name: _SETTINGS[name] for name in added})
    try:
        import grpc  # noqa: F401
    finally:
        for name in added:
            del os.environ[name]
