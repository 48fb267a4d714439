"""Private files for secrets."""

import stat
from pathlib import Path

import pytest

from yarnspawner.common.private_files import private_files


def test_files_are_private_and_removed():
    """Only the owner can read the files, and the end of the block removes them."""
    with private_files({"text": "secret", "bytes": b"\x00"}) as paths:
        path = Path(paths["text"])
        assert path.read_text() == "secret"
        assert Path(paths["bytes"]).read_bytes() == b"\x00"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not path.parent.exists()


def test_removed_after_error():
    """An exception in the block removes the files as well."""
    with pytest.raises(RuntimeError), private_files({"text": "secret"}) as paths:
        raise RuntimeError
    assert not Path(paths["text"]).exists()
