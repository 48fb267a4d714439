"""Kernels in containers of their own: what a server's application and environment need for them."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from yarnspawner.common.kernel_protocol import SECRET_FILE, KernelOffer, KernelSize
from yarnspawner.hadoop.resourcemanager import ResourceManager, ResourceManagerUnavailable
from yarnspawner.hadoop.scheduler import Resources
from yarnspawner.kernels.request import is_archive
from yarnspawner.launch.request import resolve_setting, resolve_shell
from yarnspawner.launch.specification import KernelService, server_script, shell_command
from yarnspawner.options.kernel_profiles import KernelProfile, read_kernel_limit, read_kernel_profiles
from yarnspawner.settings.typing import SpawnerSettings
from yarnspawner.skein_driver.application_master import HEARTBEAT_JAR, SKEIN_HEARTBEAT, heartbeat_jar

_SERVER_MODULE = "yarnspawner.singleuser"
_KERNEL_MODULE = f"{_SERVER_MODULE}.kernel_container"

# Names of the archives of kernels' environments: with the profile's slug until they are uploaded, then in the container.
_ARCHIVE = "kernel-environment"

# Seconds for YARN to tell its largest container.
_PATIENCE = 3.0


async def plan_kernels(spawner: SpawnerSettings, resource_manager: ResourceManager, queue: str) -> KernelPlan:
    """Return the kernels that a server's user is offered, without those that are larger than YARN's largest container.

    The request for a larger one would end skein's application master, and with it the server.

    Args:
        spawner: its settings describe the kernels.
        resource_manager: asked for the size of the largest container.
        queue: the server's queue.
    """
    if not spawner.kernel_profiles:
        return KernelPlan((), 0, 0, queue, SKEIN_HEARTBEAT)
    groups = [group.name for group in spawner.user.groups]
    profiles = [
        profile
        for profile in read_kernel_profiles(spawner.kernel_profiles)
        if profile.audience.includes(spawner.user.name, groups)
    ]
    largest = await _largest_container(resource_manager, queue)
    too_large = [one for one in profiles if largest and _exceeds(one.size, largest)]
    for profile in too_large:
        spawner.log.warning("kernel_profiles: %s is larger than YARN's largest container", profile.size.slug)
    return KernelPlan(
        tuple(one for one in profiles if one not in too_large),
        *read_kernel_limit(spawner.kernel_limit),
        queue,
        spawner.application_master_heartbeat,
    )


@dataclass(frozen=True)
class KernelPlan:
    """The kernels that one server can start, and what they need in its application.

    Attributes:
        profiles: the offered profiles.
        containers: most kernels at the same time; 0 for no limit.
        memory: most memory of all kernels together in MiB; 0 for no limit.
        queue: the queue in which their containers wait.
        heartbeat: seconds between two requests of the idle application master to the ResourceManager.
    """

    profiles: tuple[KernelProfile, ...]
    containers: int
    memory: int
    queue: str
    heartbeat: float

    @property
    def environment(self) -> dict[str, str]:
        """The server's variable that says which kernels it may start."""
        if not self.profiles:
            return {}
        sizes = tuple(profile.size for profile in self.profiles)
        offer = KernelOffer(sizes, self.containers, self.memory, self.queue)
        return {KernelOffer.variable: offer.to_json()}

    def new_files(self) -> dict[str, bytes]:
        """Return new private files by name.

        The server and its kernels derive their keys from one; the other sets the application master's heartbeat.
        """
        if not self.profiles:
            return {}
        jar = {HEARTBEAT_JAR: heartbeat_jar(self.heartbeat)} if self.heartbeat < SKEIN_HEARTBEAT else {}
        return {SECRET_FILE: secrets.token_bytes(32), **jar}

    @property
    def archives(self) -> dict[str, Any]:
        """The archives of kernels' environments, to be uploaded like ``localize_files``."""
        return {
            _archive_name(profile): {"source": profile.environment, "type": "archive", "visibility": "public"}
            for profile in self.profiles
            if is_archive(profile.environment)
        }

    async def services(
        self, spawner: SpawnerSettings, user: str, archives: Mapping[str, Any], paths: Mapping[str, str]
    ) -> list[KernelService]:
        """Return the services whose containers run the kernels.

        Args:
            spawner: its settings describe the containers.
            user: the Hadoop user.
            archives: :attr:`archives`, or their copies in HDFS.
            paths: local paths of the private files by name.

        Raises:
            TemplateError, SpecificationError, SettingFailed: a setting is invalid.
        """
        if not self.profiles:
            return []
        node_label = await resolve_setting(spawner, "node_label")
        prologue = await resolve_shell(spawner, "prologue")
        return [
            KernelService(
                name=profile.size.service,
                memory=profile.size.memory,
                vcores=profile.size.vcores,
                gpus=profile.size.gpus,
                node_label=profile.node_label or node_label,
                script=_script(spawner, user, profile, prologue),
                files={_ARCHIVE: archives[name]} if (name := _archive_name(profile)) in archives else {},
                private_files={SECRET_FILE: paths[SECRET_FILE]},
            )
            for profile in self.profiles
        ]


def _script(spawner: SpawnerSettings, user: str, profile: KernelProfile, prologue: str) -> str:
    # The server's Python, however the admin's command names it.
    command = shell_command(spawner.cmd, ()).replace(_SERVER_MODULE, _KERNEL_MODULE, 1)
    if profile.environment:
        folder = _ARCHIVE if is_archive(profile.environment) else profile.environment
        prologue = f"source {shlex.quote(folder)}/bin/activate"
    if profile.environment or _KERNEL_MODULE not in command:
        command = f"python -m {_KERNEL_MODULE}"
    return server_script(spawner.script_template, user=user, prologue=prologue, command=command, epilogue="")


def _archive_name(profile: KernelProfile) -> str:
    return f"{_ARCHIVE}-{profile.size.slug}"


def _exceeds(size: KernelSize, largest: Resources) -> bool:
    return size.memory > largest.memory or size.vcores > largest.vcores or size.gpus > (largest.gpus or size.gpus)


async def _largest_container(resource_manager: ResourceManager, queue: str) -> Resources | None:
    """Return the size of YARN's largest container; None if YARN does not tell in time."""
    with contextlib.suppress(asyncio.TimeoutError, ResourceManagerUnavailable):
        found = await asyncio.wait_for(resource_manager.maximum_allocation(queue), _PATIENCE)
        return found or await asyncio.wait_for(resource_manager.maximum_allocation(), _PATIENCE)
    return None
