"""Check log aggregation, the lifetime of tokens, and the key server."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from yarnspawner.check.context import CheckContext
from yarnspawner.check.reading import is_true
from yarnspawner.check.result import Fix, NotUsed, Result, Step, Unknown, ok, warning, wrong
from yarnspawner.hadoop.filesystem import FileSystemError
from yarnspawner.hadoop.http_client import WebError

_GROUP = "Services"
_DAY = 86_400_000  # milliseconds
_MAX_LIFETIME = "dfs.namenode.delegation.token.max-lifetime"
_RENEWAL = "dfs.namenode.delegation.token.renew-interval"


async def log_aggregation(context: CheckContext) -> Result:
    """Check that YARN keeps the logs of finished applications, and for how long."""
    name = "yarn.log-aggregation-enable"
    found = await context.resource_manager_configuration()
    on = Fix("yarn-site.xml of the ResourceManager and the NodeManagers", name, "true")
    nodes: Mapping[str, Mapping[str, str]] = {}
    with contextlib.suppress(Unknown):
        nodes = await context.node_configurations()
    off = [node for node, its in nodes.items() if not is_true(its, name)]
    if not is_true(found, name) or off:
        return warning("Log aggregation is off: the page of a failed start cannot show the end of its log.", on)
    folder = found.get("yarn.nodemanager.remote-app-log-dir", "/tmp/logs")  # noqa: S108 - in HDFS
    try:
        entries = await context.file_system().stat([folder])
    except FileSystemError as error:
        raise Unknown(f"{folder} cannot be looked at: {error}.") from None
    if entries and entries[0].mode & 0o1777 != 0o1777:
        return wrong(
            f"{folder} in HDFS has mode {entries[0].mode:o}, so users' logs cannot be stored there.",
            commands=(f"hdfs dfs -chmod 1777 {folder}    # as HDFS's superuser",),
        )
    seconds = int(found.get("yarn.log-aggregation.retain-seconds", "-1") or -1)
    kept = "without a limit" if seconds < 0 else f"for {seconds / 3600:.0f} hours"
    return ok(f"Logs are kept {kept} in {folder}")


async def tokens(context: CheckContext) -> Result:
    """Check whether servers can outlive their HDFS tokens."""
    context.need_kerberos()
    found = await context.name_node_configuration()
    longest, renewal = int(found.get(_MAX_LIFETIME, 7 * _DAY)), int(found.get(_RENEWAL, _DAY))
    told = f"HDFS tokens are renewed every {_days(renewal)} and end after {_days(longest)}"
    limit = int(context.settings.maximum_lifetime)
    if 0 < limit * 1000 <= longest:
        return ok(f"{told}; servers end earlier (maximum_lifetime is {limit} s)")
    name = "yarn.resourcemanager.proxy-user-privileges.enabled"
    manager = await context.resource_manager_configuration()
    if not is_true(manager, name):
        file = "yarn-site.xml of the ResourceManager"
        core = "core-site.xml of the NameNode"
        return warning(
            f"{told}. An older server cannot use HDFS any more. Let YARN fetch new tokens, or set maximum_lifetime.",
            Fix(file, name, "true"),
            Fix(core, "hadoop.proxyuser.yarn.hosts", "the ResourceManagers' hosts"),
            Fix(core, "hadoop.proxyuser.yarn.users", "*"),
        )
    if not (found.get("hadoop.proxyuser.yarn.users") or found.get("hadoop.proxyuser.yarn.groups")):
        return warning(
            f"{told}. YARN is set to fetch new ones ({name}), but the NameNode does not allow yarn to impersonate users.",
            Fix("core-site.xml of the NameNode", "hadoop.proxyuser.yarn.users", "*"),
        )
    return ok(f"{told}; YARN fetches new ones")


async def key_server(context: CheckContext) -> Result:
    """Check that the key server (KMS) answers and allows the hub to impersonate users."""
    configuration = context.configuration
    provider = configuration.get("hadoop.security.key.provider.path") or configuration.get(
        "dfs.encryption.key.provider.uri", ""
    )
    if not provider.strip():
        raise NotUsed("no key server is configured (hadoop.security.key.provider.path)")
    url = kms_url(provider)
    user = context.hadoop_user
    ask = f"{url}/v1/keys/names" + (f"?doAs={quote(user)}" if user else "")
    try:
        response = await context.web.get(ask)
    except WebError as error:
        return wrong(
            f"The key server does not answer: {error}.",
            Fix(f"{context.folder}/core-site.xml", "hadoop.security.key.provider.path", "kms://https@HOST:9600/kms"),
        )
    if response.status in (401, 403) and b"impersonate" in response.body:
        hub, file = context.hub_user, "kms-site.xml of the key server"
        return wrong(
            f"The key server refuses {hub} as {user}.",
            Fix(file, f"hadoop.kms.proxyuser.{hub}.hosts", "the hub's host"),
            Fix(file, f"hadoop.kms.proxyuser.{hub}.users", user),
        )
    return ok(f"{url} answers (HTTP {response.status})")


def kms_url(provider: str) -> str:
    """Return the web address of a provider such as ``kms://https@kms1;kms2:9600/kms``.

    Raises:
        Unknown: the provider is no key server.
    """
    parts = urlsplit(provider.strip())
    found = re.fullmatch(r"(https?)@([^;:@]+)(?:;[^:@]*)?:(\d+)", parts.netloc)
    if parts.scheme != "kms" or found is None:
        raise Unknown(f"{provider} is not the address of a key server.")
    return f"{found[1]}://{found[2]}:{found[3]}{parts.path}"


def _days(milliseconds: int) -> str:
    return f"{milliseconds / _DAY:g} days" if milliseconds % _DAY == 0 else f"{milliseconds / 3_600_000:g} hours"


STEPS = [
    Step(_GROUP, "Log aggregation", log_aggregation),
    Step(_GROUP, "Token lifetimes", tokens),
    Step(_GROUP, "Key server", key_server),
]
