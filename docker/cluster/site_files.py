"""Hadoop's configuration for hosts of their own, from that which localhadoop has for one machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hosts import ADDRESSES, DAEMONS, DOMAIN, PORTS, full

from localhadoop import configuration, kdc
from localhadoop.configuration import Properties, keytab
from localhadoop.settings import HUB, REALM, Settings

HADOOP = Path("/opt/hadoop")
PUBLIC = HADOOP / "public"  # the certificate authority, which every host mounts

# A store needs one; its file's mode is the protection.
STORE_PASSWORD = "changeit"  # noqa: S105


@dataclass(frozen=True)
class ClusterSettings(Settings):
    """The settings of a cluster whose daemons have hosts of their own."""

    def host(self, daemon: str) -> str:
        return full(DAEMONS[daemon])

    def ip(self, daemon: str) -> str:
        return ADDRESSES[DAEMONS[daemon]]


def settings() -> ClusterSettings:
    jars = sorted((HADOOP / "share").rglob("*.jar"))
    return ClusterSettings(
        name="cluster",
        directory=str(HADOOP),
        hadoop="3.4",
        java="/usr/lib/jvm/java-17",
        ports=PORTS,
        jars=[str(jar) for jar in jars if "io/trino" not in str(jar)],
        kerberos=True,
        nodes=2,
        ha=True,
        memory=3072,
        vcores=4,
    )


def write(chosen: ClusterSettings, folder: Path, daemon: str | None = None) -> None:
    """Write the configuration folder of clients, or of one daemon."""
    configuration.write(chosen, folder, daemon)
    files = configuration.site_files(chosen, daemon)
    for name, properties in changes(chosen, daemon).items():
        merged = files.get(name, {}) | properties
        kept = {key: value for key, value in merged.items() if value}  # an empty one removes localhadoop's
        (folder / name).write_text(configuration.xml(kept))


def changes(chosen: ClusterSettings, daemon: str | None) -> dict[str, Properties]:
    """Return what differs from one machine, by file."""
    return {
        "core-site.xml": core(),
        "hdfs-site.xml": hdfs(),
        "yarn-site.xml": yarn(chosen, daemon),
        "ssl-server.xml": stores("server", server=daemon is not None),
        "ssl-client.xml": stores("client", server=False),
    }


def core() -> Properties:
    return {
        # Only these hosts, by name, which Hadoop compares with the address of each connection.
        f"hadoop.proxyuser.{HUB}.hosts": full("hub"),
        "hadoop.proxyuser.yarn.hosts": f"{full('rm1')},{full('rm2')}",
        "hadoop.ssl.enabled.protocols": "TLSv1.2,TLSv1.3",
    }


def hdfs() -> Properties:
    return {
        "dfs.http.policy": "HTTPS_ONLY",
        "dfs.namenode.https-address": f"{full('nn')}:9871",
        "dfs.datanode.https.address": "0.0.0.0:9865",
        "ignore.secure.ports.for.testing": "",  # SASL and HTTPS, as a site has them
        "dfs.namenode.kerberos.principal": f"hdfs/_HOST@{REALM}",
        "dfs.datanode.kerberos.principal": f"hdfs/_HOST@{REALM}",
        "dfs.web.authentication.kerberos.principal": f"HTTP/_HOST@{REALM}",
        "dfs.namenode.rpc-bind-host": "0.0.0.0",
        # Without AES, blocks are encrypted with SASL's own ciphers: 120 MB then took more than four minutes.
        "dfs.encrypt.data.transfer.cipher.suites": "AES/CTR/NoPadding",
        "dfs.replication": "2",
    }


def yarn(chosen: ClusterSettings, daemon: str | None) -> Properties:
    properties = {
        "yarn.http.policy": "HTTPS_ONLY",
        # Nine JVMs start at once on one machine; after localhadoop's 5 s, ResourceManagers lose their sessions.
        "hadoop.zk.timeout-ms": "15000",
        "yarn.resourcemanager.hostname": "",
        "yarn.resourcemanager.principal": f"yarn/_HOST@{REALM}",
        "yarn.nodemanager.principal": f"yarn/_HOST@{REALM}",
        "yarn.resourcemanager.webapp.spnego-principal": f"HTTP/_HOST@{REALM}",
    }
    for number in ("1", "2"):
        properties[f"yarn.resourcemanager.hostname.rm{number}"] = full(f"rm{number}")
        properties[f"yarn.resourcemanager.webapp.https.address.rm{number}"] = f"{full(f'rm{number}')}:8090"
    if daemon in chosen.node_managers:
        properties["yarn.nodemanager.webapp.https.address"] = f"{chosen.host(daemon)}:8044"
    return properties


def stores(side: str, *, server: bool) -> Properties:
    """Return where the certificates are: every host's own, and the authority that signed all of them."""
    trust = {
        f"ssl.{side}.truststore.location": str(PUBLIC / "truststore.p12"),
        f"ssl.{side}.truststore.type": "pkcs12",
        f"ssl.{side}.truststore.password": STORE_PASSWORD,
    }
    own = {
        f"ssl.{side}.keystore.location": str(keytab(settings(), "services").with_name("keystore.p12")),
        f"ssl.{side}.keystore.type": "pkcs12",
        f"ssl.{side}.keystore.password": STORE_PASSWORD,
        f"ssl.{side}.keystore.keypassword": STORE_PASSWORD,
    }
    return trust | own if server else trust


def krb5_conf() -> str:
    """Return the realm's file, with the KDC's host."""
    return kdc.KRB5_CONF.format(
        realm=REALM, domain=DOMAIN, address=full("kdc"), port=PORTS["kdc"], encryption=kdc.ENCRYPTION
    )


def kdc_conf(folder: Path) -> str:
    """Return the KDC's file, for a database in ``folder``."""
    return kdc.KDC_CONF.format(realm=REALM, address="0.0.0.0", port=PORTS["kdc"], folder=folder)


def etc_hosts() -> str:
    return "".join(f"{address} {full(host)} {host}\n" for host, address in ADDRESSES.items())
