"""Encrypted connections between the server and its kernels.

Without them, the ports of a kernel are open to every account of the node. A kernel signs what it sends, which keeps others
from sending it code, but its output (IOPub) is readable without the key.
"""

from __future__ import annotations

import zmq
from jupyter_client.manager import KernelManager
from jupyter_server.services.kernels.kernelmanager import MappingKernelManager
from traitlets.config import Config

_SETTING = "transport_encryption"


def encrypt_kernels(config: Config) -> Config:
    """Return the settings that encrypt kernels' connections, to be added to a server's configuration.

    - empty if a user or admin has set ``transport_encryption`` for any class: their value counts, whatever it is
    - empty if this environment cannot encrypt: that takes jupyter_client 8.9, jupyter_server 2.20 and a pyzmq with CurveZMQ
    - a kernel whose kernelspec does not declare support (``metadata.supported_encryption``) starts without encryption
    """
    is_set = any(_SETTING in section for section in config.values() if isinstance(section, Config))
    is_possible = all(cls.class_traits().get(_SETTING) for cls in (KernelManager, MappingKernelManager))
    if is_set or not is_possible or not zmq.has("curve"):
        return Config()
    # Not of MappingKernelManager: what that one passes on would win over a kernel manager's own setting.
    return Config({"KernelManager": {_SETTING: "auto"}})
