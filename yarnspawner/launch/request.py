"""Build a server's request from its spawner's settings and its user."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import skein

from yarnspawner.common.notebook_storage import VARIABLE as NOTEBOOK_STORAGE_VARIABLE
from yarnspawner.common.string_templates import queue_username, substitute, template_fields
from yarnspawner.hadoop.accounts import validate_account
from yarnspawner.hadoop.resourcemanager import ResourceManager, ResourceManagerUnavailable
from yarnspawner.hub.context import HubContext
from yarnspawner.launch.hooks import SettingFailed, call_hook, expand_setting
from yarnspawner.launch.node_text import NodeText
from yarnspawner.launch.specification import (
    ENVIRONMENT_FILE,
    KernelService,
    ServerRequest,
    server_script,
    shell_command,
)
from yarnspawner.settings.typing import SpawnerSettings
from yarnspawner.skein_driver import SKEIN_JAR_NAME
from yarnspawner.skein_driver.application_master import HEARTBEAT_JAR
from yarnspawner.state.credentials import Credentials
from yarnspawner.state.server_state import ServerState
from yarnspawner.yarn.tags import server_tags


def resource_manager_of(context: HubContext) -> ResourceManager:
    """Return the client of the ResourceManager's web service.

    Raises:
        SettingFailed: Hadoop's configuration does not say where the ResourceManager is.
    """
    try:
        return context.access.resource_manager
    except ResourceManagerUnavailable as error:
        context.access.log.error("No server can start: %s", error)  # noqa: TRY400 - it says what is missing
        raise SettingFailed(f"The hub cannot find its cluster: {error}.") from None


async def resolve_setting(spawner: SpawnerSettings, name: str, value: Any = None) -> str:
    """Return the text of a setting that is a template or a callable.

    Args:
        spawner: whose setting it is.
        name: of the setting.
        value: the template or callable, if it is not the setting's own value.

    Raises:
        SettingFailed: the callable raised an exception, or returned no text.
        TemplateError: the template has an unknown field.
    """
    value = getattr(spawner, name) if value is None else value
    if not callable(value):
        return expand_setting(name, value, await setting_fields(spawner, value))
    return await _text_of(spawner, name, value)


async def resolve_shell(spawner: SpawnerSettings, name: str) -> str:
    """Return the shell commands of a setting: a template with quoted fields, or what its callable returns.

    Raises:
        SettingFailed: the callable raised an exception, or returned no text.
    """
    value = getattr(spawner, name)
    if callable(value):
        return await _text_of(spawner, name, value)
    return substitute(value, await setting_fields(spawner, value), quoted=shlex.quote)


async def setting_fields(spawner: SpawnerSettings, template: str) -> dict[str, str]:
    """Return the value of each field that a template may use.

    ``{queue_username}`` is made from the Hadoop user, because YARN does not know the hub's name of the user.

    Raises:
        SettingFailed: the callable of ``hadoop_user`` raised an exception.
        TemplateError: the template of ``hadoop_user`` has an unknown field.
    """
    fields = template_fields(spawner.user, spawner.name)
    if "{queue_username}" in template and spawner.hadoop_user != type(spawner).hadoop_user.default():
        name = await _mapped_name(spawner)
        if isinstance(name, str):  # otherwise, the start itself reports it
            fields["queue_username"] = queue_username(name)
    return fields


async def _text_of(spawner: SpawnerSettings, name: str, function: Callable[..., Any]) -> str:
    text = await call_hook(name, function, spawner, log=spawner.log)
    if not isinstance(text, str):
        raise SettingFailed(f"The hub's setting {name} returned {type(text).__name__}, not a text.")
    return text


async def resolve_hadoop_user(spawner: SpawnerSettings, *, hub_user: str) -> str:
    """Return the Hadoop user that the server runs as.

    Raises:
        IdentityRefused: the name is a system account, the hub's own account, or not a valid account name.
        SettingFailed: the setting's callable raised an exception.
        TemplateError: the setting's template has an unknown field.
    """
    name = await _mapped_name(spawner)
    # A directory service can take long to look up the account.
    return await asyncio.to_thread(
        validate_account,
        name,
        hub=hub_user,
        lowest_uid=spawner.lowest_uid,
        allowed=frozenset(spawner.allowed_system_accounts),
    )


async def _mapped_name(spawner: SpawnerSettings) -> Any:
    """Return the Hadoop user as the setting has it. A callable can return anything."""
    if callable(spawner.hadoop_user):
        return await call_hook("hadoop_user", spawner.hadoop_user, spawner, log=spawner.log)
    return expand_setting("hadoop_user", spawner.hadoop_user, template_fields(spawner.user, spawner.name))


def container_environment(spawner: SpawnerSettings) -> dict[str, str]:
    """Return the server's environment, including its secrets."""
    fields = template_fields(spawner.user, spawner.name)
    environment = {name: str(value) for name, value in spawner.get_env().items() if value is not None}
    for name, written in spawner.environment.items():
        # JupyterHub's variables override the admin's. They can contain braces and are no templates.
        if isinstance(written, str) and environment.get(name) == written:
            environment[name] = NodeText.of(written, fields)
        elif callable(written) and name in environment and not name.startswith("JUPYTERHUB_"):
            environment[name] = NodeText.of(environment[name], {})
    environment["YARNSPAWNER_LOG_LIMIT"] = str(spawner.log_limit)
    environment["YARNSPAWNER_START_TIMEOUT"] = str(spawner.start_timeout)
    if spawner.notebook_storage != "detect":
        environment[NOTEBOOK_STORAGE_VARIABLE] = spawner.notebook_storage
    if spawner.port_range:
        environment["YARNSPAWNER_PORT_RANGE"] = "{}:{}".format(*spawner.port_range)
    return environment


async def build_request(
    spawner: SpawnerSettings,
    server: ServerState,
    credentials: Credentials,
    paths: dict[str, str],
    *,
    files: Mapping[str, Any],
    skein_jar: str,
    hub_id: str,
    hub_user: str,
    kernels: Sequence[KernelService] = (),
) -> ServerRequest:
    """Return the request for a server's application.

    Args:
        spawner: its settings describe the server.
        server: the state of this start.
        credentials: those of this start's key-value store.
        paths: local paths of the private files by name in the container, including the environment file and the jar with the
            application master's heartbeat.
        files: the admin's files, from :func:`localized_files` or as shared copies.
        skein_jar: URL of a public copy of skein's jar; "" if there is none.
        hub_id: this hub's id.
        hub_user: the hub's Hadoop user.
        kernels: the containers that the server can add for its kernels.

    Raises:
        TemplateError: a template has an unknown field.
        SpecificationError: a setting is invalid.
    """
    master_files = {SKEIN_JAR_NAME: skein.File(skein_jar, type="file", visibility="public")} if skein_jar else {}
    if HEARTBEAT_JAR in paths:
        master_files[HEARTBEAT_JAR] = skein.File(paths[HEARTBEAT_JAR], type="file", visibility="application")
    return ServerRequest(
        name=await resolve_setting(spawner, "application_name"),
        user=server.hadoop_user,
        hub_user=hub_user,
        queue=server.queue,
        memory=spawner.mem_limit,
        application_master_memory=spawner.application_master_memory,
        vcores=spawner.cpu_limit,
        gpus=spawner.gpus,
        node_label=await resolve_setting(spawner, "node_label"),
        tags=server_tags(hub_id, spawner.user.name, spawner.name, server.start_id) | frozenset(spawner.tags),
        script=server_script(
            spawner.script_template,
            user=server.hadoop_user,
            prologue=await resolve_shell(spawner, "prologue"),
            command=shell_command(spawner.cmd, spawner.get_args()),
            epilogue=await resolve_shell(spawner, "epilogue"),
        ),
        environment_path=paths[ENVIRONMENT_FILE],
        private_files={name: path for name, path in paths.items() if name not in (ENVIRONMENT_FILE, HEARTBEAT_JAR)},
        files=files,
        master_files=master_files,
        credentials=credentials,
        java_options=spawner.application_master_java_options,
        log_level=spawner.application_master_log_level,
        server_container=spawner.server_container,
        container_image=spawner.container_image,
        file_systems=spawner.file_systems,
        kernels=kernels,
    )


async def localized_files(spawner: SpawnerSettings) -> dict[str, Any]:
    """Return ``localize_files`` with the fields of its templates filled in, or what its callable returns.

    Raises:
        SettingFailed: the callable raised an exception, or returned no dict.
    """
    written = spawner.localize_files
    if not callable(written):
        fields = await setting_fields(spawner, str(written))
        return {name: _localized(source, fields) for name, source in written.items()}
    files = await call_hook("localize_files", written, spawner, log=spawner.log)
    if not isinstance(files, Mapping):
        raise SettingFailed(f"The hub's setting localize_files returned {type(files).__name__}, not a dict.")
    return dict(files)


def _localized(source: Any, fields: Mapping[str, str]) -> Any:
    """Return a file's source with its template's fields filled in."""
    if isinstance(source, str):
        return substitute(source, fields)
    if isinstance(source, dict) and isinstance(source.get("source"), str):
        return {**source, "source": substitute(source["source"], fields)}
    return source
