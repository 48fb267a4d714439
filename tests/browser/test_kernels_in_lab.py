"""Kernels in containers of their own, as a person uses them in JupyterLab on the Kerberos cluster."""

from __future__ import annotations

import pwd
import re
import time
import uuid
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from demo.hub import Hub
from localhadoop import LocalHadoop
from tests.support.browser_user import START, BrowserUser
from tests.support.full_cluster import full
from tests.support.hub_user import until
from tests.support.hubs import running
from tests.support.kernel_hubs import containers

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]

SIZES = {
    "300M": "Python 3 · 300 MB · 1 core",
    "400M": "Python 3 · 400 MB · 1 core",
    "500M": "Python 3 · 500 MB · 1 core",
}
SMALL, MIDDLE, _ = SIZES.values()
# Milliseconds for a container and the kernel in it.
KERNEL = 90_000
WHERE = 'import os; print(os.environ["NM_HOST"], os.getuid(), os.environ["SKEIN_RESOURCE_MEMORY"], os.environ["CONTAINER_ID"])'


@pytest.fixture(scope="module")
def hub_with_kernels(
    kerberos_cluster_of_session: LocalHadoop, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hub]:
    settings = {"YARNSPAWNER_KERNEL_SIZES": " ".join(SIZES)}
    with running(kerberos_cluster_of_session, tmp_path_factory.mktemp("hub"), settings=settings) as hub:
        yield hub


@pytest.fixture
def alice(browser: Browser, hub_with_kernels: Hub) -> Iterator[BrowserUser]:
    context = browser.new_context(viewport={"width": 1100, "height": 720})
    alice = BrowserUser(context.new_page(), hub_with_kernels.address, "alice")
    alice.log_in(hub_with_kernels.password)
    alice.press_start()
    alice.wait_for_lab()
    yield alice
    alice.stop_server()
    context.close()


def test_kernels_of_three_sizes(
    alice: BrowserUser, kerberos_cluster_of_session: LocalHadoop, picture: Callable[[Page, str], None]
) -> None:
    """The launcher offers three sizes. Menus interrupt, restart and shut down a kernel, and YARN gets its container back."""
    page = alice.page
    page.goto(f"{alice.address}/user/alice/lab/workspaces/{uuid.uuid4().hex}")
    for name in SIZES.values():
        expect(card(page, name)).to_be_visible(timeout=START)
    picture(page, "kernels-launcher")
    before = containers(kerberos_cluster_of_session)

    open_kernel(page, SMALL)
    node, uid, memory, container = alice.run(WHERE).split()
    assert node
    assert uid == str(pwd.getpwnam("alice").pw_uid)
    assert memory == "300"
    assert container.startswith("container_")
    assert containers(kerberos_cluster_of_session) == before + 1

    # A second one, from the launcher.
    page.locator(".lm-TabBar-addButton:not(.lm-mod-hidden)").first.click()
    open_kernel(page, MIDDLE)
    until(lambda: containers(kerberos_cluster_of_session) == before + 2, 30, "there")
    second = newest_notebook(page)
    run_in(second, page, "kept = 40")

    # Interrupt.
    type_cell(second, page, "import time; kept += 2; time.sleep(300)")
    expect(page.locator("#jp-main-statusbar")).to_contain_text("| Busy")
    choose(page, "Kernel", "Interrupt Kernel")
    expect(second.get_by_text("KeyboardInterrupt").first).to_be_visible(timeout=30_000)
    assert run_in(second, page, "print(kept)") == "42"

    # What both hold.
    page.goto(f"{alice.address}/user/alice/yarnspawner/kernels")
    expect(page.get_by_text(re.compile("MiB for . min"))).to_have_count(2)
    page.set_viewport_size({"width": 1100, "height": 240})
    picture(page, "kernels-page")
    page.set_viewport_size({"width": 1100, "height": 720})
    page.go_back()
    expect(newest_notebook(page)).to_be_visible(timeout=60_000)

    # Restart, in the same container.
    second = newest_notebook(page)
    expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle", timeout=KERNEL)
    choose(page, "Kernel", re.compile("^Restart Kernel…$"))
    page.locator(".jp-Dialog .jp-mod-accept").click()
    expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle", timeout=KERNEL)
    assert run_in(second, page, "print('kept' in dir())") == "False"

    # Shut down.
    began = time.monotonic()
    choose(page, "Kernel", "Shut Down Kernel")
    until(lambda: containers(kerberos_cluster_of_session) == before + 1, 15, "released")
    assert time.monotonic() - began < 7


def test_restart_under_notebook(alice: BrowserUser) -> None:
    """The hub's page restarts Jupyter. The open notebook connects again by itself, and its variables are there."""
    page = alice.page
    page.goto(f"{alice.address}/user/alice/lab/workspaces/{uuid.uuid4().hex}")
    open_kernel(page, SMALL)
    notebook = newest_notebook(page)
    run_in(notebook, page, "kept = 40")

    hub = page.context.new_page()
    hub.goto(f"{alice.address}/hub/home")
    hub.get_by_role("button", name="Restart Jupyter (kernels in containers keep running)").click()
    hub.get_by_role("button", name="Restart Jupyter", exact=True).click()
    expect(hub.get_by_text("1 kernel in a container keeps running.")).to_be_visible(timeout=KERNEL)

    # JupyterLab does not show a state that a kernel reports only after a request for its information.
    expect(page.locator("#jp-main-statusbar")).to_contain_text(f"{SMALL} | Unknown", timeout=KERNEL)
    assert run_in(notebook, page, "print(kept + 2)") == "42"
    expect(page.locator("#jp-main-statusbar")).to_contain_text(f"{SMALL} | Idle")
    expect(page.locator(".jp-Dialog")).to_have_count(0)
    hub.close()


def test_a_kernel_waits_in_a_full_queue(
    alice: BrowserUser, kerberos_cluster_of_session: LocalHadoop, picture: Callable[[Page, str], None]
) -> None:
    """A notification says why, and goes away when the kernel starts."""
    page = alice.page
    page.goto(f"{alice.address}/user/alice/lab/workspaces/{uuid.uuid4().hex}")
    expect(card(page, SMALL)).to_be_visible(timeout=START)
    notification = page.locator(".Toastify__toast").filter(has_text="Waiting in queue")
    with full(kerberos_cluster_of_session):
        card(page, SMALL).click()
        expect(notification).to_contain_text("because the queue is full.", timeout=60_000)
        page.wait_for_timeout(1500)  # it moves into the page
        picture(page, "kernels-waiting")
    expect(page.locator("#jp-main-statusbar")).to_contain_text(f"{SMALL} | Idle", timeout=KERNEL)
    expect(notification).to_have_count(0)


def card(page: Page, name: str) -> Locator:
    """The card of a kernel in the launcher."""
    return page.locator(".jp-LauncherCard[data-category='Notebook']:visible").filter(has_text=name)


def open_kernel(page: Page, name: str) -> None:
    """Open a notebook with a kernel from the launcher, and wait until the kernel answers."""
    card(page, name).click()
    expect(newest_notebook(page)).to_be_visible()
    expect(page.locator("#jp-main-statusbar")).to_contain_text(f"{name} | Idle", timeout=KERNEL)


def newest_notebook(page: Page) -> Locator:
    """The notebook that is in front."""
    return page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")


def type_cell(notebook: Locator, page: Page, code: str) -> Locator:
    """Run a cell after the last one, and return it at once."""
    cell = notebook.locator(".jp-CodeCell").last
    cell.locator(".cm-content").click()
    page.keyboard.insert_text(code)
    number = notebook.locator(".jp-CodeCell").count()
    page.keyboard.press("Shift+Enter")
    return notebook.locator(".jp-CodeCell").nth(number - 1)


def run_in(notebook: Locator, page: Page, code: str) -> str:
    """Run a cell after the last one, and return what it printed."""
    cell = type_cell(notebook, page, code)
    expect(cell.locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]:"), timeout=90_000)
    return "\n".join(cell.locator(".jp-OutputArea-output").all_inner_texts()).strip()


def choose(page: Page, menu: str, entry: str | re.Pattern[str]) -> None:
    """Choose an entry of JupyterLab's menu bar."""
    page.locator(".lm-MenuBar-itemLabel", has_text=re.compile(f"^{menu}$")).click()
    page.locator(".lm-Menu-itemLabel").filter(has_text=entry).first.click()
