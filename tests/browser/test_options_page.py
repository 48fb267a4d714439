"""The options page, in a real Chromium: what people see of it, and what they get."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from demo.hub import ADMIN, Hub
from localhadoop import LocalHadoop
from tests.support.browser_user import BrowserUser
from tests.support.hub_user import END, unfinished, until
from tests.support.hubs import running
from tests.support.profile_forms import CONFIGURATION, application, containers


@pytest.fixture(scope="module")
def hub(simple_cluster_of_session: LocalHadoop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with running(simple_cluster_of_session, tmp_path_factory.mktemp("hub"), configuration=CONFIGURATION) as hub:
        yield hub


@pytest.fixture
def visitor(browser: Browser, hub: Hub, simple_cluster: LocalHadoop) -> Iterator[Callable[[str], BrowserUser]]:
    """Makes a logged-in person in front of a browser, whose server is stopped in the end."""
    with ExitStack() as stack:

        def make(name: str) -> BrowserUser:
            context = browser.new_context(viewport={"width": 1100, "height": 900})
            stack.callback(context.close)
            person = BrowserUser(context.new_page(), hub.address, name)
            person.log_in(hub.admin_password if name == ADMIN else hub.password)
            if name != ADMIN:
                stack.callback(person.stop_server)
            return person

        yield make
    until(lambda: not unfinished(simple_cluster), END, "without applications")


def open_options(person: BrowserUser) -> Page:
    person.page.goto(f"{person.address}/hub/spawn/{person.name}")
    expect(person.page.get_by_role("group", name="Choose a server")).to_be_visible()
    return person.page


def test_choices_are_kept(
    visitor: Callable[[str], BrowserUser], simple_cluster: LocalHadoop, picture: Callable[[Page, str], None]
) -> None:
    """YARN gives what a user chooses on the options page, and the page shows the same choices the next time."""
    alice = visitor("alice")
    page = open_options(alice)
    expect(page.get_by_role("radio", name="Small")).to_be_checked()
    # What is known of the queue comes after that, if YARN has said it in time.
    expect(page.get_by_role("radio", name="Small")).to_have_accessible_description(
        re.compile("For a look at some data 384 MiB, 1 core, queue default")
    )
    # Only the chosen profile's options are there.
    expect(page.get_by_label("Memory in GiB")).to_be_hidden()

    page.get_by_role("radio", name="Custom").check()
    page.get_by_label("Memory in GiB").fill("0.6")
    page.get_by_label("Cores").select_option("2 cores")
    page.get_by_role("group", name="Options of Custom").get_by_label("Queue").select_option("small")
    expect(page.get_by_label("Your own greeting")).to_be_hidden()
    page.get_by_label("Greeting", exact=True).select_option("Other...")
    page.get_by_label("Your own greeting").fill("good morning")
    picture(page, "options")
    page.get_by_role("button", name="Start").click()
    alice.wait_for_lab()
    app = application(simple_cluster, "alice")
    assert app["queue"].endswith("small")
    # 615 MiB for her and 256 MiB for the application master, in steps of 32.
    assert containers(simple_cluster, app) == [(896, 2)]

    admin = visitor(ADMIN)
    admin.page.goto(f"{admin.address}/hub/admin")
    row = admin.page.locator("tr", has_text="alice").first
    expect(row).to_be_visible()
    if "custom" not in row.inner_text():  # JupyterHub 5 has it among the details
        row.locator("button").first.click()
    expect(admin.page.locator("table").first).to_contain_text("custom")

    alice.stop_server()
    page = open_options(alice)
    expect(page.get_by_role("radio", name="Custom")).to_be_checked()
    expect(page.get_by_label("Memory in GiB")).to_have_value("0.6")
    expect(page.get_by_role("group", name="Options of Custom").get_by_label("Queue")).to_have_value("small")
    expect(page.get_by_label("Your own greeting")).to_have_value("good morning")


def test_keyboard_only(visitor: Callable[[str], BrowserUser], simple_cluster: LocalHadoop) -> None:
    """A user chooses a profile, sets its memory and starts the server with the keyboard alone."""
    bob = visitor("bob")
    page = open_options(bob)
    page.get_by_role("radio", name="Small").focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("radio", name="Custom")).to_be_checked()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Greeting", exact=True)).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Memory in GiB")).to_be_focused()
    page.keyboard.press("Control+A")
    page.keyboard.type("0.4")
    page.keyboard.press("Enter")
    bob.wait_for_lab()
    assert containers(simple_cluster, application(simple_cluster, "bob")) == [(672, 1)]


def test_names_and_focus(visitor: Callable[[str], BrowserUser]) -> None:
    """Each control has a name for screen readers, in Chromium's accessibility tree, and shows that it has the focus."""
    page = open_options(visitor("alice"))
    page.get_by_role("radio", name="Custom").check()
    page.get_by_label("Greeting", exact=True).select_option("Other...")
    nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]

    def of(node: dict[str, Any], name: str) -> Any:
        return next((one["value"]["value"] for one in node.get("properties", []) if one["name"] == name), None)

    controls = [node for node in nodes if not node["ignored"] and of(node, "focusable") and "name" in node]
    controls = [node for node in controls if node["role"]["value"] != "RootWebArea"]
    assert {"radio", "spinbutton", "combobox", "textbox", "button"} <= {node["role"]["value"] for node in controls}
    assert [node["role"]["value"] for node in controls if not node["name"]["value"].strip()] == []
    groups = [node["name"]["value"] for node in nodes if not node["ignored"] and node["role"]["value"] == "group"]
    assert "Choose a server" in groups

    # Every stop on the way through the form is marked, and none is a trap.
    page.get_by_role("radio", name="Custom").focus()
    stops = []
    for _ in range(12):
        page.keyboard.press("Tab")
        stop = page.evaluate(
            "() => { const at = document.activeElement, style = getComputedStyle(at);"
            " return [at.id || at.name || at.tagName, style.outlineStyle !== 'none' || style.boxShadow !== 'none'] }"
        )
        stops.append(stop[0])
        assert stop[1] or not page.evaluate("() => document.activeElement.closest('form')"), stop
        if page.evaluate("() => document.activeElement.type === 'submit'"):
            break
    else:
        pytest.fail(f"the Start button is not reached: {stops}")
    assert len(set(stops)) == len(stops)


def test_value_out_of_bounds(visitor: Callable[[str], BrowserUser]) -> None:
    """The browser refuses a value that is too large, and moves the focus to its field."""
    page = open_options(visitor("bob"))
    page.get_by_role("radio", name="Custom").check()
    memory = page.get_by_label("Memory in GiB")
    memory.fill("90")
    page.get_by_role("button", name="Start").click()
    assert memory.evaluate("field => field.validationMessage").startswith("Value must be less than or equal to")
    expect(memory).to_be_focused()


def test_forged_form(visitor: Callable[[str], BrowserUser], simple_cluster: LocalHadoop) -> None:
    """The hub refuses a forged form, shows the reason on the page, and starts nothing."""
    page = open_options(visitor("bob"))
    page.get_by_role("radio", name="Custom").check()
    page.get_by_label("Memory in GiB").evaluate("field => { field.removeAttribute('max'); field.value = '90'; }")
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".spawn-error-msg")).to_contain_text("Memory (mem_limit): 90 GiB is more than the")
    expect(page.locator(".spawn-error-msg")).to_contain_text("that the cluster gives to one server")
    expect(page.get_by_role("group", name="Choose a server")).to_be_visible()
    assert not unfinished(simple_cluster)


def test_profiles_by_group(visitor: Callable[[str], BrowserUser]) -> None:
    """Users of different groups see different lists of profiles."""
    expect(open_options(visitor("alice")).get_by_role("radio", name="Large")).to_be_visible()
    expect(open_options(visitor("bob")).get_by_role("radio", name="Large")).to_have_count(0)
