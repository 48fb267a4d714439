"""From a spawner's settings and its user to what its server needs."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping
from typing import Any

import skein

from yarnspawner.common.string_templates import substitute, template_fields
from yarnspawner.hadoop.accounts import validate_account
from yarnspawner.hadoop.resourcemanager import ResourceManager, ResourceManagerUnavailable
from yarnspawner.hub.context import HubContext
from yarnspawner.launch.hooks import SettingFailed, call_hook, expand_setting
from yarnspawner.launch.specification import ENVIRONMENT_FILE, ServerRequest, server_script, shell_command
from yarnspawner.settings.typing import SpawnerSettings
from yarnspawner.skein_driver import SKEIN_JAR_NAME
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


async def resolve_hadoop_user(spawner: SpawnerSettings, *, hub_user: str) -> str:
    """The Hadoop user as whom the server runs.

    Raises:
        IdentityRefused: a system account, the hub's own, or no account's name.
        SettingFailed: the setting's callable raised something.
        TemplateError: the setting's template has an unknown field.
    """
    mapping = spawner.hadoop_user
    if callable(mapping):
        name = await call_hook("hadoop_user", mapping, spawner, log=spawner.log)
    else:
        name = expand_setting("hadoop_user", mapping, template_fields(spawner.user, spawner.name))
    # A directory service may take its time to say who that is.
    return await asyncio.to_thread(validate_account, name, hub=hub_user)


def container_environment(spawner: SpawnerSettings) -> dict[str, str]:
    """The server's environment, secrets included."""
    fields = template_fields(spawner.user, spawner.name)
    environment = {name: str(value) for name, value in spawner.get_env().items() if value is not None}
    for name, written in spawner.environment.items():
        # JupyterHub's own variables win over the admin's; and they may have anything in them.
        if isinstance(written, str) and environment.get(name) == written:
            environment[name] = substitute(written, fields)
    environment["YARNSPAWNER_LOG_LIMIT"] = str(spawner.log_limit)
    environment["YARNSPAWNER_START_TIMEOUT"] = str(spawner.start_timeout)
    if spawner.port_range:
        environment["YARNSPAWNER_PORT_RANGE"] = "{}:{}".format(*spawner.port_range)
    return environment


def build_request(
    spawner: SpawnerSettings,
    server: ServerState,
    credentials: Credentials,
    paths: dict[str, str],
    *,
    files: Mapping[str, Any],
    skein_jar: str,
    hub_id: str,
    hub_user: str,
) -> ServerRequest:
    """All that decides how the server's application looks.

    Args:
        server, credentials: of this start.
        paths: of the private files: name in the container to local path, the environment's among them.
        files: of the admin, as :func:`localized_files` gives them, or as shared copies.
        skein_jar: URL of a public copy of skein's jar, "" if there is none.
        hub_id, hub_user: which hub this is, and as whom it speaks to the cluster.

    Raises:
        TemplateError, SpecificationError: a setting from which no application can be made.
    """
    fields = template_fields(spawner.user, spawner.name)
    return ServerRequest(
        name=expand_setting("application_name", spawner.application_name, fields),
        user=server.hadoop_user,
        hub_user=hub_user,
        queue=server.queue,
        memory=spawner.mem_limit,
        application_master_memory=spawner.application_master_memory,
        vcores=spawner.cpu_limit,
        gpus=spawner.gpus,
        node_label=expand_setting("node_label", spawner.node_label, fields),
        tags=server_tags(hub_id, spawner.user.name, spawner.name, server.start_id) | frozenset(spawner.tags),
        script=server_script(
            spawner.script_template,
            user=server.hadoop_user,
            prologue=substitute(spawner.prologue, fields, quoted=shlex.quote),
            command=shell_command(spawner.cmd, spawner.get_args()),
            epilogue=substitute(spawner.epilogue, fields, quoted=shlex.quote),
        ),
        environment_path=paths[ENVIRONMENT_FILE],
        private_files={name: path for name, path in paths.items() if name != ENVIRONMENT_FILE},
        files=files,
        master_files={SKEIN_JAR_NAME: skein.File(skein_jar, type="file", visibility="public")} if skein_jar else {},
        credentials=credentials,
        java_options=spawner.application_master_java_options,
        log_level=spawner.application_master_log_level,
        server_container=spawner.server_container,
        container_image=spawner.container_image,
        file_systems=spawner.file_systems,
    )


def localized_files(spawner: SpawnerSettings) -> dict[str, Any]:
    """What the admin wants in the container: ``localize_files``, with its templates' fields filled in."""
    fields = template_fields(spawner.user, spawner.name)
    return {name: _localized(source, fields) for name, source in spawner.localize_files.items()}


def _localized(source: Any, fields: Mapping[str, str]) -> Any:
    """A file's source, with its template's fields filled in."""
    if isinstance(source, str):
        return substitute(source, fields)
    if isinstance(source, dict) and isinstance(source.get("source"), str):
        return {**source, "source": substitute(source["source"], fields)}
    return source
