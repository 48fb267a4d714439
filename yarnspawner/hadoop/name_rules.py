"""Ask Hadoop for the hub's short name by its own rules (``hadoop.security.auth_to_local``)."""

from __future__ import annotations

import logging
import re
import subprocess
from functools import cache

from yarnspawner.hadoop.accounts import hub_account
from yarnspawner.hadoop.configuration import ConfigurationError, HadoopConfiguration
from yarnspawner.hadoop.kerberos import client_environment

_TIMEOUT = 30.0
# It prints: Name: jupyterhub/hub.example.com@EXAMPLE.COM to svc_jupyterhub
_ANSWER = re.compile(r"^Name: \S+ to (\S+)$", re.MULTILINE)


def mapped_account(principal: str, log: logging.Logger) -> str:
    """Return the hub's own Hadoop user. Without rules, this is :func:`hub_account`.

    With rules, `hadoop kerbname` answers: the rules are Java's regular expressions. It blocks for about a second, once
    for each principal. If it fails, the result is the first part of the principal, with a warning in the log.
    """
    account = hub_account(principal)
    if not principal or not _has_rules():
        return account
    mapped = _ask_hadoop(principal)
    if not mapped:
        log.warning(
            "`hadoop kerbname %s` does not say what hadoop.security.auth_to_local makes of it. The hub counts as %s; if"
            " that is wrong, set c.YarnSpawner.hub_hadoop_user",
            principal,
            account,
        )
    elif mapped != account:
        log.info("By hadoop.security.auth_to_local, the hub's Hadoop user is %s", mapped)
    return mapped or account


def _has_rules() -> bool:
    try:
        rules = HadoopConfiguration.load().get("hadoop.security.auth_to_local", "")
    except ConfigurationError:
        return False
    return rules.strip() not in ("", "DEFAULT")


@cache
def _ask_hadoop(principal: str) -> str:
    try:
        completed = subprocess.run(
            ["hadoop", "kerbname", principal],
            env=client_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return read_kerbname(completed.stdout)


def read_kerbname(answer: str) -> str:
    """Return the user that ``hadoop kerbname`` names in its answer; "" for none."""
    found = _ANSWER.search(answer)
    return found[1] if found else ""
