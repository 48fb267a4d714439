"""A kernel without a hub: what is asked of YARN, and what is believed of the kernel's answer."""

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


def test_the_kernel_has_exactly_what_was_asked_for() -> None:
    spec = specification(KernelRequest(queue="small", memory=512, vcores=2, gpus=1), "/home/alice/keys", SECURITY)
    resources = spec.services["kernel"].resources
    assert (spec.queue, resources.memory, resources.vcores, resources.gpus) == ("small", 512, 2, 1)


def test_its_keys_travel_as_a_file_of_this_application_alone() -> None:
    spec = specification(KernelRequest(), "/home/alice/keys", SECURITY)
    file = spec.services["kernel"].files["connection-keys.json"]
    assert (file.source, str(file.visibility)) == ("file:///home/alice/keys", "APPLICATION")
    assert spec.acls.enable
    assert spec.services["kernel"].env == {}


def test_without_an_environment_the_nodes_have_the_same_python() -> None:
    assert f"{sys.executable} -m yarnspawner.singleuser.kernel" in script()


@pytest.mark.parametrize("archive", ["/home/alice/environment.tar.gz", "hdfs:///envs/environment.zip"])
def test_a_packed_environment_is_unpacked_and_activated(archive: str) -> None:
    spec = specification(KernelRequest(environment=archive), "/home/alice/keys", SECURITY)
    file = spec.services["kernel"].files["environment"]
    assert (str(file.type), str(file.visibility)) == ("ARCHIVE", "APPLICATION")
    assert "source environment/bin/activate\npython -m" in spec.services["kernel"].script


def test_a_public_environment_is_kept_once_a_node() -> None:
    spec = specification(KernelRequest(environment="hdfs:///e.tar.gz", public=True), "/home/alice/keys", SECURITY)
    assert str(spec.services["kernel"].files["environment"].visibility) == "PUBLIC"


def test_an_environment_on_every_node_is_activated_where_it_is() -> None:
    assert "source '/opt/our env'/bin/activate" in script(environment="/opt/our env")


def test_a_port_range_reaches_the_recipe() -> None:
    assert script(port_range="40000:40010").endswith("--port-range=40000:40010")


def test_what_yarn_could_not_make_sense_of_is_said() -> None:
    with pytest.raises(KernelError, match="memory"):
        script(memory=0)


def test_keys_are_new_each_time() -> None:
    first, second = connection_keys(encrypt=True), connection_keys(encrypt=True)
    assert first["key"] != second["key"]
    assert first["curve_secretkey"] != second["curve_secretkey"]
    assert "curve_secretkey" not in connection_keys(encrypt=False)


def test_a_connection_is_what_the_kernel_published_with_our_own_keys() -> None:
    keys = connection_keys(encrypt=True)
    information = connection_information(json.dumps(PUBLISHED | {"key": "another"}).encode(), keys)
    assert information["ip"] == "10.0.0.7"
    assert information["shell_port"] == 40000
    assert information["key"] == keys["key"]
    assert information["curve_secretkey"] == keys["curve_secretkey"]
    assert "require_encryption" not in information


def test_a_kernel_that_cannot_encrypt_is_connected_to_in_the_clear() -> None:
    raw = json.dumps(PUBLISHED | {"encrypted": False}).encode()
    assert "curve_secretkey" not in connection_information(raw, connection_keys(encrypt=True))


def test_unless_encryption_is_required() -> None:
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
def test_anything_else_is_refused(raw: bytes) -> None:
    with pytest.raises(KernelError):
        connection_information(raw, connection_keys(encrypt=False))
