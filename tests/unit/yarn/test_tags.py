"""The tags of a hub's applications."""

from hypothesis import given
from hypothesis import strategies as st

from yarnspawner.yarn.tags import has_server_tags, server_tag, server_tags, user_tag

names = st.text(max_size=200)


@given(names, names, names, names)
def test_tags_differ(a, b, c, d):
    """Different names have different tags."""
    assert (server_tag("hub", a, b) == server_tag("hub", c, d)) == ((a, b) == (c, d))


@given(names)
def test_yarn_accepts_every_tag(name):
    """YARN converts tags to lower case, separates them by commas, and limits their length."""
    tag = user_tag("hub", name)
    assert tag.isascii() and tag == tag.lower() and "," not in tag and len(tag) <= 100


def test_tags_are_stable():
    """A hub finds running applications by their tags after an upgrade."""
    assert server_tag("hub", "alice", "") == "yarnspawner-server-af9456bd6bb3cf458b1eadbd969ff32a"


def test_has_server_tags():
    """An application of a hub has a tag of each type."""
    tags = server_tags("hub", "alice", "", "start")
    assert has_server_tags(tags | {"other"})
    assert not any(has_server_tags(tags - {tag}) for tag in tags)
