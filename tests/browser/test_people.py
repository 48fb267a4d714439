"""What people see of the hub, in a real Chromium on the secure cluster."""

from __future__ import annotations

import pwd
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from demo.hub import ADMIN, Hub
from localhadoop import LocalHadoop
from tests.support.browser_user import START, BrowserUser
from tests.support.hubs import running

WHO = """
import getpass, os
print(getpass.getuser(), os.getuid())
print(os.environ["CONTAINER_ID"])
"""
PUT = "!echo hello from {name} | hdfs dfs -put -f - greeting-{name}.txt"
STAT = "!hdfs dfs -stat '%u %n' greeting-{name}.txt"
READ = "!hdfs dfs -cat greeting-{name}.txt"


def is_oneself(printed: str, name: str) -> bool:
    """Whether the cell WHO printed what it should for a user."""
    account, container = printed.splitlines()
    return account == f"{name} {pwd.getpwnam(name).pw_uid}" and container.startswith("container_")


def test_two_users(person: Callable[[str], BrowserUser], picture: Callable[[Page, str], None]) -> None:
    """Two users watch their servers start, and each works in a container and in HDFS as themselves."""
    both = [person("bob"), person("alice")]
    for someone in both:
        someone.press_start()
    alice = both[-1]
    alice.page.locator("#progress-details").click()
    # The last stage that lasts: the server listens as soon as YARN's report names its node.
    expect(alice.page.locator("#progress-message")).to_contain_text("container is starting", timeout=START)
    picture(alice.page, "progress")
    for someone in both:
        messages = someone.wait_for_lab()
        assert any("Submitting" in message for message in messages), messages
        assert any("queue" in message for message in messages), messages

        someone.open_notebook()
        assert is_oneself(someone.run(WHO), someone.name)
        someone.run(PUT.format(name=someone.name))
    for someone in both:
        assert someone.run(STAT.format(name=someone.name)) == f"{someone.name} greeting-{someone.name}.txt"
        assert someone.run(READ.format(name=someone.name)) == f"hello from {someone.name}"
    picture(alice.page, "notebook")


def test_admin_starts_and_stops(person: Callable[[str], BrowserUser], picture: Callable[[Page, str], None]) -> None:
    """An admin starts and stops a user's server on the admin page, and the user works with it."""
    alice, admin = person("alice"), person(ADMIN)
    admin.page.goto(f"{admin.address}/hub/admin")
    row = admin.page.locator("tr.user-row", has_text="alice")
    start, stop = (row.get_by_role("button", name=f"{verb} Server") for verb in ("Start", "Stop"))
    start.click()
    admin.reload_until(stop)
    picture(admin.page, "admin")

    alice.page.goto(f"{alice.address}/user/alice/lab")
    alice.wait_for_lab()

    stop.click()
    admin.reload_until(start)
    alice.page.goto(f"{alice.address}/hub/home")
    expect(alice.page.locator("#start")).to_have_text("Start My Server")


def test_kernel_without_hub(person: Callable[[str], BrowserUser], hub: Hub) -> None:
    """A user's kernel answers while the hub is dead, and is the same when the hub is back."""
    alice = person("alice")
    alice.press_start()
    alice.wait_for_lab()
    alice.open_notebook()
    kernel = alice.run("import os; answer = 42; print(os.getpid())")

    hub.kill()
    assert alice.run("print(answer)") == "42"

    hub.start()
    assert alice.run("print(answer, os.getpid())") == f"42 {kernel}"
    alice.page.goto(f"{alice.address}/hub/home")
    expect(alice.page.locator("#start")).to_have_text("My Server")


def test_refused_impersonation(person: Callable[[str], BrowserUser], picture: Callable[[Page, str], None]) -> None:
    """A user whom the hub may not impersonate sees this reason on the page."""
    carl = person("carl")
    carl.press_start()
    expect(carl.page.locator("body")).to_contain_text("impersonate", timeout=START)
    expect(carl.page.locator("body")).to_contain_text("carl")
    picture(carl.page, "refused")


@pytest.mark.full
def test_notebooks_on_one_node(
    browser: Browser, kerberos_cluster_of_session: LocalHadoop, tmp_path: Path, picture: Callable[[Page, str], None]
) -> None:
    """A user whose notebooks are on one node's disk reads it while the server starts, in JupyterLab, and on the hub's page."""
    with running(kerberos_cluster_of_session, tmp_path, settings={"YARNSPAWNER_NOTEBOOK_STORAGE": "node"}) as hub:
        context = browser.new_context()
        alice = BrowserUser(context.new_page(), hub.address, "alice")
        alice.log_in(hub.password)
        try:
            alice.press_start()
            assert any("The next server can run on another node" in message for message in alice.wait_for_lab())
            for _ in range(2):
                notice = alice.page.locator(".Toastify__toast", has_text="Download what you want to keep.")
                expect(notice).to_be_visible(timeout=60_000)
                picture(alice.page, "notebook-storage")
                notice.get_by_title("Hide notification").click()
                expect(notice).to_be_hidden()
                expect(alice.page.locator("#yarnspawner-notice")).to_be_visible()
                alice.page.reload()
            alice.page.goto(f"{hub.address}/hub/home")
            expect(alice.page.get_by_text("My server: Notebooks are on a disk of")).to_be_visible()
        finally:
            alice.stop_server()
            context.close()
