"""Causes of an application's end: YARN's diagnostics and exit codes."""

from __future__ import annotations

from yarnspawner.diagnosis.cause import Cause
from yarnspawner.diagnosis.sizes import SIZES

_VIRTUAL = (
    "set yarn.nodemanager.vmem-check-enabled to false in yarn-site.xml of the nodes, or raise"
    " yarn.nodemanager.vmem-pmem-ratio. More memory also raises this limit."
)

# In YARN's diagnostics.
YARN_DIAGNOSTICS = [
    *SIZES,
    # The check is on by default, and counts addresses that processes reserve and never use.
    Cause(
        "virtual-memory-exceeded",
        r"beyond (?:the )?'?VIRTUAL'? memory limits?\..{0,300}?; (?P<used>[\d.]{1,20} ?\w{1,3}) of (?P<limit>[\d.]{1,20} ?\w{1,3}) virtual",
        message="YARN's check of virtual memory killed the {what}: its processes reserved {used} of addresses, more than {limit}.",
        admin=_VIRTUAL,
    ),
    Cause(
        "virtual-memory-exceeded",
        "beyond (?:the )?'?VIRTUAL'? memory limit",
        r"exitCode: -103\b",
        message="YARN's check of virtual memory killed the {what}: its processes reserved more addresses than it allows.",
        admin=_VIRTUAL,
    ),
    Cause(
        "memory-exceeded",
        r"beyond the '(?P<kind>PHYSICAL)' memory limit\. Current usage: (?P<used>[\d.]{1,20} ?\w{1,3}) of (?P<limit>[\d.]{1,20} ?\w{1,3}) physical",
        message="The {what} used more memory than its limit ({used} of {limit}), so YARN killed it.",
        remedy="Start it with more memory, or use less memory.",
        admin="offer a profile with more memory (mem_limit).",
    ),
    Cause(
        "memory-exceeded",
        "beyond the '?PHYSICAL'? memory limit",
        "beyond physical memory limits?",
        "killed by elastic cgroups OOM handler",
        "oom-?kill",
        r"exitCode: -104\b",
        message="The {what} used more memory than {limit}, so YARN killed it.",
        remedy="Start it with more memory, or use less memory.",
        admin="offer a profile with more memory (mem_limit).",
    ),
    Cause(
        "killed-by-user",
        r"was killed by user (?P<who>\S+)(?: at (?P<where>\S+))?",
        message="The {what}'s application was killed by {who}.",
        remedy="If that was not you, ask your administrator why.",
        admin="YARN's audit log names who killed it.",
    ),
    Cause(
        "lifetime-reached",
        "exceeded the lifetime period",
        message="The {what} reached its maximum lifetime.",
        remedy="Start it again.",
        admin="the limit is maximum_lifetime, or yarn.scheduler.capacity.*.maximum-application-lifetime.",
    ),
    Cause(
        "preempted",
        "preempted by scheduler",
        r"exitCode: -102\b",
        message="YARN preempted the {what} to give its resources to another queue that is entitled to them.",
        remedy="Start it again, if possible in another queue.",
        admin="check the queue's guaranteed capacity.",
    ),
    # LinuxContainerExecutor reports what the native container-executor prints.
    Cause(
        "account-system",
        r"Requested user (?P<who>\S+) is (?:not whitelisted and has id|banned)",
        "Running as (?P<who>root) is not allowed",
        message="The cluster does not run containers for {who}, because it is a system account.",
        remedy="Log in as another user, or ask your administrator.",
        admin="check min.user.id and banned.users in container-executor.cfg, and the setting hadoop_user.",
    ),
    Cause(
        "account-missing",
        r"\bUser \S+ not found",
        message="The user {user} has no account on the node that was chosen for the {what}.",
        admin="create the account on all nodes of the cluster.",
    ),
    Cause(
        "account-folders",
        r"Application \S+ initialization failed \(exitCode=",
        message="The node that was chosen for the {what} could not create folders for the user {user}.",
        admin="check that {user} has an account on all nodes of the cluster; the NodeManager's log has the details.",
    ),
    Cause(
        "disk-full",
        "No space left on device",
        "Most of the disks failed",
        "All disks failed",
        "Disks might have failed",
        r"exitCode: -101\b",
        "usable space is below configured utilization",
        "used space above threshold",
        message="The node that was chosen for the {what} has no space left on its disks.",
        remedy="Start it again: YARN will choose another node. If it happens again, tell your administrator.",
        admin="free space in the folders of yarn.nodemanager.local-dirs and log-dirs on the node.",
    ),
    Cause(
        "file-gone",
        r"File does not exist: (?P<path>\S+)",
        message="A file that the {what} needs no longer exists: {path}",
        remedy="Start it again. If it happens again, tell your administrator.",
        admin="check who removes files in HDFS.",
    ),
    Cause(
        "file-changed",
        r"Resource (?P<path>\S+) changed on src filesystem",
        message="A file that the {what} needs was changed while it started: {path}",
        remedy="Start it again.",
        admin="replace files in HDFS under new names.",
    ),
    Cause(
        "file-not-public",
        "is not publicly accessible and as such cannot be part of the public cache",
        message="A file with public visibility is not readable by everyone.",
        admin="files with public visibility and their parent folders must be readable by everyone.",
    ),
    # The NodeManager reads files with public visibility as itself, and all others as the user.
    Cause(
        "file-not-public",
        r'Failed to download resource .{0,1000}?Permission denied: user=(?P<who>[^,]{1,200}), access=\w+, inode="(?P<path>[^"]{1,1000})"',
        message="The node cannot read a file that the {what} needs: {who} has no permission for {path} in HDFS.",
        admin="files with public visibility and their parent folders must be readable by everyone.",
    ),
    Cause(
        "archive-broken",
        r"/filecache/\d{1,20}_tmp/(?P<archive>[^'/\s]{1,200})",
        message="The archive {archive}, which the {what} needs, is broken or incomplete.",
        admin="create it again with venv-pack or conda-pack, and replace the broken one.",
    ),
    Cause(
        "archive-broken",
        "not in gzip format",
        "Unexpected end of ZLIB",
        "Error untarring",
        "Download and unpack failed",
        "Cannot unpack",
        "unexpected eof",
        "ZipException",
        message="An archive that the {what} needs, such as its packed environment, is broken or incomplete.",
        admin="create it again with venv-pack or conda-pack, and replace the broken one.",
    ),
    Cause(
        "node-lost",
        r"exitCode: -100\b",
        r"lost\* node",
        "released on a lost node",
        "Node .{1,300}? lost",
        message="The node on which the {what} ran was lost or is unhealthy.",
        remedy="Start it again.",
        admin="check the node with `yarn node -list -all`.",
    ),
    Cause(
        "container-lost",
        r"ApplicationMaster for attempt \S+ timed out",
        message="YARN lost contact with the {what}'s container.",
        remedy="Its node may be lost, or the node or network overloaded. Start it again.",
        admin="check the node, and the network between it and the ResourceManager.",
    ),
    Cause(
        "token-expired",
        "token .{1,1000}? expired",
        "can't be found in cache",
        "InvalidToken",
        message="The {what}'s access to HDFS or YARN has expired.",
        remedy="Start it again.",
        admin="check the maximum lifetime of HDFS tokens (dfs.namenode.delegation.token.max-lifetime).",
    ),
    Cause(
        "container-launch",
        "Error launching .{0,400}?Got exception: ",
        message="YARN could not start the {what}'s container.",
        remedy="Start it again. If it happens again, tell your administrator.",
        admin="the details and the NodeManager's log have the reason.",
    ),
    Cause(
        "localization-failed",
        "Localizer failed",
        "Localization failed",
        "Failed to download resource",
        "localization",
        message="The node could not download the files that the {what} needs.",
        remedy="Start it again. If it happens again, tell your administrator.",
        admin="the details and the NodeManager's log have the reason.",
    ),
]

# Used if no other row matches.
EXIT_CODES = [
    Cause(
        "command-missing",
        r"exit ?code:? 127\b",
        message="A command that starts the {what} was not found on the node.",
        remedy="See its log.",
        admin="the log has the name of the command.",
    ),
    Cause(
        "program-not-executable",
        r"exit ?code:? 126\b",
        message="A command that starts the {what} cannot be executed on the node.",
        remedy="See its log.",
        admin="the log has the name of the program.",
    ),
    # YARN sends SIGTERM to all processes of a container that used too much memory, and 250 ms later SIGKILL. skein's
    # application master then still has the time to unregister, and its message replaces YARN's.
    Cause(
        "killed-memory",
        r"exit ?code:? (?:137|143)\b",
        "shutdown by external signal",
        "Killed by external signal",
        message="The {what} was killed, most likely because it used more memory than {limit}.",
        remedy="Start it with more memory, or use less memory.",
        admin="offer a profile with more memory (mem_limit). If YARN checks virtual memory"
        " (yarn.nodemanager.vmem-check-enabled), the NodeManager's log says which check it was.",
    ),
    Cause(
        "exit-status",
        r"(?:driver failed with|non-zero) exit code:? (?P<code>\d+)",
        message="The {what} exited with status {code}.",
        remedy="See its log for the reason.",
        admin="the log has the reason.",
    ),
    Cause(
        "exit-status",
        r"AM Container for \S+ exited with +exitCode: (?P<code>-?\d+)",
        message="The {what}'s container exited with status {code}.",
        remedy="See its log for the reason.",
        admin="the log has the reason.",
    ),
]
