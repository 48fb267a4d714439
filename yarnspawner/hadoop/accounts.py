"""Accounts on the cluster: which ones servers may run as, and the hub's own."""

from __future__ import annotations

import getpass
import os
import pwd
import re
from collections.abc import Collection

# Accounts of Hadoop's services. LinuxContainerExecutor bans hdfs, yarn, mapred and bin by default (banned.users in
# container-executor.cfg). The other accounts also have access to the data of all users.
SYSTEM_ACCOUNTS = frozenset(
    "root bin daemon nobody hdfs yarn mapred hadoop hbase hive impala kafka knox kudu livy oozie ranger solr spark"
    " sqoop tez zeppelin zookeeper".split()
)

# No setting allows these: they can read the data of all users, or replace YARN itself.
SUPERUSERS = frozenset({"root", "hdfs", "yarn", "mapred"})

# Default for the lowest uid of a user account: the default of min.user.id in container-executor.cfg is 1000.
FIRST_USER_ID = 1000

# Names that useradd and common directories accept, with the dots, at signs and dollars of winbind and SSSD, as YARN may
# report them.
_ACCOUNT_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,254}\$?")


class IdentityRefused(ValueError):
    """No server may run as this Hadoop user; the message is the reason."""


def validate_account(
    name: str, *, hub: str, lowest_uid: int = FIRST_USER_ID, allowed: Collection[str] = frozenset()
) -> str:
    """Return ``name`` if a server may run as this Hadoop user. Blocks while the system looks up the account.

    Args:
        name: short name of a Hadoop user.
        hub: the hub's own Hadoop user. It may impersonate others, so no server runs as it.
        lowest_uid: lowest uid of a user account.
        allowed: system accounts that servers may run as.

    Raises:
        IdentityRefused: it is no account name, a system account, the hub itself, or a principal. Hadoop would map a
            principal to another user.
    """
    if not isinstance(name, str) or not _ACCOUNT_NAME.fullmatch(name):
        raise IdentityRefused(f"{name!r} is not the name of an account.")
    if not is_person(name, hub=hub, allowed=allowed):
        raise IdentityRefused(
            f"{name!r} is a system account of the cluster: no server may run as it (allowed_system_accounts)."
        )
    if "@" in name:
        raise IdentityRefused(
            f"{name!r} is a principal, which Hadoop's rules would map to another user: hadoop_user must be a short name."
        )
    try:
        uid = pwd.getpwnam(name).pw_uid
    except KeyError:
        return name  # the hub's machine does not have to know the cluster's users
    if uid < lowest_uid and name not in allowed:
        raise IdentityRefused(
            f"{name!r} is a system account (uid {uid}): no server may run as it (lowest_uid, allowed_system_accounts)."
        )
    return name


def is_person(name: str, *, hub: str, allowed: Collection[str] = frozenset()) -> bool:
    """Return False if the name alone shows that no server may run as this user: a system account or the hub.

    Args:
        name: of a Hadoop user.
        hub: the hub's own Hadoop user.
        allowed: system accounts that servers may run as.
    """
    # Hadoop takes a name with an at sign for a principal and maps it by hadoop.security.auth_to_local. With simple
    # authentication, or in its own realm, the result is the first part.
    accounts = {name, short_name(name)}
    return bool(_ACCOUNT_NAME.fullmatch(name)) and not any(
        (account.lower() in SYSTEM_ACCOUNTS and name not in allowed) or account == hub for account in accounts
    )


def short_name(principal: str) -> str:
    """Return the first part of a Kerberos principal: ``jupyterhub`` of ``jupyterhub/host@REALM``."""
    return re.split("[/@]", principal)[0]


def hub_account(principal: str | None) -> str:
    """Return the hub's own Hadoop user.

    This is the principal's short name. Without a principal, it is ``HADOOP_USER_NAME``, which Hadoop's clients use with
    simple authentication, or the account of the process.
    """
    if principal:
        return short_name(principal)
    return os.environ.get("HADOOP_USER_NAME") or getpass.getuser()
