"""Who a user of the hub is on the cluster, and who the hub is."""

from __future__ import annotations

import getpass
import hashlib
import os
import pwd
import re

# Accounts that Hadoop's own services run as. LinuxContainerExecutor bans hdfs, yarn, mapred and bin by default
# (banned.users of container-executor.cfg); whoever may act as one of the others owns the data of all users as well.
SYSTEM_ACCOUNTS = frozenset(
    "root bin daemon nobody hdfs yarn mapred hadoop hbase hive impala kafka knox kudu livy oozie ranger solr spark"
    " sqoop tez zeppelin zookeeper".split()
)

# The least uid of a person's account: min.user.id of container-executor.cfg is 1000 by default.
FIRST_USER_ID = 1000

# What useradd and the usual directories accept, with the dots, at signs and dollars that winbind and SSSD make, as YARN
# may report it.
_ACCOUNT_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,254}\$?")


class IdentityRefused(ValueError):
    """A user of the hub who may not have a server as the account that the name stands for."""


def validate_account(name: str, *, hub: str) -> str:
    """The Hadoop user ``name``, if a server may run as it.

    Args:
        name: a Hadoop user's short name.
        hub: the hub's own Hadoop user, who may impersonate others and therefore runs no server.

    Raises:
        IdentityRefused: not an account's name, a system account, or the hub itself; or a principal, with which Hadoop
            runs the server as somebody whom nobody has named here.
    """
    if not isinstance(name, str) or not _ACCOUNT_NAME.fullmatch(name):
        raise IdentityRefused(f"{name!r} is not the name of an account.")
    if not is_person(name, hub=hub):
        raise IdentityRefused(f"{name!r} is a system account of the cluster: no server runs as it.")
    if "@" in name:
        raise IdentityRefused(
            f"Hadoop would take {name!r} for whom its rules for principals say: hadoop_user must say who."
        )
    try:
        uid = pwd.getpwnam(name).pw_uid
    except KeyError:
        return name  # The hub's machine need not know the cluster's users; the nodes will tell.
    if uid < FIRST_USER_ID:
        raise IdentityRefused(f"{name!r} is a system account (uid {uid}): no server runs as it.")
    return name


def is_person(name: str, *, hub: str) -> bool:
    """Whether a server may run as ``name``, as far as the name alone tells."""
    # Hadoop takes a name with an at sign for a principal, which hadoop.security.auth_to_local makes a user of: with simple
    # authentication, or in its own realm, the first part.
    accounts = {name, short_name(name)}
    return bool(_ACCOUNT_NAME.fullmatch(name)) and not any(
        account.lower() in SYSTEM_ACCOUNTS or account == hub for account in accounts
    )


def short_name(principal: str) -> str:
    """The first part of a Kerberos principal: ``jupyterhub`` of ``jupyterhub/host@REALM``."""
    return re.split("[/@]", principal)[0]


def hub_account(principal: str | None) -> str:
    """The Hadoop user as whom the hub speaks to the cluster.

    With a keytab its principal's short name; otherwise ``HADOOP_USER_NAME``, as Hadoop's clients take it with simple
    authentication, or the account of the process.
    """
    if principal:
        return short_name(principal)
    return os.environ.get("HADOOP_USER_NAME") or getpass.getuser()


def tag(kind: str, *names: str) -> str:
    """A YARN application tag that stands for exactly these names.

    YARN lower-cases tags, allows ASCII and 100 characters, and separates them with commas
    (``ApplicationSubmissionContext.setApplicationTags``), so names are hashed: two that differ in any way, case
    included, have different tags.
    """
    digest = hashlib.sha256("\0".join(names).encode()).hexdigest()
    return f"yarnspawner-{kind}-{digest[:32]}"
