"""The cluster's own Kerberos: a realm, its database, principals and keytabs; tickets for its users."""

from __future__ import annotations

import os
import pwd
import secrets
import shlex
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from localhadoop.configuration import keytab
from localhadoop.errors import LocalHadoopError
from localhadoop.settings import DOMAIN, HUB, REALM, SERVICES, USERS, Settings
from localhadoop.system import find

#: AES only; Java 17 knows it as well as MIT Kerberos does.
ENCRYPTION = "aes256-cts-hmac-sha1-96 aes128-cts-hmac-sha1-96"

#: Names do not come from DNS, which knows nothing of this machine's loopback addresses; UDP would only cut long answers.
KRB5_CONF = """\
[libdefaults]
    default_realm = {realm}
    dns_lookup_kdc = false
    dns_lookup_realm = false
    dns_canonicalize_hostname = false
    rdns = false
    udp_preference_limit = 1
    ticket_lifetime = 24h
    renew_lifetime = 7d
    forwardable = true
    permitted_enctypes = {encryption}
[realms]
    {realm} = {{
        kdc = {address}:{port}
    }}
[domain_realm]
    localhost = {realm}
    .{domain} = {realm}
"""

KDC_CONF = """\
[kdcdefaults]
    kdc_listen = {address}:{port}
    kdc_tcp_listen = {address}:{port}
[realms]
    {realm} = {{
        database_name = {folder}/principal
        key_stash_file = {folder}/stash
        acl_file = {folder}/kadm5.acl
        max_life = 24h
        max_renewable_life = 7d
        master_key_type = aes256-cts-hmac-sha1-96
        supported_enctypes = aes256-cts-hmac-sha1-96:normal aes128-cts-hmac-sha1-96:normal
    }}
[logging]
    kdc = STDERR
"""

#: A ticket is fetched again after this many seconds; it is good for 24 hours.
FRESH = 3600


def password(user: str) -> str:
    """The password of a user: these are no secrets, the KDC listens on a loopback address."""
    return f"{user}-password"


def create(settings: Settings) -> None:
    """Make the realm: configuration, database, principals and keytabs.

    Raises :class:`LocalHadoopError` with what Kerberos' tools say.
    """
    kerberos = settings.folder / "kerberos"
    database, keytabs, tickets = kerberos / "kdc", kerberos / "keytabs", kerberos / "tickets"
    database.mkdir(parents=True, mode=0o700)
    keytabs.mkdir(mode=0o711)
    tickets.mkdir(mode=0o711)
    names = {
        "realm": REALM,
        "domain": DOMAIN,
        "address": settings.ip("kdc"),
        "port": settings.ports["kdc"],
        "folder": database,
        "encryption": ENCRYPTION,
    }
    (settings.folder / "krb5.conf").write_text(KRB5_CONF.format(**names))
    (database / "kdc.conf").write_text(KDC_CONF.format(**names))
    (database / "kadm5.acl").touch()
    administer(settings, ["kdb5_util", "create", "-s", "-r", REALM, "-P", secrets.token_hex(16)])
    hosts = {settings.host(node) for node in settings.node_managers} | {settings.master}
    services = [*map(settings.principal, SERVICES), *(f"HTTP/{host}" for host in sorted(hosts))]
    file = keytab(settings, "services")
    lines = [f"addprinc -randkey {service}" for service in services]
    lines += [f"ktadd -k {shlex.quote(str(file))} {service}" for service in services]
    for user in (*USERS, HUB):
        principal = settings.principal(user)
        lines.append(f"addprinc -pw {password(user)} {principal}")
        # -norandkey: the password stays valid in addition to the keytab.
        lines.append(f"ktadd -k {shlex.quote(str(keytab(settings, user)))} -norandkey {principal}")
    administer(settings, ["kadmin.local", "-r", REALM], "\n".join(lines) + "\n")
    file.chmod(0o400)
    for user in (*USERS, HUB):
        give(keytab(settings, user), user, 0o400)
    secret = keytab(settings, "http-secret")
    secret.write_text(secrets.token_hex(32))
    secret.chmod(0o400)


def environment(settings: Settings) -> dict[str, str]:
    """The variables by which Kerberos' tools find the realm and its database."""
    profile = settings.folder / "kerberos" / "kdc" / "kdc.conf"
    return {"KRB5_CONFIG": str(settings.folder / "krb5.conf"), "KRB5_KDC_PROFILE": str(profile)}


def administer(settings: Settings, command: list[str], text: str = "") -> None:
    answer = run(settings, command, input=text)
    # kadmin.local reads commands to their end, whatever fails on the way.
    failed = [line for line in answer.stderr.splitlines() if "while" in line or "rror" in line]
    if answer.returncode or failed:
        raise LocalHadoopError(f"{command[0]}: {(failed or answer.stderr.splitlines() or ['failed'])[0].strip()}")


def run(settings: Settings, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    program = find(command[0]) or command[0]
    variables = {**os.environ, **environment(settings), "LC_ALL": "C"}
    return subprocess.run(
        [program, *command[1:]], env=variables, capture_output=True, text=True, timeout=60, check=False, **options
    )


def ticket(settings: Settings, user: str) -> dict[str, str]:
    """The variables by which a program finds a fresh ticket of ``user``, who owns its file.

    Raises :class:`LocalHadoopError` for a user without keytab, or where the KDC gives none.
    """
    cache = settings.folder / "kerberos" / "tickets" / user
    if not cache.exists() or time.time() - cache.stat().st_mtime > FRESH:
        source = keytab(settings, "services" if user in SERVICES else user)
        if not source.exists():
            raise LocalHadoopError(f"there is no user {user!r} in this cluster")
        with tempfile.TemporaryDirectory(dir=cache.parent) as temporary:
            fresh = Path(temporary) / "ticket"
            command = ["kinit", "-c", f"FILE:{fresh}", "-kt", str(source), settings.principal(user)]
            answer = run(settings, command)
            if answer.returncode:
                raise LocalHadoopError(f"no ticket for {user}: {answer.stderr.strip()}")
            give(fresh, user, 0o600)
            fresh.rename(cache)
    return {"KRB5CCNAME": f"FILE:{cache}", "KRB5_CONFIG": str(settings.folder / "krb5.conf")}


def give(file: Path, user: str, mode: int) -> None:
    """Make a file a user's own; those who run daemons are root here."""
    if user not in SERVICES:
        account = pwd.getpwnam(user)
        os.chown(file, account.pw_uid, account.pw_gid)
    file.chmod(mode)


def identity(user: str) -> dict[str, Any]:
    """The options of :func:`subprocess.run` that make a process the user's own."""
    if user in SERVICES:
        return {}
    account = pwd.getpwnam(user)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": os.getgrouplist(user, account.pw_gid)}
