"""Causes of an application's end: messages of the server's log."""

from __future__ import annotations

from yarnspawner.diagnosis.cause import NOT_OUR_RECIPE, Cause

# At the end of the server's log, or published by its recipe.
LOG_MESSAGES = [
    # Written by the script around the prologue (specification.py).
    Cause(
        "prologue-failed",
        r"yarnspawner: the prologue failed with status (?P<status>\d{1,3}): (?P<command>[^\n]{1,200})",
        message="The {what}'s environment could not be set up: the command {command} failed with exit status {status}.",
        admin="correct the prologue in the hub's configuration. The details show the command's output.",
        direct_remedy="",
    ),
    Cause(
        "yarnspawner-missing",
        "No module named '?yarnspawner",
        message="yarnspawner is not installed in the {what}'s Python environment.",
        remedy="Install yarnspawner there, or choose another environment.",
        admin="install this package in the environment that the prologue activates.",
    ),
    Cause(
        "jupyterlab-missing",
        "No module named '?jupyterlab",
        "Jupyter command `jupyter-lab` not found",
        "jupyter-?lab: (?:command )?not found",
        message="JupyterLab is not installed in the {what}'s Python environment.",
        remedy="Install jupyterlab there, or choose another environment.",
        admin="install jupyterlab in the environment that the prologue activates.",
    ),
    Cause(
        "jupyter-missing",
        "No module named '?(?:jupyter_server|jupyterhub|notebook)",
        "jupyterhub-singleuser: (?:command )?not found",
        message="Jupyter is not installed in the {what}'s Python environment.",
        remedy="Install jupyterhub and jupyterlab there, or choose another environment.",
        admin="install jupyterhub and jupyterlab in the environment that the prologue activates.",
    ),
    Cause(
        "module-missing",
        r"No module named '?(?P<module>[\w.]+)",
        message="The module {module} is not installed in the {what}'s Python environment.",
        remedy="Install it there, or choose another environment.",
        admin="install the module in the environment that the prologue activates.",
    ),
    Cause(
        "disk-full",
        "No space left on device",
        message="The node where the {what} ran has no space left on its disks.",
        remedy="Start it again: YARN may choose another node. If it happens again, tell your administrator.",
        admin="free space in the folders of yarn.nodemanager.local-dirs and log-dirs on the node.",
    ),
    Cause(
        "home-full",
        "Disk quota exceeded",
        message="Your home folder is full.",
        remedy="Remove files there, then start the {what} again.",
        admin="check the quota of the home folder on the nodes.",
    ),
    Cause(
        "command-missing",
        r"(?<!\S)(?P<command>\S+): command not found",
        message="The command {command} was not found on the node.",
        admin="the prologue or the command of the {what} runs a program that the node or the environment does not have.",
        direct_remedy="Install it on the node or in the environment.",
    ),
    Cause(
        "environment-missing",
        r"(?<!\S)(?P<path>\S+/(?:bin/)?(?:activate|python[\d.]*)): No such file or directory",
        message="The {what}'s Python environment was not found: {path}",
        admin="check localize_files and the prologue.",
        direct_remedy="",
    ),
    # Bash, in the script that skein runs. The second pattern is the kernel's answer to a missing interpreter (#!).
    Cause(
        "program-missing",
        r"(?m:^)\S{1,200}: line \d{1,6}: (?P<command>[^\n:]{1,300}): No such file or directory",
        r"(?m:^)\S{1,200}: line \d{1,6}: (?P<command>[^\n:]{1,300}): cannot execute: required file not found",
        message="The program {command} was not found on the node.",
        admin="check cmd and the prologue: neither the node nor the environment has this program.",
        direct_remedy="Install it on the node or in the environment.",
    ),
    Cause(
        "program-not-executable",
        r"(?m:^)\S{1,200}: line \d{1,6}: (?P<command>[^\n:]{1,300}): (?:Permission denied|Is a directory|cannot execute)",
        message="The node cannot execute {command}, which starts the {what}.",
        admin="check cmd and the prologue, and that this file is a program that everyone may execute.",
        direct_remedy="Check that this file is a program that you may execute.",
    ),
    Cause(
        "memory-at-start",
        "Cannot allocate memory",
        "MemoryError",
        r"java\.lang\.OutOfMemoryError",
        message="There was not enough memory for the {what} to start.",
        remedy="Start it with more memory.",
        admin="offer a profile with more memory (mem_limit).",
    ),
    Cause(
        "node-permission",
        r"Permission denied: '?(?P<path>/[^'\n]*)",
        message="The {what} has no permission to use {path} on its node.",
        admin="check the permissions of that file or folder on the nodes.",
    ),
    Cause(
        "node-java-too-old",
        r"java\.lang\.UnsupportedClassVersionError",
        message="Java on the node is too old for this version of Hadoop.",
        admin="check JAVA_HOME of the nodes' containers. Hadoop 3.5 needs Java 17.",
    ),
    Cause(
        "hadoop-classes",
        "Could not find or load main class",
        message="The container did not find Hadoop's classes.",
        admin="check yarn.application.classpath on the node.",
    ),
    # jupyterhub-singleuser, to which JUPYTERHUB_SERVICE_URL gives port 0.
    Cause(
        "not-our-command",
        "could not be started because port 80 is not available",
        message="The {what}'s command tried to listen on port 80, which the node does not allow.",
        admin=NOT_OUR_RECIPE,
        direct_remedy="",
    ),
    Cause(
        "no-free-port",
        r"(?:Port \d{1,5} is|All of the ports \d{1,5} to \d{1,5} are) in use on this node",
        "Address already in use",
        "no free port",
        message="The {what} found no free port on its node.",
        remedy="Start it again.",
        admin="check port_range: each node needs as many ports as it has servers.",
    ),
    Cause(
        "hub-unreachable",
        r"(?:cannot reach|Cannot connect to) the hub at (?P<where>[\w.:\[\]-]{1,300}?)(?: yet|: )",
        message="The {what} could not reach the hub at {where} from its node.",
        admin="hub_connect_ip must be an address of the hub that the cluster's nodes can reach.",
        direct_remedy="",
    ),
    Cause(
        "hub-unreachable",
        "(?:Failed to connect to|Cannot connect to|Error connecting to).{0,500}?hub",
        "Connection refused.{0,500}?hub/api",
        "hub/api.{0,500}?(?:refused|timed out|unreachable)",
        message="The {what} could not reach the hub from its node.",
        admin="hub_connect_ip must be an address of the hub that the cluster's nodes can reach.",
        direct_remedy="",
    ),
]
