"""The application of a kernel without a hub, and its connection information."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
import skein

from yarnspawner.kernels.request import (
    KernelError,
    KernelRequest,
    connection_information,
    connection_keys,
    specification,
)

SECURITY = skein.Security(cert_bytes=b"certificate", key_bytes=b"key")
PUBLISHED: dict[str, Any] = {
    "ip": "10.0.0.7",
    "transport": "tcp",
    **{f"{name}_port": 40000 + n for n, name in enumerate(("shell", "iopub", "stdin", "control", "hb"))},
    "encrypted": True,
}


def script(**settings: Any) -> str:
    return specification(KernelRequest(**settings), "/home/alice/keys", SECURITY).services["kernel"].script


def test_resources() -> None:
    """The kernel's container has exactly the requested resources."""
    spec = specification(KernelRequest(queue="small", memory=512, vcores=2, gpus=1), "/home/alice/keys", SECURITY)
    resources = spec.services["kernel"].resources
    assert (spec.queue, resources.memory, resources.vcores, resources.gpus) == ("small", 512, 2, 1)


def test_keys_file() -> None:
    """The keys are a private file of the application."""
    spec = specification(KernelRequest(), "/home/alice/keys", SECURITY)
    file = spec.services["kernel"].files["connection-keys.json"]
    assert (file.source, str(file.visibility)) == ("file:///home/alice/keys", "APPLICATION")
    assert spec.acls.enable
    assert spec.services["kernel"].env == {}


def test_same_python() -> None:
    """Without an environment, nodes use the same Python path."""
    assert f"{sys.executable} -m yarnspawner.singleuser.kernel" in script()


@pytest.mark.parametrize("archive", ["/home/alice/environment.tar.gz", "hdfs:///envs/environment.zip"])
def test_archive(archive: str) -> None:
    """An archive is unpacked and activated."""
    spec = specification(KernelRequest(environment=archive), "/home/alice/keys", SECURITY)
    file = spec.services["kernel"].files["environment"]
    assert (str(file.type), str(file.visibility)) == ("ARCHIVE", "APPLICATION")
    assert "source environment/bin/activate\npython -m" in spec.services["kernel"].script


def test_public_archive() -> None:
    """A public archive has public visibility."""
    spec = specification(KernelRequest(environment="hdfs:///e.tar.gz", public=True), "/home/alice/keys", SECURITY)
    assert str(spec.services["kernel"].files["environment"].visibility) == "PUBLIC"


def test_environment_folder() -> None:
    """An environment on every node is activated in place."""
    assert "source '/opt/our env'/bin/activate" in script(environment="/opt/our env")


def test_port_range() -> None:
    """The recipe gets the port range."""
    assert script(port_range="40000:40010").endswith("--port-range=40000:40010")


def test_invalid_request() -> None:
    """An invalid request raises an error."""
    with pytest.raises(KernelError, match="memory"):
        script(memory=0)


def test_new_keys() -> None:
    """Each connection has new keys."""
    first, second = connection_keys(encrypt=True), connection_keys(encrypt=True)
    assert first["key"] != second["key"]
    assert first["curve_secretkey"] != second["curve_secretkey"]
    assert "curve_secretkey" not in connection_keys(encrypt=False)


def test_connection() -> None:
    """The connection has the published ports and the client's own keys."""
    keys = connection_keys(encrypt=True)
    information = connection_information(json.dumps(PUBLISHED | {"key": "another"}).encode(), keys)
    assert information["ip"] == "10.0.0.7"
    assert information["shell_port"] == 40000
    assert information["key"] == keys["key"]
    assert information["curve_secretkey"] == keys["curve_secretkey"]
    assert "require_encryption" not in information


def test_unencrypted() -> None:
    """A kernel without encryption support is used unencrypted."""
    raw = json.dumps(PUBLISHED | {"encrypted": False}).encode()
    assert "curve_secretkey" not in connection_information(raw, connection_keys(encrypt=True))


def test_encryption_required() -> None:
    """With required encryption, an unencrypted kernel is an error."""
    raw = json.dumps(PUBLISHED | {"encrypted": False}).encode()
    with pytest.raises(KernelError, match="does not encrypt"):
        connection_information(raw, connection_keys(encrypt=True, require_encryption=True))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"null",
        b"[" * 4000,
        b" " * 5000,
        json.dumps(PUBLISHED | {"ip": "evil.example.com/"}).encode(),
        json.dumps(PUBLISHED | {"shell_port": 0}).encode(),
        json.dumps(PUBLISHED | {"shell_port": "22"}).encode(),
        json.dumps(PUBLISHED | {"shell_port": True}).encode(),
        json.dumps({"ip": "10.0.0.7"}).encode(),
    ],
)
def test_invalid_information(raw: bytes) -> None:
    """Invalid connection information is rejected."""
    with pytest.raises(KernelError):
        connection_information(raw, connection_keys(encrypt=False))
