"""Why a submission failed: outages that pass by themselves, and problems that an administrator must solve."""

from __future__ import annotations

from yarnspawner.diagnosis.cause import ADMIN, Cause

# Retries cannot succeed. Each names the hub's own settings; the hub's log has the details.
LASTING = [
    Cause(
        r"The keytab (?P<path>\S+) (?P<fault>does not exist|cannot be read)",
        says="The hub cannot log in to Kerberos: its keytab {fault}.",
        remedy=ADMIN + "the hub expects it as {path}.",
    ),
    Cause(
        "failure to login: for principal",
        "Unable to obtain (?:password|Principal)",
        "not found in Kerberos database",
        "Keytab contains no suitable keys",
        "Preauthentication failed",
        r"Pre-authentication information was invalid",
        r"Exception: Checksum failed",
        r"Integrity check on decrypted field failed",
        says="The hub cannot log in to Kerberos with its keytab.",
        remedy=ADMIN
        + "check the hub's principal, and that its keytab is there, readable by the hub and of the current key.",
    ),
    Cause(
        "Set both the principal and the keytab",
        says="The hub cannot talk to YARN: only one of its settings principal and keytab is set.",
        remedy=ADMIN + "set both, or neither.",
    ),
    Cause(
        "^No Java: JAVA_HOME is (?P<home>.+), where there is no bin/java",
        says="The hub cannot talk to YARN: there is no Java in {home}, which JAVA_HOME names.",
        remedy=ADMIN + "set JAVA_HOME in the hub's environment to the folder of a Java installation.",
    ),
    Cause(
        "^No Java:",
        says="The hub cannot talk to YARN: it finds no Java.",
        remedy=ADMIN + "set JAVA_HOME in the hub's environment to the folder of a Java installation.",
    ),
    Cause(
        "^No `yarn` command",
        says="The hub cannot talk to YARN: there is no yarn command on its PATH.",
        remedy=ADMIN + "install Hadoop's client on the hub's machine, and add its bin folder to the hub's PATH.",
    ),
    Cause(
        "^(?P<folder>[^\n]{1,500}) holds no Hadoop configuration",
        says="The hub cannot talk to YARN: there is no Hadoop configuration in {folder}.",
        remedy=ADMIN + "set HADOOP_CONF_DIR in the hub's environment to the folder of yarn-site.xml.",
    ),
]

# Without a remedy, each is followed by "The start goes on when it does."
PASSING = [
    Cause(
        "safe ?mode",
        says="Hadoop's file system (HDFS) is in safe mode and does not take files yet.",
    ),
    Cause(
        "Cannot contact any KDC",
        "Cannot locate KDC",
        r"LoginException: (?:Connection refused|Receive timed out|ICMP Port Unreachable)",
        r"Mechanism level: (?:Connection refused|Receive timed out|ICMP Port Unreachable)",
        # All that a driver does when it starts is to log in.
        r"driver did not start: java\.net\.(?:Connect|SocketTimeout|PortUnreachable|NoRouteToHost)Exception",
        says="Kerberos (its KDC) does not answer the hub.",
    ),
    Cause(
        r"Call From \S+ to (?P<address>\S+) failed on",
        says="Hadoop does not answer at {address}.",
    ),
    Cause(
        "The hub has no (?:valid )?Kerberos ticket",
        says="The hub has no valid Kerberos ticket.",
        remedy=ADMIN + "check the hub's keytab and principal. The start goes on when it has a ticket.",
    ),
]

# A driver that always ends does not come back by itself, unless it ends for a reason that passes.
BROKEN = [
    Cause(
        r"^The YARN driver (?:did not start|left): (?P<words>.*) \(\d+ drivers in a row ended by themselves\)$",
        says="The hub's connection to YARN does not start: {words}.",
        remedy=ADMIN + "the hub's log has the whole error.",
    ),
]
