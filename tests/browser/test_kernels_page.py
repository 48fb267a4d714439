"""JupyterLab shows what kernels in containers hold, and stops them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser

from tests.support.hub_user import until
from tests.support.lab_of_kernels import TOKEN

CHECKOUT = Path(__file__).parents[2]
PORT = 18_431
ADDRESS = f"http://127.0.0.1:{PORT}/user/alice"
AS_ALICE = {"Authorization": f"token {TOKEN}"}

pytestmark = pytest.mark.full


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    command = [sys.executable, "-W", "ignore", "-m", "tests.support.lab_of_kernels", str(tmp_path), str(PORT)]
    server = subprocess.Popen(command, cwd=CHECKOUT, env=os.environ | {"PYTHONPATH": str(CHECKOUT)})
    try:
        until(_answers, 120, "ready")
        yield ADDRESS
    finally:
        server.terminate()
        server.wait(30)


def _answers() -> bool:
    try:
        return requests.get(f"{ADDRESS}/api/status", headers=AS_ALICE, timeout=5).status_code == 200
    except requests.ConnectionError:
        return False


def test_lab_tab_with_kernels(lab: str, browser: Browser) -> None:
    """A tab of JupyterLab shows the kernels in containers and stops them."""
    started = requests.post(f"{lab}/api/kernels", json={"name": "yarn-small"}, headers=AS_ALICE, timeout=120)
    assert started.status_code == 201, started.text
    page = browser.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if "yarnspawner" in message.text else None)
    page.goto(f"{lab}/lab?token={TOKEN}&reset", timeout=120_000)
    page.get_by_text("Kernels in containers").first.click(timeout=120_000)
    frame = page.frame_locator("iframe[title='Kernels in containers']")
    frame.get_by_text("400 MiB for 0 min").wait_for(timeout=60_000)
    frame.get_by_role("button", name="Stop").click()
    frame.get_by_text("No kernel runs").wait_for(timeout=60_000)
    assert requests.get(f"{lab}/api/kernels", headers=AS_ALICE, timeout=30).json() == []
    assert not errors
    page.close()
