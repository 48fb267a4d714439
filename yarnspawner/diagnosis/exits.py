"""Causes of an application's end: YARN's diagnostics, log messages and exit codes."""

from __future__ import annotations

from yarnspawner.diagnosis.cause import ADMIN, NOT_OUR_RECIPE, Cause
from yarnspawner.diagnosis.sizes import SIZES

# In YARN's diagnostics.
YARN_DIAGNOSTICS = [
    *SIZES,
    Cause(
        r"beyond the '(?P<kind>PHYSICAL|VIRTUAL)' memory limit\. Current usage: (?P<used>[\d.]{1,20} ?\w{1,3}) of (?P<limit>[\d.]{1,20} ?\w{1,3}) physical",
        message="The {what} used more memory than its limit ({used} of {limit}), so YARN killed it.",
        remedy="Start it with more memory, or use less memory.",
    ),
    Cause(
        "beyond the '?(?:PHYSICAL|VIRTUAL)'? memory limit",
        "beyond (?:physical|virtual) memory limits?",
        "killed by elastic cgroups OOM handler",
        "oom-?kill",
        r"exitCode: -10[34]\b",
        message="The {what} used more memory than {limit}, so YARN killed it.",
        remedy="Start it with more memory, or use less memory.",
    ),
    Cause(
        r"was killed by user (?P<who>\S+)(?: at (?P<where>\S+))?",
        message="The {what}'s application was killed by {who}.",
        remedy="If that was not you, ask your administrator why.",
    ),
    Cause(
        "exceeded the lifetime period",
        message="The {what} reached its maximum lifetime.",
        remedy="Start it again.",
    ),
    Cause(
        "preempted by scheduler",
        r"exitCode: -102\b",
        message="YARN preempted the {what} to give its resources to another queue that is entitled to them.",
        remedy="Start it again, if possible in another queue.",
    ),
    # LinuxContainerExecutor reports what the native container-executor prints.
    Cause(
        r"Requested user (?P<who>\S+) is (?:not whitelisted and has id|banned)",
        "Running as (?P<who>root) is not allowed",
        message="The cluster does not run containers for {who}, because it is a system account.",
        remedy="Log in as another user, or ask your administrator.",
    ),
    Cause(
        r"\bUser \S+ not found",
        message="The user {user} has no account on the node that was chosen for the {what}.",
        remedy=ADMIN + "create the account on all nodes of the cluster.",
    ),
    Cause(
        r"Application \S+ initialization failed \(exitCode=",
        message="The node that was chosen for the {what} could not create folders for the user {user}.",
        remedy=ADMIN
        + "check that {user} has an account on all nodes of the cluster; the NodeManager's log has the details.",
    ),
    Cause(
        "No space left on device",
        "Most of the disks failed",
        "All disks failed",
        "Disks might have failed",
        r"exitCode: -101\b",
        "usable space is below configured utilization",
        "used space above threshold",
        message="The node that was chosen for the {what} has no space left on its disks.",
        remedy="Start it again: YARN will choose another node. If it happens again, tell your administrator.",
    ),
    Cause(
        r"File does not exist: (?P<path>\S+)",
        message="A file that the {what} needs no longer exists: {path}",
        remedy="Start it again. If it happens again, tell your administrator.",
    ),
    Cause(
        r"Resource (?P<path>\S+) changed on src filesystem",
        message="A file that the {what} needs was changed while it started: {path}",
        remedy="Start it again.",
    ),
    Cause(
        "is not publicly accessible and as such cannot be part of the public cache",
        message="A file with public visibility is not readable by everyone.",
        remedy=ADMIN + "files with public visibility and their parent folders must be readable by everyone.",
    ),
    Cause(
        r"/filecache/\d{1,20}_tmp/(?P<archive>[^'/\s]{1,200})",
        message="The archive {archive}, which the {what} needs, is broken or incomplete.",
        remedy=ADMIN + "create it again with venv-pack or conda-pack, and replace the broken one.",
    ),
    Cause(
        "not in gzip format",
        "Unexpected end of ZLIB",
        "Error untarring",
        "Download and unpack failed",
        "Cannot unpack",
        "unexpected eof",
        "ZipException",
        message="An archive that the {what} needs, such as its packed environment, is broken or incomplete.",
        remedy=ADMIN + "create it again with venv-pack or conda-pack, and replace the broken one.",
    ),
    Cause(
        r"exitCode: -100\b",
        r"lost\* node",
        "released on a lost node",
        "Node .{1,300}? lost",
        message="The node on which the {what} ran was lost or is unhealthy.",
        remedy="Start it again.",
    ),
    Cause(
        r"ApplicationMaster for attempt \S+ timed out",
        message="YARN lost contact with the {what}'s container.",
        remedy="Its node may be lost, or the node or network overloaded. Start it again.",
    ),
    Cause(
        "token .{1,1000}? expired",
        "can't be found in cache",
        "InvalidToken",
        message="The {what}'s access to HDFS or YARN has expired.",
        remedy="Start it again.",
    ),
    Cause(
        "Error launching .{0,400}?Got exception: ",
        message="YARN could not start the {what}'s container.",
        remedy="Start it again. If it happens again, tell your administrator.",
    ),
    Cause(
        "Localizer failed",
        "Localization failed",
        "Failed to download resource",
        "localization",
        message="The node could not download the files that the {what} needs.",
        remedy="Start it again. If it happens again, tell your administrator.",
    ),
]

# At the end of the server's log, or published by its recipe.
LOG_MESSAGES = [
    # Written by the script around the prologue (specification.py).
    Cause(
        r"yarnspawner: the prologue failed with status (?P<status>\d{1,3}): (?P<command>[^\n]{1,200})",
        message="The {what}'s environment could not be set up: the command {command} failed with exit status {status}.",
        remedy=ADMIN + "correct the prologue in the hub's configuration. The details show the command's output.",
        direct_remedy="",
    ),
    Cause(
        "No module named '?yarnspawner",
        message="yarnspawner is not installed in the {what}'s Python environment.",
        remedy="Install yarnspawner there, or choose another environment.",
    ),
    Cause(
        "No module named '?jupyterlab",
        "Jupyter command `jupyter-lab` not found",
        "jupyter-?lab: (?:command )?not found",
        message="JupyterLab is not installed in the {what}'s Python environment.",
        remedy="Install jupyterlab there, or choose another environment.",
    ),
    Cause(
        "No module named '?(?:jupyter_server|jupyterhub|notebook)",
        "jupyterhub-singleuser: (?:command )?not found",
        message="Jupyter is not installed in the {what}'s Python environment.",
        remedy="Install jupyterhub and jupyterlab there, or choose another environment.",
    ),
    Cause(
        r"No module named '?(?P<module>[\w.]+)",
        message="The module {module} is not installed in the {what}'s Python environment.",
        remedy="Install it there, or choose another environment.",
    ),
    Cause(
        "No space left on device",
        message="The node where the {what} ran has no space left on its disks.",
        remedy="Start it again: YARN may choose another node. If it happens again, tell your administrator.",
    ),
    Cause(
        "Disk quota exceeded",
        message="Your home folder is full.",
        remedy="Remove files there, then start the {what} again.",
    ),
    Cause(
        r"(?<!\S)(?P<command>\S+): command not found",
        message="The command {command} was not found on the node.",
        remedy=ADMIN
        + "the prologue or the command of the {what} runs a program that the node or the environment does not have.",
        direct_remedy="Install it on the node or in the environment.",
    ),
    Cause(
        r"(?<!\S)(?P<path>\S+/(?:bin/)?(?:activate|python[\d.]*)): No such file or directory",
        message="The {what}'s Python environment was not found: {path}",
        remedy=ADMIN + "check localize_files and the prologue.",
        direct_remedy="",
    ),
    # Bash, in the script that skein runs. The second pattern is the kernel's answer to a missing interpreter (#!).
    Cause(
        r"(?m:^)\S{1,200}: line \d{1,6}: (?P<command>[^\n:]{1,300}): No such file or directory",
        r"(?m:^)\S{1,200}: line \d{1,6}: (?P<command>[^\n:]{1,300}): cannot execute: required file not found",
        message="The program {command} was not found on the node.",
        remedy=ADMIN + "check cmd and the prologue: neither the node nor the environment has this program.",
        direct_remedy="Install it on the node or in the environment.",
    ),
    Cause(
        r"(?m:^)\S{1,200}: line \d{1,6}: (?P<command>[^\n:]{1,300}): (?:Permission denied|Is a directory|cannot execute)",
        message="The node cannot execute {command}, which starts the {what}.",
        remedy=ADMIN + "check cmd and the prologue, and that this file is a program that everyone may execute.",
        direct_remedy="Check that this file is a program that you may execute.",
    ),
    Cause(
        "Cannot allocate memory",
        "MemoryError",
        r"java\.lang\.OutOfMemoryError",
        message="There was not enough memory for the {what} to start.",
        remedy="Start it with more memory.",
    ),
    Cause(
        r"Permission denied: '?(?P<path>/[^'\n]*)",
        message="The {what} has no permission to use {path} on its node.",
        remedy=ADMIN + "check the permissions of that file or folder on the nodes.",
    ),
    Cause(
        "Could not find or load main class",
        message="The container did not find Hadoop's classes.",
        remedy=ADMIN + "check yarn.application.classpath on the node.",
    ),
    # jupyterhub-singleuser, to which JUPYTERHUB_SERVICE_URL gives port 0.
    Cause(
        "could not be started because port 80 is not available",
        message="The {what}'s command tried to listen on port 80, which the node does not allow.",
        remedy=NOT_OUR_RECIPE,
    ),
    Cause(
        "Address already in use",
        "no free port",
        message="The {what} found no free port on its node.",
        remedy="Start it again.",
    ),
    Cause(
        r"(?:cannot reach|Cannot connect to) the hub at (?P<where>[\w.:\[\]-]{1,300}?)(?: yet|: )",
        message="The {what} could not reach the hub at {where} from its node.",
        remedy=ADMIN + "hub_connect_ip must be an address of the hub that the cluster's nodes can reach.",
        direct_remedy="",
    ),
    Cause(
        "(?:Failed to connect to|Cannot connect to|Error connecting to).{0,500}?hub",
        "Connection refused.{0,500}?hub/api",
        "hub/api.{0,500}?(?:refused|timed out|unreachable)",
        message="The {what} could not reach the hub from its node.",
        remedy=ADMIN + "hub_connect_ip must be an address of the hub that the cluster's nodes can reach.",
        direct_remedy="",
    ),
]

# Used if nothing above matches.
EXIT_CODES = [
    Cause(
        r"exit ?code:? 127\b",
        message="A command that starts the {what} was not found on the node.",
        remedy="See its log.",
    ),
    Cause(
        r"exit ?code:? 126\b",
        message="A command that starts the {what} cannot be executed on the node.",
        remedy="See its log.",
    ),
    # YARN sends SIGTERM to all processes of a container that used too much memory, and 250 ms later SIGKILL. skein's
    # application master then still has the time to unregister, and its message replaces YARN's.
    Cause(
        r"exit ?code:? (?:137|143)\b",
        "shutdown by external signal",
        "Killed by external signal",
        message="The {what} was killed, most likely because it used more memory than {limit}.",
        remedy="Start it with more memory, or use less memory.",
    ),
    Cause(
        r"(?:driver failed with|non-zero) exit code:? (?P<code>\d+)",
        message="The {what} exited with status {code}.",
        remedy="See its log for the reason.",
    ),
    Cause(
        r"AM Container for \S+ exited with +exitCode: (?P<code>-?\d+)",
        message="The {what}'s container exited with status {code}.",
        remedy="See its log for the reason.",
    ),
]
