"""``yarnspawner kernelspec install``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jupyter_client.kernelspec import KernelSpec
from traitlets.config import Config

from yarnspawner.cli.main import main
from yarnspawner.kernels.request import KernelRequest
from yarnspawner.provisioner import YarnProvisioner

INSTALL = ["kernelspec", "install", "--name", "big"]


def test_kernelspec(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The kernelspec describes the application, and G is GiB as in the hub's kernel_profiles."""
    arguments = ["--memory", "8G", "--vcores", "4", "--queue", "analysts", "--prefix", str(tmp_path)]
    assert main([*INSTALL, *arguments]) == 0
    folder = tmp_path / "share/jupyter/kernels/big"
    assert capsys.readouterr().out == f"{folder}\n"
    assert folder.stat().st_mode & 0o777 == 0o755
    document = json.loads((folder / "kernel.json").read_text())
    assert document["display_name"] == "Python 3 · 8 GB · 4 cores"
    assert (folder / "logo-64x64.png").exists()
    provisioner = document["metadata"]["kernel_provisioner"]
    assert provisioner["provisioner_name"] == "yarn-provisioner"
    made = YarnProvisioner(
        kernel_id="1", kernel_spec=KernelSpec(**document), config=Config(), **provisioner["config"]
    ).application_request()
    assert made == KernelRequest("jupyter-kernel", "analysts", 8192, 4)


def test_install_for_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a prefix, the kernelspec is installed in the account's data folder."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("jupyter_client.kernelspec.jupyter_data_dir", lambda: str(tmp_path))
    assert main([*INSTALL, "--memory", "512M", "--display-name", "Big"]) == 0
    assert json.loads((tmp_path / "kernels/big/kernel.json").read_text())["display_name"] == "Big"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--memory", "8G", "--environment", "/nowhere.tar.gz"], "/nowhere.tar.gz does not exist"),
        (["--memory", "8G", "--kernel", "fortran"], "The kernelspec fortran does not exist here"),
        (["--memory", "8G", "--prefix", "/proc/nowhere"], "cannot be installed in"),
    ],
)
def test_problems_are_printed(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints what prevents the installation, and fails."""
    assert main([*INSTALL, *arguments]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--memory", "much"], [], ["--memory", "8G", "--user", "--sys-prefix"]])
def test_wrong_arguments_are_refused(arguments: list[str]) -> None:
    """The command refuses arguments that are wrong, missing or contradictory."""
    with pytest.raises(SystemExit, match="2"):
        main([*INSTALL, *arguments])


def test_a_name_is_no_path() -> None:
    """The command refuses a kernelspec name that is a path."""
    with pytest.raises(SystemExit, match="2"):
        main(["kernelspec", "install", "--name", "../big", "--memory", "8G"])
