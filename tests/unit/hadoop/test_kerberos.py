"""The hub's tickets: fresh, private, and gone in the end. A script stands for kinit here; tests/cluster has the real one."""

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
    """A kinit that writes down its arguments and makes a "ticket"; the text of the file ``fails`` is its error."""
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


async def test_programs_find_a_ticket_from_the_keytab(kinit: Path) -> None:
    cache = TicketCache("hub@EXAMPLE.COM", "/etc/hub.keytab")
    environment = await cache.environment()
    assert Path(environment["KRB5CCNAME"]).read_text() == "ticket\n"
    assert calls(kinit)[0].startswith("-k -t /etc/hub.keytab -c ")
    assert calls(kinit)[0].endswith(" hub@EXAMPLE.COM")
    cache.close()


async def test_nobody_else_can_read_it(kinit: Path) -> None:
    cache = TicketCache("hub", "keytab")
    await cache.environment()
    assert stat.S_IMODE(cache.path.parent.stat().st_mode) == 0o700
    cache.close()


async def test_it_is_gone_when_closed(kinit: Path) -> None:
    cache = TicketCache("hub", "keytab")
    await cache.environment()
    cache.close()
    assert not cache.path.parent.exists()


async def test_many_who_ask_at_once_share_one_login(kinit: Path) -> None:
    cache = TicketCache("hub", "keytab")
    await asyncio.gather(*(cache.environment() for _ in range(20)))
    assert len(calls(kinit)) == 1
    cache.close()


async def test_it_is_renewed_before_it_ends(kinit: Path) -> None:
    cache = TicketCache("hub", "keytab", renew_after=0.05)
    await cache.environment()
    await asyncio.sleep(0.1)
    await cache.environment()
    assert len(calls(kinit)) == 2
    cache.close()


async def test_while_the_kdc_is_down_the_last_ticket_serves(kinit: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = TicketCache("hub", "keytab", renew_after=0)
    await cache.environment()
    (kinit / "fails").write_text("kinit: Cannot contact any KDC for realm 'EXAMPLE.COM'\n")
    with caplog.at_level(logging.WARNING):
        environment = await cache.environment()
        await cache.environment()
    assert Path(environment["KRB5CCNAME"]).exists()
    assert caplog.text.count("Cannot contact any KDC") == 1
    cache.close()


async def test_without_any_ticket_the_error_is_kinits(kinit: Path) -> None:
    (kinit / "fails").write_text("kinit: Client 'hub' not found in Kerberos database\n")
    with pytest.raises(KerberosError, match="Client 'hub' not found in Kerberos database"):
        await TicketCache("hub", "keytab").environment()


async def test_a_machine_without_kinit_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KerberosError, match="kinit cannot be run"):
        await TicketCache("hub", "keytab").environment()


def test_all_of_a_process_share_one_cache() -> None:
    cache = TicketCache.shared("hub", "keytab")
    assert cache is not None
    assert TicketCache.shared("hub", "keytab") is cache
    cache.close()
    assert TicketCache.shared("hub", "keytab") is not cache
    assert TicketCache.shared("hub", "") is None


def test_the_hubs_secrets_stay_in_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONFIGPROXY_AUTH_TOKEN", "secret")
    monkeypatch.setenv("HADOOP_PROXY_USER", "someone")
    monkeypatch.setenv("HADOOP_CONF_DIR", "/etc/hadoop/conf")
    assert client_environment()["HADOOP_CONF_DIR"] == "/etc/hadoop/conf"
    assert not {"CONFIGPROXY_AUTH_TOKEN", "HADOOP_PROXY_USER"} & client_environment().keys()


async def test_a_folder_that_was_cleaned_away_is_made_again(kinit: Path) -> None:
    """A cache whose folder or file is gone from /tmp has a new ticket, in a private folder."""
    cache = TicketCache("hub", "keytab")
    await cache.environment()
    cache.path.unlink()
    assert Path((await cache.environment())["KRB5CCNAME"]).exists()
    shutil.rmtree(cache.path.parent)
    assert Path((await cache.environment())["KRB5CCNAME"]).exists()
    assert stat.S_IMODE(cache.path.parent.stat().st_mode) == 0o700
    cache.close()
    assert not cache.path.parent.exists()
