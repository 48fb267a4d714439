"""What an admin sets."""

import pytest
from traitlets import TraitError

from yarnspawner import YarnSpawner
from yarnspawner.settings.server import ServerSettings

GIB = 2**30


def test_defaults_of_0_4_0():
    """The defaults of version 0.4.0 still hold."""
    settings = ServerSettings()
    assert (settings.queue, settings.mem_limit, settings.cpu_limit) == ("default", 2 * GIB, 1)
    assert settings.cmd == ["python -m yarnspawner.singleuser"]


@pytest.mark.parametrize("tags", [["a,b"], ["é"], [""], ["a" * 101], list("abcdefg")])
def test_invalid_tags(tags):
    """Tags that YARN would refuse are refused at once."""
    with pytest.raises(TraitError, match="tags"):
        ServerSettings(tags=tags)


@pytest.mark.parametrize("ports", [(2, 1), (0, 1), (1, 65536), (1,)])
def test_invalid_port_range(ports):
    """An invalid port range is refused."""
    with pytest.raises(TraitError):
        ServerSettings(port_range=ports)


def test_memory_is_given_with_units():
    """The memory limit accepts a unit and a fraction."""
    assert ServerSettings(mem_limit="1.5G").mem_limit == 3 * GIB // 2


def test_order_of_base_classes():
    """All of the spawner's own classes come before JupyterHub's in the method resolution order."""
    order = [kind.__module__.partition(".")[0] for kind in YarnSpawner.__mro__]
    assert "yarnspawner" not in order[order.index("jupyterhub") :]
