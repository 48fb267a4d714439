"""When the kernels of a server are encrypted."""

from __future__ import annotations

import pytest
import zmq
from jupyter_client.manager import KernelManager
from jupyter_server.services.kernels.kernelmanager import MappingKernelManager
from traitlets.config import Config

from yarnspawner.singleuser.encryption import encrypt_kernels


def test_unset_encryption() -> None:
    """Unset encryption is automatic; other settings of the same classes do not count as one of the encryption."""
    config = Config({"KernelManager": {"transport": "tcp"}})
    assert encrypt_kernels(config) == {"KernelManager": {"transport_encryption": "auto"}}


@pytest.mark.parametrize("cls", ["KernelManager", "AsyncIOLoopKernelManager", "MappingKernelManager"])
def test_a_setting_of_any_class_counts(cls: str) -> None:
    """A setting of the encryption decides, in whichever class it is."""
    assert encrypt_kernels(Config({cls: {"transport_encryption": "disabled"}})) == {}


@pytest.mark.parametrize("old", [KernelManager, MappingKernelManager])
def test_versions_without_encryption(monkeypatch: pytest.MonkeyPatch, old: type) -> None:
    """An older jupyter_client or jupyter_server gets no setting that it does not know."""
    monkeypatch.setattr(old, "class_traits", classmethod(lambda cls: {}))
    assert encrypt_kernels(Config()) == {}


def test_pyzmq_without_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without CURVE in pyzmq, there is no setting: jupyter_client would refuse it, and no kernel would start."""
    monkeypatch.setattr(zmq, "has", lambda capability: False)
    assert encrypt_kernels(Config()) == {}
