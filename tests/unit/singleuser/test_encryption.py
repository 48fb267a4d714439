"""When the kernels of a server are encrypted."""

from __future__ import annotations

import pytest
import zmq
from jupyter_client.manager import KernelManager
from jupyter_server.services.kernels.kernelmanager import MappingKernelManager
from traitlets.config import Config

from yarnspawner.singleuser.encryption import encrypt_kernels


def test_an_unset_encryption_is_automatic() -> None:
    """Other settings of the same classes do not count as one of the encryption."""
    config = Config({"KernelManager": {"transport": "tcp"}})
    assert encrypt_kernels(config) == {"KernelManager": {"transport_encryption": "auto"}}


@pytest.mark.parametrize("cls", ["KernelManager", "AsyncIOLoopKernelManager", "MappingKernelManager"])
def test_a_setting_of_any_class_counts(cls: str) -> None:
    """Whoever sets the encryption decides, for whichever class."""
    assert encrypt_kernels(Config({cls: {"transport_encryption": "disabled"}})) == {}


@pytest.mark.parametrize("old", [KernelManager, MappingKernelManager])
def test_versions_that_cannot_encrypt_are_left_alone(monkeypatch: pytest.MonkeyPatch, old: type) -> None:
    """An older jupyter_client or jupyter_server gets no setting that it does not know."""
    monkeypatch.setattr(old, "class_traits", classmethod(lambda cls: {}))
    assert encrypt_kernels(Config()) == {}


def test_a_pyzmq_without_curve_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """jupyter_client would refuse the setting, and no kernel would start."""
    monkeypatch.setattr(zmq, "has", lambda capability: False)
    assert encrypt_kernels(Config()) == {}
