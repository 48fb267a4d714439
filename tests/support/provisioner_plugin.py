"""A pytest plugin with which jupyter_client's own tests run all kernels through yarnspawner's provisioner."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jupyter_client.provisioning
import pytest

from yarnspawner.provisioner import YarnProvisioner

from .file_store import file_store

# What Jupyter's entry point `local-provisioner` names. Their mocked entry points name it as well.
jupyter_client.provisioning.LocalProvisioner = YarnProvisioner  # type: ignore[misc,assignment]


@pytest.fixture(autouse=True)
def kernels_in_containers(tmp_path: Path) -> Iterator[None]:
    with file_store(tmp_path / "store"):
        yield
