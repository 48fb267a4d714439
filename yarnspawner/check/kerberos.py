"""Check Kerberos: keytab, principal, KDC, clocks and auth_to_local."""

from __future__ import annotations

import os
import re
import shutil
import time
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from yarnspawner.check.context import CheckContext
from yarnspawner.check.reading import error_line
from yarnspawner.check.result import Fix, Result, Step, Unknown, ok, warning, wrong
from yarnspawner.common.text import one_line
from yarnspawner.hadoop.http_client import WebError
from yarnspawner.hadoop.kerberos import KerberosError, TicketCache
from yarnspawner.hadoop.name_rules import read_kerbname

_GROUP = "Kerberos"
# Seconds. Kerberos accepts 300 by default (clockskew in krb5.conf).
_SKEW_LIMIT = 300
_SKEW_WARNING = 60


async def keytab(context: CheckContext) -> Result:
    """Check that the keytab is readable for the hub alone and contains the principal."""
    context.need_kerberos()
    access = context.access
    if not access.keytab:
        raise Unknown("The hub has no keytab.")
    path = Path(access.keytab)
    if not path.exists():
        return wrong(
            f"{path} does not exist.",
            Fix("the hub's configuration", "c.YarnSpawner.keytab", "the path of the hub's keytab"),
            commands=(f'kadmin -q "ktadd -k {path} {access.principal}"',),
        )
    if not os.access(path, os.R_OK):
        return wrong(f"The account that runs this command cannot read {path}.", commands=(f"chown HUB-ACCOUNT {path}",))
    completed = await context.command("klist", "-k", str(path), login=False)
    if completed.status:
        return wrong(f"{path} is no keytab: {one_line(completed.errors, 200)}")
    found = set(re.findall(r"^\s*\d+ (\S+)", completed.output.decode(errors="replace"), re.MULTILINE))
    names = {name.partition("@")[0] if "@" not in access.principal else name for name in found}
    if access.principal not in names:
        return wrong(
            f"{path} does not contain {access.principal}, but {', '.join(sorted(found)) or 'nothing'}.",
            Fix("the hub's configuration", "c.YarnSpawner.principal", min(found, default="the keytab's principal")),
        )
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        return warning(f"{path} has mode {mode:o}: others can read it.", commands=(f"chmod 400 {path}",))
    return ok(f"{path} contains {access.principal}")


async def login(context: CheckContext) -> Result:
    """Check that the KDC accepts the hub's principal and keytab."""
    context.need_kerberos()
    access = context.access
    if not access.keytab:
        completed = await context.command("klist", "-s", login=False)
        if completed.status:
            return wrong("The ticket cache of this account has no valid ticket.", commands=("kinit",))
        return ok("The ticket cache of this account has a valid ticket")
    cache = TicketCache(access.principal, access.keytab)
    since = time.monotonic()
    try:
        await cache.environment()
    except KerberosError as error:
        return _explain(one_line(str(error), 300), context)
    finally:
        cache.close()
    return ok(f"The KDC gave a ticket for {access.principal} in {time.monotonic() - since:.1f} s")


def _explain(reason: str, context: CheckContext) -> Result:
    principal, path = context.access.principal, context.access.keytab
    krb5 = os.environ.get("KRB5_CONFIG", "/etc/krb5.conf")
    if "kinit cannot be run" in reason:
        return wrong(f"{reason}. Install it (package krb5-user or krb5-workstation).")
    if "not found in Kerberos database" in reason:
        return wrong(
            f"The KDC does not know {principal} ({reason}).", commands=(f'kadmin -q "addprinc -randkey {principal}"',)
        )
    if "Preauthentication failed" in reason or "Password incorrect" in reason or "no suitable keys" in reason:
        return wrong(
            f"The keys in {path} are not those of {principal} in the KDC ({reason}). Make a new keytab.",
            commands=(f'kadmin -q "ktadd -k {path} {principal}"',),
        )
    if "Cannot contact" in reason or "Cannot find KDC" in reason or "did not exit" in reason or "resolve" in reason:
        return wrong(
            f"The KDC does not answer ({reason}). Check its address, port 88 and the firewall.",
            Fix(krb5, "[realms] kdc", "the KDC's HOST:PORT"),
        )
    if "skew" in reason:
        return wrong(f"The clocks of this machine and the KDC differ ({reason}).", commands=("chronyc makestep",))
    return wrong(f"The login failed: {reason}")


async def clock(context: CheckContext) -> Result:
    """Compare this machine's clock with those of the KDC and of Hadoop's daemons."""
    context.need_kerberos()
    skews: dict[str, float] = {}
    if (kdc := await _kdc_skew(context)) is not None:
        skews["the KDC"] = kdc
    for url in [*context.resource_managers(), *context.configuration.name_nodes()]:
        before = time.time()
        try:
            header = (await context.web.get(f"{url}/conf?name=hadoop.security.authentication")).headers.get("Date")
        except WebError:
            continue
        if header:
            skews[url] = parsedate_to_datetime(header).timestamp() - before
    if not skews:
        raise Unknown("Neither the KDC nor a daemon tells its time.")
    name, worst = max(skews.items(), key=lambda item: abs(item[1]))
    told = f"{name} is {abs(worst):.0f} s {'ahead of' if worst > 0 else 'behind'} this machine"
    if abs(worst) > _SKEW_LIMIT:
        return wrong(f"{told}, and Kerberos accepts {_SKEW_LIMIT} s.", commands=("chronyc makestep",), skews=skews)
    if abs(worst) > _SKEW_WARNING:
        return warning(f"{told}. Kerberos accepts {_SKEW_LIMIT} s.", commands=("chronyc makestep",), skews=skews)
    return ok(f"This machine's clock agrees with {', '.join(skews)}", skews=skews)


async def _kdc_skew(context: CheckContext) -> float | None:
    """Return the KDC's time minus this machine's, from the start time of a new ticket."""
    if not context.access.keytab or shutil.which("klist") is None:
        return None
    cache = TicketCache(context.access.principal, context.access.keytab)
    try:
        before = time.time()
        path = (await cache.environment())["KRB5CCNAME"]
        completed = await context.command("env", "LC_ALL=C", "klist", "-c", path, login=False)
    except KerberosError:
        return None
    finally:
        cache.close()
    return ticket_time(completed.output.decode(errors="replace"), before)


def ticket_time(listed: str, now: float) -> float | None:
    """Return the start time of the first ticket that klist lists, minus ``now``."""
    found = re.search(r"^(\d\d/\d\d/)(\d\d|\d{4}) (\d\d:\d\d:\d\d)  ", listed, re.MULTILINE)
    if found is None:
        return None
    year = found[2] if len(found[2]) == 4 else f"20{found[2]}"
    started = datetime.strptime(f"{found[1]}{year} {found[3]}", "%m/%d/%Y %H:%M:%S")  # noqa: DTZ007 - local time
    return started.timestamp() - now


async def auth_to_local(context: CheckContext) -> Result:
    """Check that Hadoop maps the hub's principal to its short name."""
    context.need_kerberos()
    principal = context.access.principal
    if not principal:
        raise Unknown("The hub has no principal.")
    completed = await context.command("hadoop", "kerbname", principal, login=False)
    mapped = read_kerbname(completed.output.decode(errors="replace"))
    rule = Fix(
        "core-site.xml of the hub and of all daemons",
        "hadoop.security.auth_to_local",
        f"RULE:[1:$1@$0](^{re.escape(principal)}$)s/.*/{context.hub_user}/ DEFAULT",
    )
    if completed.status or not mapped:
        return wrong(f"Hadoop maps {principal} to no user ({error_line(completed)}).", rule)
    own = context.configuration.get("hadoop.security.auth_to_local", "DEFAULT").split()
    theirs = (await context.resource_manager_configuration()).get("hadoop.security.auth_to_local", "DEFAULT").split()
    if own != theirs:
        return wrong(
            f"Here, Hadoop maps {principal} to {mapped}, but the ResourceManager has other rules.",
            Fix("core-site.xml of the hub", "hadoop.security.auth_to_local", " ".join(theirs)),
        )
    if mapped != context.hub_user:
        return wrong(
            f"Hadoop maps {principal} to {mapped}, but the hub takes itself for {context.hub_user}.",
            Fix("the hub's configuration", "c.YarnSpawner.hub_hadoop_user", repr(mapped)),
        )
    return ok(f"Hadoop maps {principal} to {mapped}")


STEPS = [
    Step(_GROUP, "Keytab", keytab),
    Step(_GROUP, "Login", login),
    Step(_GROUP, "Clock", clock),
    Step(_GROUP, "auth_to_local", auth_to_local),
]
