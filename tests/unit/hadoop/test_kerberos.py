"""The hub's ticket cache. A script stands in for kinit; tests/cluster uses the real one."""

from __future__ import annotations

import asyncio
import logging
import shutil
import stat
from pathlib import Path

import pytest

from yarnspawner.hadoop.kerberos import KerberosError, TicketCache, client_environment


@pytest.fixture
def kinit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kinit that records its arguments and writes a "ticket", or fails with the text of the file ``fails``."""
    script = tmp_path / "kinit"
    script.write_text(
        f"""#!/bin/sh
echo "$@" >> {tmp_path}/calls
if [ -e {tmp_path}/fails ]; then cat {tmp_path}/fails >&2; exit 1; fi
echo ticket > "$5"
"""
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path


def calls(kinit: Path) -> list[str]:
    return (kinit / "calls").read_text().splitlines()


async def test_ticket_from_keytab(kinit: Path) -> None:
    """Programs find a ticket from the keytab."""
    cache = TicketCache("hub@EXAMPLE.COM", "/etc/hub.keytab")
    environment = await cache.environment()
    assert Path(environment["KRB5CCNAME"]).read_text() == "ticket\n"
    assert calls(kinit)[0].startswith("-k -t /etc/hub.keytab -c ")
    assert calls(kinit)[0].endswith(" hub@EXAMPLE.COM")
    cache.close()


async def test_cache_is_private(kinit: Path) -> None:
    """Only the hub's account can read the cache."""
    cache = TicketCache("hub", "keytab")
    await cache.environment()
    assert stat.S_IMODE(cache.path.parent.stat().st_mode) == 0o700
    cache.close()


async def test_close_removes_cache(kinit: Path) -> None:
    """Closing the cache removes its folder."""
    cache = TicketCache("hub", "keytab")
    await cache.environment()
    cache.close()
    assert not cache.path.parent.exists()


async def test_concurrent_callers_share_login(kinit: Path) -> None:
    """Concurrent callers share one login."""
    cache = TicketCache("hub", "keytab")
    await asyncio.gather(*(cache.environment() for _ in range(20)))
    assert len(calls(kinit)) == 1
    cache.close()


async def test_renewal(kinit: Path) -> None:
    """A ticket is renewed after `renew_after`."""
    cache = TicketCache("hub", "keytab", renew_after=0.05)
    await cache.environment()
    await asyncio.sleep(0.1)
    await cache.environment()
    assert len(calls(kinit)) == 2
    cache.close()


async def test_last_ticket_during_outage(kinit: Path, caplog: pytest.LogCaptureFixture) -> None:
    """While the KDC is down, the last ticket is used, and one failure is logged."""
    cache = TicketCache("hub", "keytab", renew_after=0)
    await cache.environment()
    (kinit / "fails").write_text("kinit: Cannot contact any KDC for realm 'EXAMPLE.COM'\n")
    with caplog.at_level(logging.WARNING):
        environment = await cache.environment()
        await cache.environment()
    assert Path(environment["KRB5CCNAME"]).exists()
    assert caplog.text.count("Cannot contact any KDC") == 1
    cache.close()


async def test_login_fails(kinit: Path) -> None:
    """Without any ticket, the error has kinit's reason."""
    (kinit / "fails").write_text("kinit: Client 'hub' not found in Kerberos database\n")
    with pytest.raises(KerberosError, match="Client 'hub' not found in Kerberos database"):
        await TicketCache("hub", "keytab").environment()


async def test_missing_kinit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the `kinit` command, KerberosError is raised."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KerberosError, match="kinit cannot be run"):
        await TicketCache("hub", "keytab").environment()


def test_shared_cache() -> None:
    """A process has one cache for each principal and keytab."""
    cache = TicketCache.shared("hub", "keytab")
    assert cache is not None
    assert TicketCache.shared("hub", "keytab") is cache
    cache.close()
    assert TicketCache.shared("hub", "keytab") is not cache
    assert TicketCache.shared("hub", "") is None


def test_client_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hadoop's clients get none of the hub's secrets."""
    monkeypatch.setenv("CONFIGPROXY_AUTH_TOKEN", "secret")
    monkeypatch.setenv("HADOOP_PROXY_USER", "someone")
    monkeypatch.setenv("HADOOP_CONF_DIR", "/etc/hadoop/conf")
    assert client_environment()["HADOOP_CONF_DIR"] == "/etc/hadoop/conf"
    assert not {"CONFIGPROXY_AUTH_TOKEN", "HADOOP_PROXY_USER"} & client_environment().keys()


async def test_removed_folder(kinit: Path) -> None:
    """If the folder or file was removed from /tmp, the cache is created again."""
    cache = TicketCache("hub", "keytab")
    await cache.environment()
    cache.path.unlink()
    assert Path((await cache.environment())["KRB5CCNAME"]).exists()
    shutil.rmtree(cache.path.parent)
    assert Path((await cache.environment())["KRB5CCNAME"]).exists()
    assert stat.S_IMODE(cache.path.parent.stat().st_mode) == 0o700
    cache.close()
    assert not cache.path.parent.exists()
