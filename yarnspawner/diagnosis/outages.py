"""Why a submission failed: outages that pass by themselves, and problems that an administrator must solve."""

from __future__ import annotations

from yarnspawner.diagnosis.cause import Cause

LOG_IN = "Run kinit, or use --principal and --keytab."
CHECK_KEYTAB = "Check --principal and --keytab; `klist -kt FILE` lists the principals of a keytab."

# Retries cannot succeed. Each names the hub's own settings; the hub's log has the details.
PERMANENT = [
    Cause(
        "keytab-missing",
        r"The keytab (?P<path>\S+) (?P<fault>does not exist|cannot be read)",
        message="The hub cannot log in to Kerberos: its keytab {fault}.",
        admin="the hub expects it at {path}.",
        direct_message="The keytab {path} {fault}.",
        direct_remedy="",
        ours=True,
    ),
    Cause(
        "kerberos-login",
        "failure to login: for principal",
        "Unable to obtain (?:password|Principal)",
        "not found in Kerberos database",
        "Keytab contains no suitable keys",
        "Preauthentication failed",
        r"Pre-authentication information was invalid",
        r"Exception: Checksum failed",
        r"Integrity check on decrypted field failed",
        message="The hub cannot log in to Kerberos with its keytab.",
        admin="check the hub's principal, and that its keytab exists, is readable by the hub and has the current key.",
        direct_message="Kerberos rejects this principal with this keytab.",
        direct_remedy=CHECK_KEYTAB,
    ),
    Cause(
        "keytab-incomplete",
        "Set both the principal and the keytab",
        message="The hub cannot connect to YARN: only one of its settings principal and keytab is set.",
        admin="set both, or neither.",
        direct_message="Only one of --principal and --keytab is set.",
        direct_remedy="Set both, or neither.",
        ours=True,
    ),
    Cause(
        "java-home",
        "^No Java: JAVA_HOME is (?P<home>.+), which has no bin/java",
        message="The hub cannot connect to YARN: JAVA_HOME is {home}, where Java is not installed.",
        admin="set JAVA_HOME in the hub's environment to the folder of a Java installation.",
        direct_message="JAVA_HOME is {home}, where Java is not installed.",
        direct_remedy="Set JAVA_HOME to the folder of a Java installation.",
        ours=True,
    ),
    Cause(
        "java-missing",
        "^No Java:",
        message="The hub cannot connect to YARN: it cannot find Java.",
        admin="set JAVA_HOME in the hub's environment to the folder of a Java installation.",
        direct_message="Java was not found.",
        direct_remedy="Set JAVA_HOME to the folder of a Java installation.",
        ours=True,
    ),
    Cause(
        "java-too-old",
        r"java\.lang\.UnsupportedClassVersionError",
        message="The hub cannot connect to YARN: its Java is too old for this version of Hadoop.",
        admin="set JAVA_HOME in the hub's environment to the folder of a newer Java. Hadoop 3.5 needs Java 17.",
        direct_message="Java is too old for this version of Hadoop.",
        direct_remedy="Set JAVA_HOME to the folder of a newer Java. Hadoop 3.5 needs Java 17.",
    ),
    Cause(
        "yarn-command-missing",
        "^No `yarn` command",
        message="The hub cannot connect to YARN: there is no yarn command on its PATH.",
        admin="install Hadoop's client on the hub's host, and add its bin folder to the hub's PATH.",
        direct_message="There is no yarn command on your PATH.",
        direct_remedy="Install Hadoop's client, or add its bin folder to your PATH.",
        ours=True,
    ),
    Cause(
        "hadoop-configuration",
        "^(?P<folder>[^\n]{1,500}) has no Hadoop configuration",
        message="The hub cannot connect to YARN: there is no Hadoop configuration in {folder}.",
        admin="set HADOOP_CONF_DIR in the hub's environment to the folder of yarn-site.xml.",
        direct_message="There is no Hadoop configuration in {folder}.",
        direct_remedy="Set HADOOP_CONF_DIR to the folder of yarn-site.xml.",
        ours=True,
    ),
]

# {when_back} is the audience's.
TEMPORARY = [
    Cause(
        "hdfs-safe-mode",
        "safe ?mode",
        message="Hadoop's file system (HDFS) is in safe mode and does not accept files yet.",
        remedy="{when_back}",
        admin="check `hdfs dfsadmin -safemode get`.",
    ),
    Cause(
        "kdc-unavailable",
        "Cannot contact any KDC",
        "Cannot locate KDC",
        r"LoginException: (?:Connection refused|Receive timed out|ICMP Port Unreachable)",
        r"Mechanism level: (?:Connection refused|Receive timed out|ICMP Port Unreachable)",
        # When a driver starts, it only logs in.
        r"driver did not start: java\.net\.(?:Connect|SocketTimeout|PortUnreachable|NoRouteToHost)Exception",
        message="The Kerberos server (KDC) does not answer the hub.",
        remedy="{when_back}",
        admin="check that the KDC runs, and that the hub's host reaches it.",
        direct_message="The Kerberos server (KDC) does not answer.",
    ),
    Cause(
        "hadoop-unavailable",
        r"Call From \S+ to (?P<address>\S+) failed on",
        message="Hadoop does not answer at {address}.",
        remedy="{when_back}",
        admin="check that the ResourceManager and the NameNode run, and that the hub's host reaches them.",
    ),
    Cause(
        "kerberos-no-ticket",
        "The hub has no (?:valid )?Kerberos ticket",
        message="The hub has no valid Kerberos ticket.",
        admin="check the hub's keytab and principal. The start continues when it has a ticket.",
        direct_message="You have no valid Kerberos ticket.",
        direct_remedy=LOG_IN,
        ours=True,
    ),
]

# A driver that exits repeatedly does not recover, unless the reason is an outage.
DRIVER_FAILURES = [
    Cause(
        "driver-failed",
        r"^The YARN driver (?:did not start|exited): (?P<words>.*) \(\d+ drivers in a row exited\)$",
        message="The hub's connection to YARN does not start: {words}.",
        admin="the hub's log has the complete error.",
        direct_message="The connection to YARN does not start: {words}.",
        direct_remedy="",
    ),
]
