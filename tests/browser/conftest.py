"""A hub on the secure cluster, and people in front of real browsers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from demo.hub import ADMIN, Hub
from localhadoop import LocalHadoop
from tests.support.browser_user import BrowserUser
from tests.support.hubs import running

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# Everything that makes Chromium talk to others than the hub, or needs what a container lacks, is off.
OPTIONS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync"
).split()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("browser")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    if os.getuid() != 0:
        pytest.skip("the secure cluster needs root")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def hub(
    browser: Browser, kerberos_cluster_of_session: LocalHadoop, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hub]:
    with running(kerberos_cluster_of_session, tmp_path_factory.mktemp("hub")) as hub:
        yield hub


@pytest.fixture
def person(
    request: pytest.FixtureRequest, browser: Browser, hub: Hub, tmp_path: Path
) -> Iterator[Callable[[str], BrowserUser]]:
    """Makes a logged-in person of that name, with a browser of their own, whose server is stopped in the end.

    If the test fails, what each saw last is a picture in the test's temporary folder.
    """
    failures = request.session.testsfailed
    people: list[BrowserUser] = []

    def show() -> None:
        if request.session.testsfailed > failures:
            for someone in people:
                someone.page.screenshot(path=tmp_path / f"{someone.name}.png")
            print(f"pictures: {tmp_path}")

    with ExitStack() as stack:

        def make(name: str) -> BrowserUser:
            context = browser.new_context(viewport={"width": 1100, "height": 720})
            stack.callback(context.close)
            password = hub.admin_password if name == ADMIN else hub.password
            person = BrowserUser(context.new_page(), hub.address, name)
            people.append(person)
            person.log_in(password)
            if name != ADMIN:
                stack.callback(person.stop_server)
            return person

        yield make
        show()


@pytest.fixture
def picture(request: pytest.FixtureRequest) -> Callable[[Page, str], None]:
    """Takes a picture for the documentation if pytest was told where to put them."""
    folder = request.config.getoption("--pictures")

    def take(page: Page, name: str) -> None:
        if folder:
            # Jupyter asks whether one wants its news.
            news = page.locator(".Toastify__toast", has_text="Jupyter news")
            news.evaluate_all("toasts => toasts.forEach(toast => toast.style.display = 'none')")
            page.screenshot(path=Path(folder) / f"{name}.png")

    return take
