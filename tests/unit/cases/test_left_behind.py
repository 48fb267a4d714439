"""Cases 23 and 24 of public reports: processes that outlive a server, and tokens that end before it."""

import time
from pathlib import Path

import pytest

from yarnspawner import YarnSpawner
from yarnspawner.yarn.lifetime import token_notice

DOCS = Path(__file__).parents[3] / "docs"


def text_of(name):
    return " ".join((DOCS / name).read_text().split())


def test_case_23_documentation():
    """The docs say what stops with a server, and what only cgroups can end.

    tests/cluster/test_servers.py and tests/unit/singleuser/test_descendants.py show it on processes.
    """
    assert "`setsid`" in text_of("reliability.md")
    assert "`cgroup.kill`" in text_of("reliability.md")


@pytest.fixture
def secure(tmp_path, monkeypatch):
    """Return a function that configures Hadoop's client for Kerberos."""
    monkeypatch.setenv("HADOOP_CONF_DIR", str(tmp_path))

    def write(**properties):
        names = {"hadoop.security.authentication": "kerberos", **properties}
        written = "".join(
            f"<property><name>{name}</name><value>{value}</value></property>" for name, value in names.items()
        )
        (tmp_path / "core-site.xml").write_text(f"<configuration>{written}</configuration>")

    return write


def test_case_24_seven_days(secure):
    """A server that can outlive its tokens says so, with Hadoop's own limit."""
    secure()
    assert token_notice(0).startswith("Its access to HDFS ends after 7 days.")
    secure(**{"dfs.namenode.delegation.token.max-lifetime": "3600000"})
    assert "after 1 h" in token_notice(0)


def test_case_24_shorter_servers(secure):
    """A server that ends before its tokens, or needs none, has no notice."""
    secure()
    assert token_notice(time.time() + 3600) == ""
    secure(**{"hadoop.security.authentication": "simple"})
    assert token_notice(0) == ""


def test_case_24_documentation():
    """The docs and the setting's help say it."""
    assert "ends seven days after its start" in text_of("install.md")
    assert "seven days" in YarnSpawner.maximum_lifetime.help
