"""Why YARN, HDFS or Kerberos did not take a submission."""

from __future__ import annotations

from yarnspawner.diagnosis.cause import ADMIN, Cause
from yarnspawner.diagnosis.sizes import SIZES

REFUSALS = [
    # --- impersonation
    Cause(
        r"User: (?P<proxy>\S+) is not allowed to impersonate (?P<whom>\S+)",
        says="The hub ({proxy}) may not impersonate {whom}, so Hadoop lets it start no {what} for that user.",
        remedy=ADMIN + "hadoop.proxyuser.{hub}.users or .groups in Hadoop's core-site.xml must include {whom}.",
    ),
    Cause(
        r"Unauthorized connection for super-user: (?P<proxy>\S+) from IP (?P<address>[\w.:/]+)",
        says="Hadoop does not allow the hub ({proxy}) to act for users from the machine that it runs on ({address}).",
        remedy=ADMIN + "hadoop.proxyuser.{hub}.hosts in Hadoop's core-site.xml must include {address}.",
    ),
    # --- queues
    Cause(
        "to unknown queue",
        says="The queue {queue} does not exist.",
        remedy="Choose another queue.",
    ),
    Cause(
        "to non-leaf queue",
        "Cannot submit application to non-leaf queue",
        "is not a leaf queue",
        says="The queue {queue} takes no applications itself, only the queues below it do.",
        remedy="Choose a queue below it.",
    ),
    Cause(
        "to ambiguous queue",
        says="There are several queues called {queue}.",
        remedy="Name the queue with its whole path, such as root.team.{queue}.",
    ),
    Cause(
        r"Queue (?P<path>\S+) is (?:STOPPED|DRAINING)\. Cannot accept submission",
        says="The queue {path} is stopped and takes no new applications.",
        remedy="Choose another queue, or try again when it is open.",
    ),
    Cause(
        r"User \S+ does not have permission to submit",
        r"User \S+ cannot submit applications to queue",
        "denied by ACL for queue",
        says="The user {user} may not use the queue {queue}.",
        remedy="Choose another queue, or ask your administrator for access to it.",
    ),
    Cause(
        r"already has \d+ applications",
        "Maximum system application limit reached",
        says="The queue {queue} has as many applications as it may have.",
        remedy="Stop what you no longer need, choose another queue, or try again later.",
    ),
    Cause(
        "rejected by placement rules",
        "rejected by a mapping rule",
        r"is prohibited\. Verify automatic queue mapping",
        says="YARN's placement rules do not let the user {user} into the queue {queue}: perhaps it does not exist.",
        remedy="Choose another queue, or ask your administrator.",
    ),
    # --- sizes and labels
    *SIZES,
    Cause(
        "Invalid label resource request",
        "node label not enabled",
        "node label expression",
        "permission to access all labels",
        says="The queue {queue} cannot use the kind of node that the {what} asks for.",
        remedy="Choose another queue or another kind of node.",
    ),
    # --- HDFS
    Cause(
        r'Permission denied: user=(?P<who>[^,]{1,200}), access=\w+, inode="/user"',
        says="The user {who} has no home folder in HDFS (/user/{who}).",
        remedy=ADMIN + "create /user/{who} in HDFS and give it to {who}.",
    ),
    Cause(
        r'Permission denied: user=(?P<who>[^,]{1,200}), access=(?P<access>\w+), inode="(?P<path>[^"]+)"',
        says="The user {who} may not use {path} in HDFS ({access}).",
        remedy=ADMIN + "check the owner and the permissions of {path} in HDFS.",
    ),
    Cause(
        r"The (?:DiskSpace|NameSpace) quota .{0,500}?of (?:directory )?(?P<path>/\S{1,1000}) is exceeded",
        says="There is no room left in {path} in HDFS: its quota is used up.",
        remedy="Remove files there, or ask your administrator for a larger quota.",
    ),
    Cause(
        r"File (?:file:)?(?P<path>\S+) does not exist",
        r"File does not exist: (?P<path>\S+)",
        says="A file that the {what} needs is missing: {path}",
        remedy=ADMIN + "localize_files of the hub's configuration names a file that is not there.",
    ),
    Cause(
        r"could only be (?:written|replicated) to \d+",
        "There are 0 datanode",
        says="Hadoop's file system (HDFS) has no room, or no node that is up, for new files.",
        remedy="Try again later, and tell your administrator if that goes on.",
    ),
    # --- Kerberos
    Cause(
        "Cannot contact any KDC",
        "Cannot locate KDC",
        r"LoginException: (?:Connection refused|Receive timed out|ICMP Port Unreachable)",
        says="Kerberos (its KDC) does not answer the hub.",
        remedy="Try again in a moment, and tell your administrator if that goes on.",
    ),
    Cause(
        "Kerberos ticket not found",
        "Failed to find any Kerberos tgt",
        "Client cannot authenticate via",
        "No valid credentials provided",
        says="The hub has no valid Kerberos ticket.",
        remedy=ADMIN + "check the hub's keytab and principal, and that the KDC answers.",
    ),
    Cause(
        "failure to login: for principal",
        "Unable to obtain (?:password|Principal)",
        "not found in Kerberos database",
        "Keytab contains no suitable keys",
        "Key table file .{1,1000}? not found",
        r"keytab \S+ (?:does not exist|cannot be read)",
        "Preauthentication failed",
        says="The hub cannot log in to Kerberos with its keytab.",
        remedy=ADMIN
        + "check the hub's principal, and that its keytab is there, readable by the hub and of the current key.",
    ),
    Cause(
        r'No FileSystem for scheme:? "?(?P<scheme>[\w.+-]+)',
        says="Hadoop knows no file system whose addresses begin with {scheme}://.",
        remedy=ADMIN + "check the addresses in localize_files and file_systems.",
    ),
    Cause(
        "Clock skew too great",
        says="The clocks of the hub and of Kerberos differ too much.",
        remedy=ADMIN + "synchronise the hub's clock.",
    ),
    # --- not there
    Cause(
        "Too many applicationTags",
        "A tag can only have ASCII",
        "maximum allowed length of a tag",
        says="YARN did not take the tags of the application.",
        remedy=ADMIN + "the hub's tags must be short and ASCII.",
    ),
    Cause(
        "in standby state",
        r"Operation category \w+ is not supported in state standby",
        says="Hadoop is just changing over to its second ResourceManager or NameNode.",
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
        says="Hadoop does not answer.",
        remedy="Try again in a moment, and tell your administrator if that goes on.",
    ),
]
