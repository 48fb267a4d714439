"""Secrets on their way to the container."""

import stat
from pathlib import Path

import pytest

from yarnspawner.common.private_files import private_files


def test_only_the_hub_can_read_them_and_they_are_gone_afterwards():
    with private_files({"text": "secret", "bytes": b"\x00"}) as paths:
        path = Path(paths["text"])
        assert path.read_text() == "secret"
        assert Path(paths["bytes"]).read_bytes() == b"\x00"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not path.parent.exists()


def test_they_are_gone_also_after_an_error():
    with pytest.raises(RuntimeError), private_files({"text": "secret"}) as paths:
        raise RuntimeError
    assert not Path(paths["text"]).exists()
