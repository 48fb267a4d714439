"""Why an application ended."""

from __future__ import annotations

from yarnspawner.diagnosis.cause import ADMIN, Cause
from yarnspawner.diagnosis.sizes import SIZES

# What YARN says of it.
ENDS = [
    *SIZES,
    Cause(
        r"beyond the '(?P<kind>PHYSICAL|VIRTUAL)' memory limit\. Current usage: (?P<used>[\d.]{1,20} ?\w{1,3}) of (?P<limit>[\d.]{1,20} ?\w{1,3}) physical",
        says="The {what} used more memory than it was given ({used} of {limit}), so YARN ended it.",
        remedy="Start it again with more memory, or use less at a time.",
    ),
    Cause(
        "beyond the '?(?:PHYSICAL|VIRTUAL)'? memory limit",
        "beyond (?:physical|virtual) memory limits?",
        "killed by elastic cgroups OOM handler",
        "oom-?kill",
        r"exitCode: -10[34]\b",
        says="The {what} used more memory than {given}, so YARN ended it.",
        remedy="Start it again with more memory, or use less at a time.",
    ),
    Cause(
        r"was killed by user (?P<who>\S+)(?: at (?P<where>\S+))?",
        says="The {what}'s application was killed by {who}.",
        remedy="If that was not you, ask your administrator why.",
    ),
    Cause(
        "exceeded the lifetime period",
        says="The {what} reached the longest time that an application may run.",
        remedy="Start it again.",
    ),
    Cause(
        "preempted by scheduler",
        r"exitCode: -102\b",
        says="YARN preempted the {what} to give its resources to another queue that is entitled to them.",
        remedy="Start it again, if possible in another queue.",
    ),
    # LinuxContainerExecutor passes on what the native container-executor prints.
    Cause(
        r"Requested user (?P<who>\S+) is (?:not whitelisted and has id|banned)",
        "Running as (?P<who>root) is not allowed",
        says="The cluster's nodes run nothing for {who}, because it is a system account.",
        remedy="Log in as another user, or ask your administrator.",
    ),
    Cause(
        r"\bUser \S+ not found",
        says="The user {user} has no account on the node where the {what} was to run.",
        remedy=ADMIN + "create the account on all nodes of the cluster.",
    ),
    Cause(
        r"Application \S+ initialization failed \(exitCode=",
        says="The node where the {what} was to run could not prepare folders for the user {user}.",
        remedy=ADMIN + "check that {user} has an account on all nodes of the cluster; the NodeManager's log has more.",
    ),
    Cause(
        "No space left on device",
        "Most of the disks failed",
        "All disks failed",
        "Disks might have failed",
        r"exitCode: -101\b",
        "usable space is below configured utilization",
        "used space above threshold",
        says="The node where the {what} was to run has no space left on its disks.",
        remedy="Start it again: YARN will choose another node. Tell your administrator if that goes on.",
    ),
    Cause(
        r"File does not exist: (?P<path>\S+)",
        says="A file that the {what} needs is no longer there: {path}",
        remedy="Start it again, and tell your administrator if that goes on.",
    ),
    Cause(
        r"Resource (?P<path>\S+) changed on src filesystem",
        says="A file that the {what} needs was changed while it started: {path}",
        remedy="Start it again.",
    ),
    Cause(
        "is not publicly accessible and as such cannot be part of the public cache",
        says="A file that is meant for everybody is not readable by everybody.",
        remedy=ADMIN + "files of public visibility, and the folders above them, must be readable by all.",
    ),
    Cause(
        "not in gzip format",
        "Unexpected end of ZLIB",
        "Error untarring",
        "Download and unpack failed",
        "Cannot unpack",
        "unexpected eof",
        "ZipException",
        r"chmod: cannot access '\S+/filecache/\d+_tmp/",
        says="An archive that the {what} needs, such as its packed environment, is broken or incomplete.",
        remedy=ADMIN + "make it again (with venv-pack or conda-pack) and put it in place of the broken one.",
    ),
    Cause(
        r"exitCode: -100\b",
        r"lost\* node",
        "released on a lost node",
        "Node .{1,300}? lost",
        says="The node on which the {what} ran is gone, or does not work as it should.",
        remedy="Start it again.",
    ),
    Cause(
        r"ApplicationMaster for attempt \S+ timed out",
        says="YARN lost contact with the {what}'s container.",
        remedy="Its node or its network may be overloaded or gone. Start it again.",
    ),
    Cause(
        "token .{1,1000}? expired",
        "can't be found in cache",
        "InvalidToken",
        says="The {what}'s access to HDFS or YARN had expired.",
        remedy="Start it again.",
    ),
    Cause(
        "Error launching .{0,400}?Got exception: ",
        says="YARN could not start the {what}'s container.",
        remedy="Start it again, and tell your administrator if that goes on.",
    ),
    Cause(
        "Localizer failed",
        "Localization failed",
        "Failed to download resource",
        "localization",
        says="The node could not fetch the files that the {what} needs.",
        remedy="Start it again, and tell your administrator if that goes on.",
    ),
]

# What the end of its own log, or its recipe, says.
LOGS = [
    # Written by the script around the prologue (specification.py).
    Cause(
        r"yarnspawner: the prologue failed with status (?P<status>\d{1,3}): (?P<command>[^\n]{1,200})",
        says="The {what}'s environment could not be set up: the command {command} failed with exit status {status}.",
        remedy=ADMIN + "correct the prologue in the hub's configuration. The details have the command's own words.",
    ),
    Cause(
        "No module named '?yarnspawner",
        says="The {what}'s Python environment does not have yarnspawner.",
        remedy="Install yarnspawner into the environment that the {what} runs in.",
    ),
    Cause(
        "No module named '?jupyterlab",
        "Jupyter command `jupyter-lab` not found",
        "jupyter-?lab: (?:command )?not found",
        says="JupyterLab is not installed in the {what}'s Python environment.",
        remedy="Install jupyterlab there, or choose another environment.",
    ),
    Cause(
        "No module named '?(?:jupyter_server|jupyterhub|notebook)",
        "jupyterhub-singleuser: (?:command )?not found",
        says="Jupyter is not installed in the {what}'s Python environment.",
        remedy="Install jupyterhub and jupyterlab there, or choose another environment.",
    ),
    Cause(
        r"No module named '?(?P<module>[\w.]+)",
        says="The {what}'s Python environment lacks the module {module}.",
        remedy="Install it there, or choose another environment.",
    ),
    Cause(
        "No space left on device",
        says="The node where the {what} ran has no space left on its disks.",
        remedy="Start it again: YARN may choose another node. Tell your administrator if that goes on.",
    ),
    Cause(
        "Disk quota exceeded",
        says="Your home folder is full.",
        remedy="Remove files there, then start the {what} again.",
    ),
    Cause(
        r"(?<!\S)(?P<command>\S+): command not found",
        says="The command {command} was not found on the node.",
        remedy=ADMIN
        + "the prologue or the command of the {what} names something that its node or environment does not have.",
    ),
    Cause(
        r"(?<!\S)(?P<path>\S+/(?:bin/)?(?:activate|python[\d.]*)): No such file or directory",
        says="The {what}'s Python environment is not where it should be: {path}",
        remedy=ADMIN + "check localize_files and the prologue.",
    ),
    Cause(
        "Cannot allocate memory",
        "MemoryError",
        r"java\.lang\.OutOfMemoryError",
        says="There was not enough memory for the {what} to start.",
        remedy="Start it with more memory.",
    ),
    Cause(
        r"Permission denied: '?(?P<path>/[^'\n]*)",
        says="The {what} may not use {path} on its node.",
        remedy=ADMIN + "check the permissions of that file or folder on the nodes.",
    ),
    Cause(
        "Could not find or load main class",
        says="The container did not find Hadoop's classes.",
        remedy=ADMIN + "yarn.application.classpath is not right on the node.",
    ),
    Cause(
        "Address already in use",
        "no free port",
        says="No port was free for the {what} on its node.",
        remedy="Start it again.",
    ),
    Cause(
        r"(?:cannot reach|Cannot connect to) the hub at (?P<where>[\w.:\[\]-]{1,300}?)(?: yet|: )",
        says="The {what} could not reach the hub at {where} from its node.",
        remedy=ADMIN + "hub_connect_ip must be an address of the hub that the cluster's nodes can reach.",
    ),
    Cause(
        "(?:Failed to connect to|Cannot connect to|Error connecting to).{0,500}?hub",
        "Connection refused.{0,500}?hub/api",
        "hub/api.{0,500}?(?:refused|timed out|unreachable)",
        says="The {what} could not reach the hub from its node.",
        remedy=ADMIN + "hub_connect_ip must be an address of the hub that the cluster's nodes can reach.",
    ),
]

# The last word, where nothing above explains more.
EXITS = [
    Cause(
        r"exit ?code:? 127\b",
        says="A command of the {what}'s start was not found on the node.",
        remedy="The log has more.",
    ),
    Cause(
        r"exit ?code:? 126\b",
        says="A command of the {what}'s start could not be run on the node.",
        remedy="The log has more.",
    ),
    # YARN sends SIGTERM to all processes of a container that used too much memory, and 250 ms later SIGKILL. skein's
    # application master then still has the time to unregister, and its message replaces YARN's.
    Cause(
        r"exit ?code:? (?:137|143)\b",
        "shutdown by external signal",
        "Killed by external signal",
        says="The {what} was killed, most likely because it used more memory than {given}.",
        remedy="Start it again with more memory, or use less at a time.",
    ),
    Cause(
        r"(?:driver failed with|non-zero) exit code:? (?P<code>\d+)",
        says="The {what} ended by itself with exit status {code}.",
        remedy="The log says why.",
    ),
    Cause(
        r"AM Container for \S+ exited with +exitCode: (?P<code>-?\d+)",
        says="The {what}'s container ended with exit status {code}.",
        remedy="The log says why.",
    ),
]
