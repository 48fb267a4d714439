"""A person in front of a browser."""

from __future__ import annotations

import json
import re
import time
import uuid

from playwright.sync_api import Locator, Page, expect

# Milliseconds. Playwright waits until what it looks for is there.
SOON = 15_000
START = 150_000

# Keeps each message that the progress page shows, also when the page is left.
_WATCH = """
document.addEventListener("DOMContentLoaded", () => {
  const message = document.getElementById("progress-message");
  if (!message) return;
  new MutationObserver(() => {
    const seen = JSON.parse(sessionStorage.getItem("seen") || "[]");
    sessionStorage.setItem("seen", JSON.stringify([...seen, message.textContent]));
  }).observe(message, {childList: true, characterData: true, subtree: true});
});
"""


class BrowserUser:
    """Does what a person does with the hub's pages and JupyterLab, and sees what a person sees."""

    def __init__(self, page: Page, address: str, name: str) -> None:
        self.page = page
        self.address = address
        self.name = name
        page.set_default_timeout(SOON)
        page.add_init_script(_WATCH)
        # JupyterLab asks so while the hub starts its proxy anew; the server is there all the time.
        unreachable = page.locator(".jp-Dialog", has_text="Server unavailable or unreachable")
        page.add_locator_handler(unreachable, lambda: unreachable.get_by_role("button", name="Dismiss").click())

    # -- The hub's pages

    def log_in(self, password: str) -> None:
        self.page.goto(f"{self.address}/hub/login")
        self.page.fill("#username_input", self.name)
        self.page.fill("#password_input", password)
        self.page.click("#login_submit")
        self.page.wait_for_url("**/hub/home")

    def press_start(self) -> None:
        self.page.goto(f"{self.address}/hub/home")
        self.page.click("#start")
        # The options page comes first where there is something to choose; what is chosen beforehand will do.
        self.page.wait_for_url(lambda url: "/hub/home" not in url)
        form = self.page.locator("#spawn_form")
        if form.count():
            form.get_by_role("button", name="Start").click()

    def wait_for_lab(self) -> list[str]:
        """Wait through the progress page for JupyterLab; returns the messages that were to be seen on the way."""
        self.page.wait_for_url(f"**/user/{self.name}/lab**", timeout=START)
        expect(self.page.locator(".jp-LabShell")).to_be_visible(timeout=60_000)
        return self.messages()

    def messages(self) -> list[str]:
        seen = self.page.evaluate("sessionStorage.getItem('seen')")
        return [str(message) for message in json.loads(seen or "[]")]

    def reload_until(self, locator: Locator, timeout: float = START) -> None:
        """Reload a page that does not do so by itself until something is to be seen."""
        end = time.monotonic() + timeout / 1000
        while time.monotonic() < end and not locator.is_visible():
            time.sleep(2)
            self.page.reload(wait_until="networkidle")
        expect(locator).to_be_visible()

    def stop_server(self) -> None:
        """Stop the own server, if it runs, and wait until it is gone."""
        self.page.goto(f"{self.address}/hub/home")
        stop = self.page.locator("#stop")
        if stop.is_visible():
            # The button does nothing before the page's script has come.
            self.page.wait_for_load_state("networkidle")
            stop.click()
            expect(stop).to_be_hidden(timeout=90_000)

    # -- JupyterLab

    def open_notebook(self) -> None:
        """Open a new notebook, in a workspace that holds nothing of an earlier visit."""
        self.page.goto(f"{self.address}/user/{self.name}/lab/workspaces/{uuid.uuid4().hex}")
        self.page.locator(".jp-LauncherCard[data-category='Notebook']").first.click()
        expect(self.page.locator(".jp-NotebookPanel .jp-CodeCell").first).to_be_visible()
        # A cell that is run before the kernel is there is lost.
        expect(self.page.locator("#jp-main-statusbar")).to_contain_text("| Idle", timeout=60_000)

    def run(self, code: str) -> str:
        """Type a cell into the last, empty one, run it, and return what it prints."""
        cells = self.page.locator(".jp-NotebookPanel .jp-CodeCell")
        cell = cells.nth(cells.count() - 1)
        cell.locator(".cm-content").click()
        self.page.keyboard.insert_text(code.strip())
        self.page.keyboard.press("Shift+Enter")
        expect(cell.locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]:"), timeout=90_000)
        return "\n".join(cell.locator(".jp-OutputArea-output").all_inner_texts()).strip()
