"""Causes of a submission that YARN, HDFS or Kerberos rejects."""

from __future__ import annotations

from yarnspawner.diagnosis.cause import ADMIN, Cause
from yarnspawner.diagnosis.outages import CHECK_KEYTAB, LOG_IN
from yarnspawner.diagnosis.sizes import SIZES

SUBMISSION_ERRORS = [
    # --- impersonation
    Cause(
        r"User: (?P<proxy>\S+) is not allowed to impersonate (?P<whom>\S+)",
        message="The hub ({proxy}) has no permission to impersonate {whom}, so it cannot start a {what} for that user.",
        remedy=ADMIN + "hadoop.proxyuser.{hub}.users or .groups in Hadoop's core-site.xml must include {whom}.",
        direct_message="{proxy} has no permission to impersonate {whom}.",
        direct_remedy="",
    ),
    Cause(
        r"Unauthorized connection for super-user: (?P<proxy>\S+) from IP (?P<address>[\w.:/]+)",
        message="Hadoop does not allow the hub ({proxy}) to impersonate users from its host ({address}).",
        remedy=ADMIN + "hadoop.proxyuser.{hub}.hosts in Hadoop's core-site.xml must include {address}.",
        direct_message="Hadoop does not allow {proxy} to impersonate users from this host ({address}).",
        direct_remedy="",
    ),
    # --- queues
    Cause(
        "to unknown queue",
        message="The queue {queue} does not exist.",
        remedy="Choose another queue.",
    ),
    Cause(
        "to non-leaf queue",
        "Cannot submit application to non-leaf queue",
        "is not a leaf queue",
        message="The queue {queue} does not accept applications; only its child queues do.",
        remedy="Choose one of its child queues.",
    ),
    Cause(
        "to ambiguous queue",
        message="More than one queue has the name {queue}.",
        remedy="Use the full path of the queue, such as root.team.{queue}.",
    ),
    Cause(
        r"Queue (?P<path>\S+) is (?:STOPPED|DRAINING)\. Cannot accept submission",
        message="The queue {path} is stopped and does not accept new applications.",
        remedy="Choose another queue, or try again when it is running.",
    ),
    Cause(
        r"User \S+ does not have permission to submit",
        r"User \S+ cannot submit applications to queue",
        "denied by ACL for queue",
        message="The user {user} has no permission to use the queue {queue}.",
        remedy="Choose another queue, or ask your administrator for access to it.",
    ),
    Cause(
        r"already has \d+ applications",
        "Maximum system application limit reached",
        message="The queue {queue} has reached its maximum number of applications.",
        remedy="Stop applications that you no longer need, choose another queue, or try again later.",
    ),
    Cause(
        "rejected by placement rules",
        "rejected by a mapping rule",
        r"is prohibited\. Verify automatic queue mapping",
        message="YARN's placement rules do not allow the user {user} in the queue {queue}, or the queue does not exist.",
        remedy="Choose another queue, or ask your administrator.",
    ),
    # --- sizes and labels
    *SIZES,
    Cause(
        "Invalid label resource request",
        "node label not enabled",
        "node label expression",
        "permission to access all labels",
        message="The queue {queue} has no access to the node label that the {what} requests.",
        remedy="Choose another queue or another node label.",
    ),
    # --- HDFS
    Cause(
        r'Permission denied: user=(?P<who>[^,]{1,200}), access=\w+, inode="/user"',
        message="The user {who} has no home folder in HDFS (/user/{who}).",
        remedy=ADMIN + "create /user/{who} in HDFS with {who} as its owner.",
    ),
    Cause(
        r'Permission denied: user=(?P<who>[^,]{1,200}), access=(?P<access>\w+), inode="(?P<path>[^"]+)"',
        message="The user {who} has no {access} permission for {path} in HDFS.",
        remedy=ADMIN + "check the owner and the permissions of {path} in HDFS.",
    ),
    Cause(
        r"The (?:DiskSpace|NameSpace) quota .{0,500}?of (?:directory )?(?P<path>/\S{1,1000}) is exceeded",
        message="The quota of {path} in HDFS is exceeded.",
        remedy="Remove files there, or ask your administrator for a larger quota.",
    ),
    Cause(
        r"File (?:file:)?(?P<path>\S+) does not exist",
        r"File does not exist: (?P<path>\S+)",
        message="A file that the {what} needs is missing: {path}",
        remedy=ADMIN + "localize_files in the hub's configuration names a file that does not exist.",
        direct_remedy="",
    ),
    Cause(
        r"could only be (?:written|replicated) to \d+",
        "There are 0 datanode",
        message="Hadoop's file system (HDFS) has no free space or no running node for new files.",
        remedy="Try again later. If it happens again, tell your administrator.",
    ),
    # --- Kerberos
    Cause(
        "Cannot contact any KDC",
        "Cannot locate KDC",
        r"LoginException: (?:Connection refused|Receive timed out|ICMP Port Unreachable)",
        message="The Kerberos server (KDC) does not answer the hub.",
        remedy="Try again in a moment. If it happens again, tell your administrator.",
        direct_message="The Kerberos server (KDC) does not answer.",
    ),
    Cause(
        "Kerberos ticket not found",
        "Failed to find any Kerberos tgt",
        "Client cannot authenticate via",
        "No valid credentials provided",
        message="The hub has no valid Kerberos ticket.",
        remedy=ADMIN + "check the hub's keytab and principal, and that the KDC answers.",
        direct_message="You have no valid Kerberos ticket.",
        direct_remedy=LOG_IN,
    ),
    Cause(
        "failure to login: for principal",
        "Unable to obtain (?:password|Principal)",
        "not found in Kerberos database",
        "Keytab contains no suitable keys",
        "Key table file .{1,1000}? not found",
        r"keytab \S+ (?:does not exist|cannot be read)",
        "Preauthentication failed",
        message="The hub cannot log in to Kerberos with its keytab.",
        remedy=ADMIN
        + "check the hub's principal, and that its keytab exists, is readable by the hub and has the current key.",
        direct_message="Kerberos rejects this principal with this keytab.",
        direct_remedy=CHECK_KEYTAB,
    ),
    Cause(
        r'No FileSystem for scheme:? "?(?P<scheme>[\w.+-]+)',
        message="Hadoop has no file system for URLs that begin with {scheme}://.",
        remedy=ADMIN + "check the URLs in localize_files and file_systems.",
        direct_remedy="",
    ),
    Cause(
        "Clock skew too great",
        message="The clocks of the hub and the Kerberos server differ too much.",
        remedy=ADMIN + "synchronise the hub's clock.",
        direct_message="The clocks of this host and the Kerberos server differ too much.",
        direct_remedy=ADMIN + "synchronise the clock of this host.",
    ),
    # --- others
    Cause(
        "Too many applicationTags",
        "A tag can only have ASCII",
        "maximum allowed length of a tag",
        message="YARN rejected the application's tags.",
        remedy=ADMIN + "the hub's tags must be short and ASCII.",
        direct_remedy="",
    ),
    Cause(
        "in standby state",
        r"Operation category \w+ is not supported in state standby",
        message="Hadoop is switching to its standby ResourceManager or NameNode.",
        remedy="Try again in a moment.",
    ),
    Cause(
        "Connection refused",
        "No route to host",
        "UnknownHostException",
        "Failed on local exception",
        "timed out",
        "deadline",
        "Connection reset",
        "Unable to find host",
        message="Hadoop does not answer.",
        remedy="Try again in a moment. If it happens again, tell your administrator.",
    ),
]
