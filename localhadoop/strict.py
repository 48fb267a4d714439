"""What a hardened site has in its Hadoop configuration, where the other test clusters are open or tuned."""

from __future__ import annotations

from localhadoop.certificates import PASSWORD, key_store, trust_store
from localhadoop.settings import REALM, RENAMED, SERVICES, Settings, operator

Files = dict[str, dict[str, str]]

#: Other clusters set these for tests; here Hadoop's own defaults hold.
DEFAULTS = ("yarn.nodemanager.vmem-check-enabled", "yarn.log-aggregation-enable")


def harden(settings: Settings, files: Files, daemon: str | None) -> None:
    """Change the properties of a cluster's files; ``daemon`` is None for clients' files."""
    for name in DEFAULTS:
        del files["yarn-site.xml"][name]
    files["yarn-site.xml"] |= yarn(settings, daemon)
    files["hdfs-site.xml"] |= hdfs(settings)
    if settings.kerberos:
        # With HTTPS a DataNode needs no port below 1024.
        del files["hdfs-site.xml"]["ignore.secure.ports.for.testing"]
        files["core-site.xml"]["hadoop.security.auth_to_local"] = rules()
    files["ssl-client.xml"] = tls(settings, "client")
    if daemon:
        files["ssl-server.xml"] = tls(settings, "server") | {
            "ssl.server.keystore.location": str(key_store(settings)),
            "ssl.server.keystore.type": "pkcs12",
            "ssl.server.keystore.password": PASSWORD,
            "ssl.server.keystore.keypassword": PASSWORD,
        }


def yarn(settings: Settings, daemon: str | None) -> dict[str, str]:
    properties = {
        "yarn.http.policy": "HTTPS_ONLY",
        "yarn.acl.enable": "true",
        "yarn.admin.acl": "yarn" if settings.kerberos else operator(),
    }
    for number, manager in enumerate(settings.resource_managers, start=1):
        suffix = f".rm{number}" if settings.ha else ""
        properties[f"yarn.resourcemanager.webapp.https.address{suffix}"] = settings.address(f"{manager}-web")
    if daemon in settings.node_managers:
        properties["yarn.nodemanager.webapp.https.address"] = settings.address(f"{daemon}-web")
    return properties


def hdfs(settings: Settings) -> dict[str, str]:
    return {
        "dfs.http.policy": "HTTPS_ONLY",
        "dfs.namenode.https-address": settings.address("namenode-web"),
        "dfs.datanode.https.address": settings.address("datanode-web"),
    }


def rules() -> str:
    """Rules that give the principals of services and of the hub the names of their accounts."""
    realm = REALM.replace(".", "[.]")
    lines = []
    for account, first in RENAMED.items():
        parts = 2 if account in SERVICES else 1  # only services have a host in their principal
        lines.append(f"RULE:[{parts}:$1@$0]({first}@{realm})s/.*/{account}/")
    return "\n".join([*lines, "DEFAULT"])


def tls(settings: Settings, side: str) -> dict[str, str]:
    return {
        f"ssl.{side}.truststore.location": str(trust_store(settings)),
        f"ssl.{side}.truststore.type": "pkcs12",
        f"ssl.{side}.truststore.password": PASSWORD,
    }
