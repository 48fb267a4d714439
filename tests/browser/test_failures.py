"""What people read when a start waits or fails, in a real Chromium on the Kerberos cluster."""

from __future__ import annotations

import html
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from demo.hub import Hub
from localhadoop import LocalHadoop
from tests.support.browser_user import START, BrowserUser
from tests.support.hub_user import HubUser, unfinished, until
from tests.support.hubs import running

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]

CONFIGURATION = Path(__file__).resolve().parents[1] / "support" / "jupyterhub_config_causes.py"
TERMINAL = (
    "<body style='margin: 0'><pre style='font: 12px/1.35 monospace; margin: 0; padding: 1rem'>{text}</pre></body>"
)


@pytest.fixture(scope="module")
def hub_of_causes(kerberos_cluster_of_session: LocalHadoop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("hub")
    with running(kerberos_cluster_of_session, folder, configuration=CONFIGURATION) as hub:
        yield hub


@pytest.fixture
def alice(browser: Browser, hub_of_causes: Hub) -> Iterator[BrowserUser]:
    context = browser.new_context(viewport={"width": 1100, "height": 720})
    alice = BrowserUser(context.new_page(), hub_of_causes.address, "alice")
    alice.log_in(hub_of_causes.password)
    yield alice
    context.close()


def test_a_failed_start_and_its_log(alice: BrowserUser, picture: Callable[[Page, str], None]) -> None:
    """The page names the cause, and leads to the log of the start."""
    page = alice.page
    page.goto(f"{alice.address}/hub/spawn/alice/no-program?profile=no-program")
    failure = page.locator(".yarnspawner-failure")
    expect(failure.first).to_contain_text("The program /no/such/program was not found", timeout=START)
    expect(page.get_by_text("Your server is starting up.")).to_be_hidden()
    page.get_by_text("For your administrator").first.click()
    expect(failure.first).to_contain_text("Code: program-missing")
    sizes = page.locator("main, .container, body").first.evaluate(
        "e => [...e.querySelectorAll('h1, h2, p')].filter(x => x.offsetParent).map(x => parseFloat(getComputedStyle(x).fontSize))"
    )
    assert max(sizes) < 32
    picture(page, "failed")

    page.get_by_text("The log of this start, and the last starts").first.click()
    log = page.locator(".yarnspawner-logs pre")
    expect(log).to_contain_text("/no/such/program", timeout=START)
    expect(page.locator(".yarnspawner-logs table")).to_contain_text("program-missing")
    picture(page, "server-logs")


def test_a_waiting_start(
    alice: BrowserUser,
    hub_of_causes: Hub,
    kerberos_cluster_of_session: LocalHadoop,
    picture: Callable[[Page, str], None],
) -> None:
    """The page says in which queue a start waits, why, and for how long."""
    user = HubUser(hub_of_causes.address, "alice", hub_of_causes.password)
    user.ask_to_start("fills-queue", {"profile": "fills-queue"}, wait=60)
    user.wait_told("runs on", "fills-queue")
    try:
        alice.page.goto(f"{alice.address}/hub/spawn/alice/waits?profile=fills-queue")
        message = alice.page.locator("#progress-message")
        expect(message).to_contain_text("Waiting in queue", timeout=START)
        expect(message).to_contain_text("so far", timeout=START)
        alice.page.locator("#progress-details").click()
        picture(alice.page, "waiting")
    finally:
        for name in ("waits", "fills-queue"):
            user.ask_to_stop(name)
    until(lambda: not unfinished(kerberos_cluster_of_session, "alice"), START, "ended")


def test_the_output_of_check(
    browser: Browser,
    kerberos_cluster_of_session: LocalHadoop,
    tmp_path: Path,
    picture: Callable[[Page, str], None],
) -> None:
    """On a healthy cluster, `yarnspawner check` finds nothing wrong."""
    from demo.hub import CONFIGURATION as EXAMPLE

    hub = Hub(kerberos_cluster_of_session, tmp_path)
    command = [sys.executable, "-m", "yarnspawner.cli.main", "check", "-f", str(EXAMPLE), "--user", "alice"]
    done = subprocess.run(
        command, cwd=tmp_path, env=hub.environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert " wrong " not in done.stdout.replace("nothing is wrong", ""), done.stdout
    shown = done.stdout.replace(str(kerberos_cluster_of_session.settings.folder), "/opt/hadoop")
    page = browser.new_page(viewport={"width": 1000, "height": 1400})
    page.set_content(TERMINAL.format(text=html.escape(shown)))
    picture(page, "check")
    page.close()
