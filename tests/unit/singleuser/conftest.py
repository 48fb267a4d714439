"""A recipe's process, in the surroundings of a container."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.singleuser.surroundings import ApplicationMaster, hub


@pytest.fixture
def master(tmp_path: Path) -> Iterator[ApplicationMaster]:
    application_master = ApplicationMaster(tmp_path)
    yield application_master
    application_master.close()


@pytest.fixture
def environment(master: ApplicationMaster, tmp_path: Path) -> Iterator[dict[str, str]]:
    """What the container's script sets for a server of alice's."""
    home = tmp_path / "home"
    home.mkdir()
    with hub() as api:
        yield {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "JUPYTERHUB_SERVICE_URL": "http://127.0.0.1:0/user/alice/",
            "JUPYTERHUB_SERVICE_PREFIX": "/user/alice/",
            "JUPYTERHUB_API_URL": api,
            "JUPYTERHUB_API_TOKEN": "a-token-of-alice",
            "JUPYTERHUB_BASE_URL": "/",
            "JUPYTERHUB_CLIENT_ID": "jupyterhub-user-alice",
            "JUPYTERHUB_USER": "alice",
            "JUPYTERHUB_OAUTH_CALLBACK_URL": "/user/alice/oauth_callback",
            "JUPYTERHUB_OAUTH_SCOPES": '["access:servers!server=alice/"]',
            "JUPYTERHUB_OAUTH_ACCESS_SCOPES": '["access:servers!server=alice/"]',
            **master.environment,
        }


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a recipe as a container does: in a session of its own, with both its outputs in one log."""
    processes = []

    def start(*command: str, **variables: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env=environment | variables,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()
