"""Users get a cause and a remedy when something fails.

The texts are what Hadoop 3.4.3, skein 0.8.2 and MIT Kerberos 1.20 said on real clusters, each made to fail that way, unless
a row is marked `source`: those were only read in the sources, or reported by others.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from yarnspawner.common.protocol import Failure
from yarnspawner.diagnosis.explain import (
    Diagnosis,
    describe_wait,
    explain,
    explain_outage,
    explain_queueing,
    explain_submission_error,
    explain_timeout,
    has_log,
    is_queued,
)
from yarnspawner.skein_driver import ClusterUnavailable

FAILED = (
    "Application application_1_0001 failed 1 times (global limit =2; local limit is =1) due to AM Container for"
    " appattempt_1_0001_000001 exited with  exitCode: {code}\nFailing this attempt.Diagnostics: [2026-11-23 04:31:11.433]{said}"
    "\nFor more detailed output, check the application tracking page: http://rm:8088/cluster/app/application_1_0001 Then"
    " click on links to logs of each attempt.\n. Failing the application."
)
ACCEPTED = "[Mon Nov 23 04:26:21 +0000 2026] "
PARTITION = (
    " Details : AM Partition = <DEFAULT_PARTITION>; AM Resource Request = <memory:512, vCores:1>; Queue Resource Limit for"
    " AM = <memory:512, vCores:1>; User AM Resource Limit of the queue = <memory:512, vCores:1>; Queue AM Resource Usage ="
    " <memory:512, vCores:1>; "
)


@dataclass
class Report:
    """The part of a cluster's report that a diagnosis reads."""

    diagnostics: str = ""
    state: str = "FAILED"
    final_status: str = "FAILED"
    user: str = "alice"
    queue: str = "small"


class Refused(Exception):
    """Stands for the cluster's error."""


def refusal(text: str) -> Diagnosis:
    return explain_submission_error(Refused(text), hub="jupyterhub", user="alice", queue="small")  # type: ignore[arg-type]


def end(diagnostics: str, **rest: str) -> Diagnosis:
    return explain(Report(diagnostics), **rest)  # type: ignore[arg-type]


SUBMISSION_ERRORS = [
    (
        "User: jupyterhub@EXAMPLE.COM is not allowed to impersonate carl",
        "The hub (jupyterhub@EXAMPLE.COM) has no permission to impersonate carl",
        "hadoop.proxyuser.jupyterhub.users or .groups",
    ),
    (
        'No FileSystem for scheme "foo"',
        "Hadoop has no file system for URLs that begin with foo://.",
        "localize_files",
    ),
    (  # source
        "Unauthorized connection for super-user: jupyterhub@EXAMPLE.COM from IP 10.0.0.7",
        "from its host (10.0.0.7)",
        "hadoop.proxyuser.jupyterhub.hosts",
    ),
    (
        (
            "Failed to submit application_1_0022 to YARN : Application application_1_0022 submitted by user alice to unknown"
            " queue: small"
        ),
        "The queue small does not exist.",
        "another queue",
    ),
    (
        (
            "Failed to submit application_1_0023 to YARN : org.apache.hadoop.security.AccessControlException: Queue root.stopped"
            " is STOPPED. Cannot accept submission of application: application_1_0023"
        ),
        "The queue root.stopped is stopped",
        "another queue",
    ),
    (
        (
            "Failed to submit application_1_0024 to YARN : Application application_1_0024 submitted by user : alice to non-leaf"
            " queue : root"
        ),
        "does not accept applications",
        "child queues",
    ),
    (
        "Failed to submit application_1_0003 to YARN : root is not a leaf queue",
        "does not accept applications",
        "child queues",
    ),
    (
        (
            "org.apache.hadoop.security.AccessControlException: User alice does not have permission to submit application_1_0001"
            " to queue acl"
        ),
        "The user alice has no permission to use the queue small.",
        "ask your administrator for access",
    ),
    (
        (
            "Failed to submit application_1_0005 to YARN : org.apache.hadoop.security.AccessControlException: Queue root.one"
            " already has 1 applications, cannot accept submission of application: application_1_0005"
        ),
        "has reached its maximum number of applications",
        "try again later",
    ),
    (
        (
            "Failed to submit application_1_0001 to YARN : Reject application application_1_0001 submitted by user alice"
            " application rejected by placement rules."
        ),
        "placement rules do not allow the user alice in the queue small",
        "another queue",
    ),
    (
        (
            "Invalid resource request! Cannot allocate containers as requested resource is greater than maximum allowed"
            " allocation. Requested resource type=[memory-mb], Requested resource=<memory:5000, vCores:1>, maximum allowed"
            " allocation=<memory:4096, vCores:8>, please note that maximum allowed allocation is calculated by scheduler based on"
            " maximum resource of registered NodeManagers, which might be less than configured maximum allocation=<memory:50000,"
            " vCores:8>"
        ),
        "memory:5000, vCores:1, but the maximum is memory:4096, vCores:8.",
        "smaller size",
    ),
    (
        (
            "Failed to submit application_1_0004 to YARN : Cannot submit application application_1_0004 to queue root.zero"
            " because it has zero amount of resource for a requested resource! Invalid requested AM resources: [...]"
        ),
        "The queue small does not provide a resource",
        "another queue",
    ),
    (
        "Resource 'yarn.io/gpu' is not defined in your cluster's configuration",
        "a resource that the server requests: yarn.io/gpu",
        "a size without it",
    ),
    (
        "Invalid resource request, node label not enabled but request contains label expression",
        "has no access to the node label",
        "another node label",
    ),
    (
        'Permission denied: user=dave, access=WRITE, inode="/user":root:supergroup:drwxr-xr-x',
        "The user dave has no home folder in HDFS (/user/dave).",
        "create /user/dave in HDFS",
    ),
    (
        'Permission denied: user=alice, access=EXECUTE, inode="/user/alice":root:supergroup:drwx------',
        "The user alice has no EXECUTE permission for /user/alice in HDFS.",
        "owner and the permissions of /user/alice",
    ),
    (
        "The NameSpace quota (directories and files) of directory /user/alice is exceeded: quota=2 file count=13",
        "The quota of /user/alice in HDFS is exceeded",
        "larger quota",
    ),
    (
        (
            "The DiskSpace quota of /user/alice is exceeded: quota = 1048576 B = 1 MB but diskspace consumed = 149908203 B ="
            " 142.96 MB"
        ),
        "The quota of /user/alice in HDFS is exceeded",
        "larger quota",
    ),
    ("File file:/opt/env.tar.gz does not exist", "is missing: /opt/env.tar.gz", "localize_files"),
    ("File does not exist: hdfs:/opt/env.tar.gz", "is missing: hdfs:/opt/env.tar.gz", "localize_files"),
    (
        (
            "File /user/alice/.skein/application_1_0007/.skein.crt could only be written to 0 of the 1 minReplication nodes."
            " There are 1 datanode(s) running and 1 node(s) are excluded in this operation."
        ),
        "(HDFS) has no free space or no running node",
        "Try again later",
    ),
    ("Kerberos ticket not found, please kinit and restart", "no valid Kerberos ticket", "keytab and principal"),
    (  # source
        (
            "GSS initiate failed [Caused by GSSException: No valid credentials provided (Mechanism level: Failed to find any"
            " Kerberos tgt)]"
        ),
        "no valid Kerberos ticket",
        "keytab and principal",
    ),
    (
        (
            "failure to login: for principal: nobody@EXAMPLE.COM from keytab /etc/jupyterhub.keytab"
            " javax.security.auth.login.LoginException: Unable to obtain password from user"
        ),
        "cannot log in to Kerberos with its keytab",
        "has the current key",
    ),
    (
        "kinit: Cannot contact any KDC for realm 'EXAMPLE.COM' while getting initial credentials",
        "does not answer the hub",
        "Try again",
    ),
    (
        "kinit: Keytab contains no suitable keys for nobody@EXAMPLE.COM while getting initial credentials",
        "cannot log in to Kerberos with its keytab",
        "has the current key",
    ),
    (
        "java.lang.IllegalArgumentException: Too many applicationTags, a maximum of only 10 are allowed!",
        "rejected the application's tags",
        "short and ASCII",
    ),
    (
        (
            "Call From vm/127.0.0.1 to localhost:24225 failed on connection exception: java.net.ConnectException: Connection"
            " refused; For more details see:  http://wiki.apache.org/hadoop/ConnectionRefused"
        ),
        "Hadoop does not answer.",
        "Try again",
    ),
    (  # An application that fails at once is refused to Hadoop's client.
        "Failed to submit application_1_0002 to YARN : "
        + FAILED.format(code=-1000, said="Resource hdfs:/e changed on src filesystem - expected: ..."),
        "was changed while it started: hdfs:/e",
        "Start it again",
    ),
]


@pytest.mark.parametrize(("text", "cause", "remedy"), SUBMISSION_ERRORS)
def test_submission_errors(text: str, cause: str, remedy: str) -> None:
    """Each submission error has its cause, remedy and YARN's message."""
    diagnosis = refusal(text)
    assert cause in diagnosis.cause
    assert remedy in diagnosis.remedy
    assert diagnosis.detail.splitlines()[0] in text


def test_unknown_submission_error() -> None:
    """An unknown error shows YARN's message."""
    assert refusal("Something new").detail == "Something new"
    assert refusal("Something new").cause == "YARN rejected the server's application."


QUEUEING = [
    (
        "Application is added to the scheduler and is not yet activated. Skipping AM assignment as cluster resource is"
        " empty. " + PARTITION,
        "because no node of the cluster is up and healthy",
    ),
    (
        "Application is added to the scheduler and is not yet activated. Queue's AM resource limit exceeded. "
        + PARTITION,
        "because the queue has reached its limit for application masters",
    ),
    (
        "Application is added to the scheduler and is not yet activated. User's AM resource limit exceeded. "
        + PARTITION,
        "because alice has reached the queue's limit for application masters of one user",
    ),
    (
        (
            "Application is added to the scheduler and is not yet activated.  (Resource request: <memory:600, vCores:1> exceeds"
            " maximum AM resource allowed)."
        ),
        "because the queue has reached its limit for application masters",
    ),
    (
        (
            'Application is added to the scheduler and is not yet activated. The queue "root.one" has reached the maximum limit'
            " of runnable applications."
        ),
        "because the queue or the user has reached its limit of running applications",
    ),
    (
        (
            "Application is Activated, waiting for resources to be assigned for AM.  Details : AM Partition ="
            " <DEFAULT_PARTITION> ; Partition Resource = <memory:4096, vCores:8> ; Queue's Absolute capacity = 25.0 % ; Queue's"
            " Absolute used capacity = 0.0 % ; Queue's Absolute max capacity = 25.0 % ; "
        ),
        "because no node that the queue can use has enough free resources",
    ),
    (  # source
        (
            "Application is Activated, waiting for resources to be assigned for AM.  Details : AM Partition = gpu ; Partition"
            " Resource = <memory:0, vCores:0> ; Queue's Absolute capacity = 0.0 % ; "
        ),
        "because no node with the label gpu is up",
    ),
    ("Application is added to the scheduler and is not yet activated. ", "because YARN has not activated it yet"),
]


@pytest.mark.parametrize(("text", "clause"), QUEUEING)
def test_queueing(text: str, clause: str) -> None:
    """A waiting application has a reason."""
    assert explain_queueing(Report(ACCEPTED + text)) == clause  # type: ignore[arg-type]


def test_queueing_without_reason() -> None:
    """Without diagnostics there is no reason."""
    assert explain_queueing(Report("")) == ""  # type: ignore[arg-type]
    assert describe_wait(Report("")) == "Waiting in queue small"  # type: ignore[arg-type]
    assert is_queued(Report(""))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "Scheduler has assigned a container for AM, waiting for AM container to be launched",
            "YARN has found a node for the container",
        ),
        ("AM container is launched, waiting for AM container to Register with RM", "The container is starting"),
    ],
)
def test_starting(text: str, sentence: str) -> None:
    """An application that YARN has given a container does not wait in its queue, although YARN calls it ACCEPTED."""
    report = Report(ACCEPTED + text)
    assert describe_wait(report) == sentence  # type: ignore[arg-type]
    assert not is_queued(report)  # type: ignore[arg-type]


YARN_DIAGNOSTICS = [
    (  # source: skein's own words take its place for a server in the master's container
        FAILED.format(
            code=-104,
            said="Container [pid=1,containerID=container_1_0001_01_000001] is running 643825664B beyond the 'PHYSICAL' memory"
            " limit. Current usage: 1.0 GB of 416 MB physical memory used; 3.2 GB of 873.6 MB virtual memory used. Killing"
            " container.\nDump of the process-tree for container_1_0001_01_000001 :\n\t|- PID PPID FULL_CMD_LINE\n\t|- 1 0"
            " python --token=s3cret \n",
        ),
        "more memory than its limit (1.0 GB of 416 MB)",
    ),
    (
        (
            "Application driver failed with exit code 143. This is often due to the application master memory limit being"
            " exceeded. See the diagnostics for more information."
        ),
        "most likely because it used more memory than its limit",
    ),
    (
        (
            "Application master shutdown by external signal. This usually means that the application was killed by a"
            " user/administrator, or that the application master memory limit was exceeded. See the diagnostics for more"
            " information."
        ),
        "most likely because it used more memory than its limit",
    ),
    (
        FAILED.format(
            code=137,
            said="Container killed on request. Exit code is 137\n[2026-11-23 04:22:14.451]Container exited with a non-zero exit"
            " code 137. \n[2026-11-23 04:22:14.451]Killed by external signal",
        ),
        "most likely because it used more memory than its limit",
    ),
    ("Application application_1_0018 was killed by user alice at 127.0.0.1", "was killed by alice"),
    (
        "Application is killed by ResourceManager as it has exceeded the lifetime period.",
        "its maximum lifetime",
    ),
    (  # source
        FAILED.format(code=-102, said="Container preempted by scheduler"),
        "YARN preempted the server",
    ),
    (  # source, and reported by others
        FAILED.format(
            code=-1000,
            said="Application application_1_0001 initialization failed (exitCode=255) with output: main : command provided 0\n"
            "main : run as user is alice\nmain : requested yarn user is alice\nUser alice not found\n",
        ),
        "The user alice has no account on the node",
    ),
    (  # source, and reported by others
        FAILED.format(
            code=-1000,
            said="Application application_1_0001 initialization failed (exitCode=255) with output: main : command provided 0\n"
            "main : run as user is hdfs\nmain : requested yarn user is hdfs\nRequested user hdfs is not whitelisted and has"
            " id 995,which is below the minimum allowed 1000\n",
        ),
        "does not run containers for hdfs, because it is a system account",
    ),
    (
        FAILED.format(
            code=-1000, said="Application application_1_0001 initialization failed (exitCode=1) with output: "
        ),
        "could not create folders for the user alice",
    ),
    (  # source
        FAILED.format(code=-1000, said="java.io.IOException: No space left on device"),
        "has no space left on its disks",
    ),
    (
        FAILED.format(
            code=-1000,
            said="File does not exist: hdfs:/user/alice/f.txt\njava.io.FileNotFoundException: File does not exist:"
            " hdfs:/user/alice/f.txt\n\tat org.apache.hadoop.hdfs.DistributedFileSystem$29.doCall(DistributedFileSystem"
            ".java:1842)\n",
        ),
        "no longer exists: hdfs:/user/alice/f.txt",
    ),
    (
        FAILED.format(
            code=-1000,
            said='Resource hdfs:/user/alice/g.txt changed on src filesystem - expected: "2026-11-23T04:31:04.262+0000", was:'
            ' "2026-11-23T04:31:18.630+0000", current time: "2026-11-23T04:31:22.604+0000"',
        ),
        "was changed while it started: hdfs:/user/alice/g.txt",
    ),
    (
        FAILED.format(
            code=-1000,
            said="Failed to download resource { { hdfs:/user/alice/f.txt, 1, FILE, null },pending,[(container_1_0001_01_000001)"
            "],2899783218013,DOWNLOADING} java.io.IOException: Resource hdfs:/user/alice/f.txt is not publicly accessible and"
            " as such cannot be part of the public cache.",
        ),
        "A file with public visibility is not readable by everyone.",
    ),
    (
        FAILED.format(
            code=-1000,
            said="Failed to download resource { { hdfs:/user/alice/own/data, 1795801036386, FILE, null },pending,[(c)],1,"
            "DOWNLOADING} org.apache.hadoop.security.AccessControlException: Permission denied: user=yarn, access=EXECUTE,"
            ' inode="/user/alice":alice:alice:drwx------',
        ),
        "The node cannot read a file that the server needs: yarn has no permission for /user/alice in HDFS.",
    ),
    (
        FAILED.format(
            code=-1000,
            said="\njava.lang.reflect.UndeclaredThrowableException\nCaused by: org.apache.hadoop.yarn.exceptions.YarnException:"
            " Download and unpack failed\nCaused by: java.io.IOException: Error executing command. gzip -dc | (cd"
            " '/data/nm/usercache/alice/appcache/application_1_0001/filecache/12_tmp/env.tar.gz' && tar -x ) Process exited"
            " with exit code 2.",
        ),
        "The archive env.tar.gz, which the server needs, is broken",
    ),
    (
        FAILED.format(
            code=-1000,
            said="chmod: cannot access '/data/nm/usercache/alice/appcache/application_1_0001/filecache/12_tmp/env.zip': No such"
            " file or directory\n\nExitCodeException exitCode=1: chmod: ...",
        ),
        "The archive env.zip, which the server needs, is broken",
    ),
    (
        FAILED.format(code=-100, said="Container released on a *lost* node"),
        "The node on which the server ran was lost or is unhealthy.",
    ),
    (
        (
            "Application application_1_0017 failed 1 times (global limit =2; local limit is =1) due to ApplicationMaster for"
            " attempt appattempt_1_0017_000001 timed out. Failing the application."
        ),
        "YARN lost contact with the server's container.",
    ),
    (
        "Application driver failed with exit code 127, see logs for more information.",
        "A command that starts the server was not found on the node.",
    ),
    (
        "Application driver failed with exit code 3, see logs for more information.",
        "The server exited with status 3.",
    ),
    (
        FAILED.format(
            code=1,
            said="Exception from container-launch.\nContainer id: container_1_0001_01_000001\nExit code: 1\n\n[2026-11-23"
            " 04:38:49.619]Container exited with a non-zero exit code 1. Error file: prelaunch.err.\nLast 4096 bytes of"
            " prelaunch.err :\n",
        ),
        "The server exited with status 1.",
    ),
]


@pytest.mark.parametrize(("text", "cause"), YARN_DIAGNOSTICS)
def test_ends(text: str, cause: str) -> None:
    """Each end has its cause and a remedy, and no secrets."""
    diagnosis = end(text)
    assert cause in diagnosis.cause
    assert diagnosis.remedy
    assert "s3cret" not in diagnosis.detail


LOG_MESSAGES = [
    (".skein.sh: line 3: jupyterhub-singleuser: command not found", "Jupyter is not installed"),
    (".skein.sh: line 3: foo-bar: command not found", "The command foo-bar was not found on the node."),
    ("/usr/bin/python3: No module named yarnspawner", "yarnspawner is not installed"),
    ("ModuleNotFoundError: No module named 'jupyterlab'", "JupyterLab is not installed"),
    ("ModuleNotFoundError: No module named 'numpy.core'", "The module numpy.core is not installed"),
    (
        ".skein.sh: line 2: environment/bin/activate: No such file or directory",
        "was not found: environment/bin/activate",
    ),
    (
        "Error: Could not find or load main class com.anaconda.skein.ApplicationMaster",
        "The container did not find Hadoop's classes.",
    ),
    ("OSError: [Errno 98] Address already in use", "found no free port"),
    ("Port 42300 is in use on this node.", "found no free port"),
    ("All of the ports 42300 to 42309 are in use on this node.", "found no free port"),
    (".skein.sh: line 9: /no/such/program: No such file or directory", "The program /no/such/program was not found"),
    (".skein.sh: line 9: /opt/a b: cannot execute: required file not found", "The program /opt/a b was not found"),
    ("ERROR: the Jupyter server could not be started because port 80 is not available.", "tried to listen on port 80"),
    (".skein.sh: line 9: /etc/hostname: Permission denied", "The node cannot execute /etc/hostname"),
]


@pytest.mark.parametrize(("log", "cause"), LOG_MESSAGES)
def test_log_before_exit_status(log: str, cause: str) -> None:
    """The log's message takes precedence over the exit status."""
    diagnosis = end(
        "Application driver failed with exit code 1, see logs for more information.", log_tail=f"one\n{log}\n"
    )
    assert cause in diagnosis.cause
    assert log in diagnosis.detail


def test_diagnostics_before_log() -> None:
    """YARN's diagnostics take precedence over the log."""
    diagnosis = end(
        FAILED.format(code=-100, said="Container released on a *lost* node"), log_tail="foo: command not found"
    )
    assert diagnosis.cause == "The node on which the server ran was lost or is unhealthy."


def test_failure_first() -> None:
    """The recipe's published failure takes precedence."""
    failure = Failure("The server's port range 9000:9010 has no free port.", "OSError: ...")
    diagnosis = explain(Report("Application driver failed with exit code 1"), failure=failure)  # type: ignore[arg-type]
    assert "port" in diagnosis.cause
    unknown = explain(Report(""), failure=Failure("The moon is in the wrong phase."))  # type: ignore[arg-type]
    assert unknown.cause == "The moon is in the wrong phase."


def test_end_before_listening() -> None:
    """A command that ended in order without a server is no server that ended."""
    report = Report("", "FINISHED", "SUCCEEDED")
    diagnosis = explain(report, listened=False, log_tail="done")  # type: ignore[arg-type]
    assert "exit status 0 before it listened" in diagnosis.cause
    assert "yarnspawner.singleuser" in diagnosis.remedy
    assert diagnosis.detail == "done"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("Name node is in safe mode", "hdfs-safe-mode"),
        ("Cannot contact any KDC for realm", "kdc-unavailable"),
        ("Call From hub to rm:8032 failed on connection exception", "hadoop-unavailable"),
        ("no answer", "yarn-unavailable"),
    ],
)
def test_timeout_during_an_outage(error, code):
    """A timeout in an outage has the outage's code for metrics, and does not say that the start continues."""
    outage, passes = explain_outage(ClusterUnavailable(error))
    assert passes
    late = explain_timeout(45, f"{outage.cause} {outage.remedy}")
    assert late.code == outage.code == code
    assert late.admin == outage.admin
    assert late.message.startswith("The server did not start within 45 seconds. Its last status: ")
    assert late.message.endswith(" Try again when it does.")
    assert "continues" not in late.message


def test_silent_timeout() -> None:
    """A command that runs and never listens may be no recipe; its log is shown."""
    diagnosis = explain_timeout(60, "The container runs", log_tail="asleep\x1b[0m", silent=True)
    assert "did not report an address within 60 seconds" in diagnosis.cause
    assert "yarnspawner.singleuser" in diagnosis.remedy
    assert diagnosis.detail == "asleep"


@pytest.mark.parametrize(("code", "log"), [(-1000, False), (-101, False), (-104, True), (1, True)])
def test_log_exists(code: int, log: bool) -> None:
    """A container that YARN never launched has no log to wait for."""
    assert has_log(Report(FAILED.format(code=code, said=""))) is log  # type: ignore[arg-type]


def test_momentary_queueing() -> None:
    """A reason that YARN gives in every start is shown when it lasts; others are shown at once."""
    waits = Report(ACCEPTED + "Application is Activated, waiting for resources to be assigned for AM.")
    full = Report(ACCEPTED + "Queue's AM resource limit exceeded.")
    assert [explain_queueing(waits, seconds) for seconds in (0, 4.9)] == ["", ""]  # type: ignore[arg-type]
    assert "free resources" in explain_queueing(waits, 5)  # type: ignore[arg-type]
    assert explain_queueing(full, 0)  # type: ignore[arg-type]


def test_status_only() -> None:
    """Without diagnostics the final status is the cause."""
    assert "The server exited." in explain(Report("", "FINISHED", "SUCCEEDED")).cause  # type: ignore[arg-type]
    assert "was killed" in explain(Report("", "KILLED", "KILLED")).cause  # type: ignore[arg-type]
    assert "failed" in explain(Report("", "FAILED", "FAILED")).cause  # type: ignore[arg-type]


def test_no_stack_traces() -> None:
    """The detail has no stack traces."""
    text = "Permission denied\n\tat org.apache.hadoop.hdfs.Foo$2.run(Foo.java:661)\n\t... 18 more\nCaused by: nothing"
    assert refusal(text).detail == "Permission denied\nCaused by: nothing"


def test_markup() -> None:
    """Markup stays plain text."""
    # A page escapes it; here it must only not be interpreted.
    assert "<script>" in end("Application failed: <script>alert(1)</script>").detail


def test_no_template_injection() -> None:
    """Fields in YARN's text are not filled in."""
    assert "{user.__class__}" in refusal("File file:{user.__class__} does not exist").cause


def test_large_diagnostics() -> None:
    """The detail of large diagnostics is truncated."""
    diagnosis = end("Error launching " * 200_000)
    assert len(diagnosis.detail) < 5000


OUTAGES = [
    (
        (
            "Cannot create directory /user/alice/.skein/application_1_0006. Name node is in safe mode.\nIt was turned on"
            " manually."
        ),
        "(HDFS) is in safe mode",
        True,
    ),
    (
        (
            "Call From vm/127.0.0.1 to localhost:24225 failed on connection exception: java.net.ConnectException: Connection"
            " refused"
        ),
        "Hadoop does not answer at localhost:24225.",
        True,
    ),
    (
        "The YARN driver did not start: javax.security.auth.login.LoginException: Connection refused",
        "The Kerberos server (KDC) does not answer",
        True,
    ),
    (
        "The YARN driver did not start: java.net.ConnectException: Connection refused",
        "The Kerberos server (KDC) does not answer",
        True,
    ),
    ("No answer from YARN to submit within 120 s", "YARN does not answer.", True),
    (
        "The hub has no Kerberos ticket: set its principal and keytab, or run kinit as the hub's account and keep renewing",
        "The hub has no valid Kerberos ticket.",
        True,
    ),
    ("The keytab /etc/hub.keytab does not exist", "its keytab does not exist", False),
    ("The keytab /etc/hub.keytab cannot be read by the hub's account", "its keytab cannot be read", False),
    (
        "The YARN driver did not start: javax.security.auth.login.LoginException: Unable to obtain password from user",
        "cannot log in to Kerberos with its keytab",
        False,
    ),
    (
        "The YARN driver did not start: java.security.GeneralSecurityException: Checksum failed",
        "cannot log in to Kerberos with its keytab",
        False,
    ),
    ("No Java: JAVA_HOME is not set; set it in the hub's environment", "cannot find Java", False),
    (
        "No Java: JAVA_HOME is /opt/none, which has no bin/java; set it in the hub's environment",
        "JAVA_HOME is /opt/none, where Java is not installed",
        False,
    ),
    ("No `yarn` command on the hub's PATH; install Hadoop's client", "no yarn command on its PATH", False),
    ("/opt/none has no Hadoop configuration (core-site.xml)", "no Hadoop configuration in /opt/none", False),
    ("Set both the principal and the keytab, or neither", "only one of its settings", False),
    (
        "The YARN driver did not start: java.lang.IllegalAccessException: no access (3 drivers in a row exited)",
        "does not start: java.lang.IllegalAccessException: no access.",
        False,
    ),
    ("The YARN driver did not start: java.lang.IllegalAccessException: no access", "YARN does not answer.", True),
    (
        "The YARN driver did not start: java.net.ConnectException: refused (7 drivers in a row exited)",
        "The Kerberos server (KDC) does not answer",
        True,
    ),
]


@pytest.mark.parametrize(("text", "cause", "passes"), OUTAGES)
def test_outages(text: str, cause: str, passes: bool) -> None:
    """Each outage has a cause, and temporary ones are retried."""
    diagnosis, waits = explain_outage(Refused(text))  # type: ignore[arg-type]
    assert cause in diagnosis.cause
    assert waits is passes
    assert ("The start continues" if passes else "administrator") in diagnosis.remedy


def test_service_container() -> None:
    """For a service container, the application master's log counts as YARN's diagnostics."""
    log = """\
26/11/26 09:31:02 INFO skein.ApplicationMaster: FAILED: server_0 - Container failed during execution
Caused by: org.apache.hadoop.yarn.exceptions.YarnException: Download and unpack failed
26/11/26 09:31:03 INFO skein.ApplicationMaster: Unregistering application with status FAILED
"""
    diagnostics = "Failure in service server, see logs for more information."
    assert "is broken or incomplete" in end(diagnostics, log_tail=log).cause
    # What a user's own program writes is not YARN's word.
    assert end(diagnostics, log_tail="Download and unpack failed\n").cause == "The server's application failed."
