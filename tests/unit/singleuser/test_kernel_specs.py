"""The kernelspecs of kernels in containers."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from traitlets.config import Config

from yarnspawner.common.kernel_protocol import KernelOffer, KernelSize
from yarnspawner.singleuser.kernel_specs import install_kernelspecs, kernel_settings

OFFER = KernelOffer((KernelSize("small", "python3", "", 8192, 4), KernelSize("absent", "fortran", "", 8192, 4)))


def test_size_is_a_kernelspec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An offered size is a kernelspec in the container's folder; one whose kernelspec does not exist is left out."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    environ = {KernelOffer.variable: OFFER.to_json(), "JUPYTER_PATH": "/opt/jupyter"}
    install_kernelspecs(environ, str(tmp_path))
    root, _, rest = environ["JUPYTER_PATH"].partition(os.pathsep)
    assert rest == "/opt/jupyter"
    assert Path(root).is_relative_to(tmp_path)
    assert not (tmp_path / "home").exists()
    assert [folder.name for folder in Path(root, "kernels").iterdir()] == ["yarn-small"]
    spec = json.loads(Path(root, "kernels", "yarn-small", "kernel.json").read_text())
    assert spec["display_name"] == "Python 3 · 8 GB · 4 cores"
    assert spec["interrupt_mode"] == "message"
    assert "{connection_file}" in spec["argv"]
    assert spec["metadata"]["kernel_provisioner"] == {
        "provisioner_name": "yarn-provisioner",
        "config": {"size": "small"},
    }
    assert spec["metadata"]["supported_encryption"] == ["curve"]
    enabled = json.loads(Path(environ["JUPYTER_CONFIG_PATH"], "jupyter_server_config.d/yarnspawner.json").read_text())
    assert enabled == {
        "ServerApp": {"jpserver_extensions": {"yarnspawner.kernels.page": True, "yarnspawner.kernels.kept": True}}
    }


@pytest.mark.parametrize("offer", ["", "{", KernelOffer(()).to_json()])
def test_no_offer(tmp_path: Path, offer: str) -> None:
    """Without an offer of sizes, neither the environment, the folder nor the settings change."""
    environ = {KernelOffer.variable: offer}
    install_kernelspecs(environ, str(tmp_path))
    assert environ == {KernelOffer.variable: offer}
    assert not list(tmp_path.iterdir())
    assert kernel_settings(Config(), environ, str(tmp_path)) == Config()


def test_settings(tmp_path: Path) -> None:
    """The end of a kernel is noticed soon, and sessions are in a private file, unless somebody has set this."""
    environ = {KernelOffer.variable: OFFER.to_json()}
    settings = kernel_settings(Config(), environ, str(tmp_path))
    assert settings.KernelRestarter.time_to_dead == 1
    sessions = Path(settings.SessionManager.database_filepath)
    assert sessions.is_relative_to(tmp_path)
    assert stat.S_IMODE(sessions.stat().st_mode) == 0o600
    own = Config(
        {"AsyncIOLoopKernelRestarter": {"time_to_dead": 5.0}, "SessionManager": {"database_filepath": ":memory:"}}
    )
    assert kernel_settings(own, environ, str(tmp_path)) == Config()
