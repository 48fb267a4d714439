"""Kernels in containers, from the admin's setting to the application."""

from __future__ import annotations

import io
import zipfile
from typing import Any
from xml.etree import ElementTree as ET

from yarnspawner.common.kernel_protocol import SECRET_FILE, KernelOffer
from yarnspawner.launch.kernels import KernelPlan, plan_kernels
from yarnspawner.launch.specification import ENVIRONMENT_FILE, application_specification
from yarnspawner.options.kernel_profiles import read_kernel_profiles
from yarnspawner.skein_driver.application_master import HEARTBEAT_JAR

PROFILES = [
    {"slug": "small", "memory": "1 G"},
    {"slug": "analysts", "memory": "2 G", "allowed_groups": ["analysts"]},
    {"slug": "vast", "memory": "32 G"},
    {"slug": "torch", "memory": "1 G", "environment": "hdfs:///torch.tar.gz", "node_label": "gpu"},
]
PATHS = {SECRET_FILE: "/tmp/secret", ENVIRONMENT_FILE: "/tmp/environment"}


async def planned(spawner: Any) -> KernelPlan:
    return await plan_kernels(spawner, spawner.resource_manager, "default")


async def test_no_kernel_profiles(spawner_of: Any) -> None:
    """Without kernel profiles, the application has no additional variables, files, archives or services."""
    spawner = spawner_of()
    plan = await planned(spawner)
    assert (plan.environment, plan.new_files(), plan.archives) == ({}, {}, {})
    assert await plan.services(spawner, "alice", {}, PATHS) == []


async def test_offered_sizes(spawner_of: Any) -> None:
    """A user gets only the offered sizes that fit into the queue's largest container, which has 8 GiB."""
    spawner = spawner_of(kernel_profiles=PROFILES, kernel_limit={"containers": 2, "memory": "4 G"})
    offer = KernelOffer.from_json((await planned(spawner)).environment[KernelOffer.variable])
    assert [size.slug for size in offer.sizes] == ["small", "torch"]
    assert (offer.containers, offer.memory, offer.queue) == (2, 4096, "default")


async def test_each_server_has_its_secret(spawner_of: Any) -> None:
    """Each server has its own secret of 32 bytes."""
    plan = await planned(spawner_of(kernel_profiles=PROFILES))
    one, other = (plan.new_files()[SECRET_FILE] for _ in range(2))
    assert len(one) == 32
    assert one != other


async def test_short_heartbeat(spawner_of: Any) -> None:
    """A shorter heartbeat is a final value in the configuration that Hadoop reads before its own default."""
    spawner = spawner_of(kernel_profiles=PROFILES, application_master_heartbeat=0.5)
    with zipfile.ZipFile(io.BytesIO((await planned(spawner)).new_files()[HEARTBEAT_JAR])) as jar:
        assert jar.namelist() == ["hadoop-site.xml"]
        (setting,) = ET.fromstring(jar.read("hadoop-site.xml"))  # noqa: S314 - our own
    assert [part.text for part in setting] == ["yarn.am.liveness-monitor.expiry-interval-ms", "1000", "true"]


async def test_default_heartbeat(spawner_of: Any) -> None:
    """Skein's default heartbeat needs no configuration file."""
    plan = await planned(spawner_of(kernel_profiles=PROFILES, application_master_heartbeat=5))
    assert list(plan.new_files()) == [SECRET_FILE]


async def test_script_of_a_kernel(spawner_of: Any) -> None:
    """A kernel's script is the server's with the kernel's recipe and environment, and without the epilogue."""
    spawner = spawner_of(
        kernel_profiles=PROFILES,
        prologue="source /opt/jupyter/bin/activate",
        epilogue="rm -rf scratch",
        cmd="/opt/python -m yarnspawner.singleuser",
    )
    plan = await planned(spawner)
    small, torch = await plan.services(spawner, "alice", plan.archives, PATHS)
    assert "source /opt/jupyter/bin/activate" in small.script
    assert "/opt/python -m yarnspawner.singleuser.kernel_container\n" in small.script
    assert "scratch" not in small.script
    assert "/opt/jupyter" not in torch.script
    assert "source kernel-environment/bin/activate" in torch.script
    assert "\npython -m yarnspawner.singleuser.kernel_container\n" in torch.script
    assert torch.files["kernel-environment"]["source"] == "hdfs:///torch.tar.gz"
    assert torch.node_label == "gpu"


def test_folder_as_environment() -> None:
    """An environment that is a folder on the nodes is no archive to copy."""
    (profile,) = read_kernel_profiles([{"memory": "1 G", "environment": "/opt/torch"}])
    assert not KernelPlan((profile,), 0, 0, "default", 1.0).archives


async def test_kernel_service(spawner_of: Any) -> None:
    """A kernel's service starts with no container, and its failure does not end the application."""
    from tests.unit.launch.test_specification import request

    spawner = spawner_of(kernel_profiles=PROFILES[:1])
    services = await (await planned(spawner)).services(spawner, "alice", {}, PATHS)
    service = application_specification(request(kernels=services)).services["kernel-small"]
    assert service.instances == 0
    assert service.allow_failures
    assert service.max_restarts == 0
    assert service.resources.memory == 1024
    assert service.files[SECRET_FILE].source == "file:///tmp/secret"
    assert str(service.files[SECRET_FILE].visibility) == "APPLICATION"
