"""What an admin sets."""

import pytest
from traitlets import TraitError

from yarnspawner import YarnSpawner
from yarnspawner.settings.server import ServerSettings

GIB = 2**30


def test_the_defaults_of_0_4_0_live_on():
    settings = ServerSettings()
    assert (settings.queue, settings.mem_limit, settings.cpu_limit) == ("default", 2 * GIB, 1)
    assert settings.cmd == ["python -m yarnspawner.singleuser"]


@pytest.mark.parametrize("tags", [["a,b"], ["é"], [""], ["a" * 101], list("abcdefg")])
def test_tags_that_yarn_would_refuse_are_refused_at_once(tags):
    with pytest.raises(TraitError, match="tags"):
        ServerSettings(tags=tags)


@pytest.mark.parametrize("ports", [(2, 1), (0, 1), (1, 65536), (1,)])
def test_a_port_range_that_is_none_is_refused(ports):
    with pytest.raises(TraitError):
        ServerSettings(port_range=ports)


def test_memory_is_given_with_units():
    assert ServerSettings(mem_limit="1.5G").mem_limit == 3 * GIB // 2


def test_what_the_spawner_does_its_own_way_comes_before_jupyterhubs_own():
    order = [kind.__module__.partition(".")[0] for kind in YarnSpawner.__mro__]
    assert "yarnspawner" not in order[order.index("jupyterhub") :]
