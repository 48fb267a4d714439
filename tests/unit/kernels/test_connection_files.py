"""Connection files, which contain a kernel's keys."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from yarnspawner.kernels.connection_files import ConnectionFile, make_folder
from yarnspawner.kernels.request import KernelError

ID = "application_1_0001"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "runtime"
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(folder))
    return folder


def test_permissions(folder: Path) -> None:
    """Only its owner can read the file."""
    make_folder()
    assert folder.stat().st_mode & 0o777 == 0o700
    file = ConnectionFile(ID)
    file.path.touch(mode=0o644)
    file.write({"key": "secret"})
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.path.read_text()) == {"key": "secret"}


def test_no_folder(folder: Path) -> None:
    """A folder that cannot be created is an error before anything starts."""
    folder.touch()
    with pytest.raises(KernelError, match=r"cannot be written, .*: File exists\. Set JUPYTER_RUNTIME_DIR to"):
        make_folder()


def test_not_writable(folder: Path) -> None:
    """A file that cannot be written is an error."""
    file = ConnectionFile(ID)
    file.path.mkdir(parents=True)
    with pytest.raises(KernelError, match=f"cannot be written, {file.path}: Is a directory"):
        file.write({})


def test_removed(folder: Path) -> None:
    """The file is removed with its kernel."""
    make_folder()
    file = ConnectionFile(ID)
    with socket.create_server(("127.0.0.1", 0)) as kernel:
        file.write({"ip": "127.0.0.1", "hb_port": kernel.getsockname()[1]})
        assert not file.remove_if_gone(within=0)
        assert file.exists()
    assert file.remove_if_gone(within=0)
    assert not file.exists()
