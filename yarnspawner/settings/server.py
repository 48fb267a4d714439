"""What an admin sets of a server, its application and its container."""

from __future__ import annotations

from typing import Any

from jupyterhub.traitlets import ByteSpecification, Callable, Command
from traitlets import Dict, Integer, List, TraitError, Tuple, Unicode, Union, default, validate
from traitlets.config import Configurable

from yarnspawner.launch.specification import SCRIPT_TEMPLATE
from yarnspawner.skein_driver.application_master import JAVA_OPTIONS, MEMORY


class YarnSpawnerSettings(Configurable):
    """The settings of a server. Names of version 0.4.0 mean what they meant there."""

    hadoop_user = Union(
        [Unicode(), Callable()],
        default_value="{username}",
        config=True,
        help="""
        The Hadoop user as whom a user's server runs.

        A template with ``{username}`` (escaped) and ``{unescaped_username}``, or a callable that is given the spawner
        and returns the name, or an awaitable. System accounts, those with a uid below 1000 where the hub's machine
        knows them, and the hub's own are refused. Default: the hub's name of the user. Example, for e-mail addresses of
        one domain::

            c.YarnSpawner.hadoop_user = lambda spawner: spawner.user.name.removesuffix("@example.com")
        """,
    )

    # -- The application

    application_name = Unicode(
        "jupyterhub-{user_server}",
        config=True,
        help="""
        Name of the application on YARN's pages. A template with ``{username}``, ``{unescaped_username}``,
        ``{servername}`` (empty for the default server), ``{user_server}`` (both, joined with ``--``) and ``{groups}``
        (the user's, joined with commas). Example: ``"notebook of {unescaped_username}"``.
        """,
    )

    queue = Unicode(
        "default",
        config=True,
        help="""
        The YARN queue that applications are submitted to, for instance ``"root.analysts"``. A template with the same
        fields as :attr:`application_name`: ``"root.users.{username}"``.
        """,
    )

    node_label = Unicode(
        "",
        config=True,
        help="""
        YARN node label expression that says on which nodes a server may run, for instance ``"gpu"``.
        Default: the queue's own.
        """,
    )

    tags = List(
        Unicode(),
        config=True,
        help="""
        Tags of the application, for YARN's own tools, for instance ``["jupyter"]``. YARN lower-cases them and allows
        up to 6 beside the spawner's own four. Default: those alone.
        """,
    )

    @validate("tags")
    def _validate_tags(self, proposal: dict[str, Any]) -> Any:
        # ApplicationSubmissionContext: YARN refuses more than 10 tags, longer ones, and what is not ASCII.
        for tag in proposal["value"]:
            if not tag.isascii() or not 0 < len(tag) <= 100 or "," in tag:
                raise TraitError(f"tags: {tag!r} is not a tag for YARN: 1 to 100 ASCII characters, without a comma.")
        if len(proposal["value"]) > 6:
            raise TraitError("tags: YARN allows up to 6 beside the spawner's own four.")
        return proposal["value"]

    # -- The container

    mem_limit = ByteSpecification(
        "2 G",
        config=True,
        help="""
        Memory for a user's server and kernels, in bytes or with a suffix: K, M, G and T stand for KiB, MiB, GiB and
        TiB. YARN ends a container that uses more. The application master comes on top of it
        (:attr:`application_master_memory`). Example: ``"8 G"``.
        """,
    )

    cpu_limit = Integer(
        1,
        min=1,
        config=True,
        help="""
        Number of YARN's virtual cores for a user's server. Unlike with other spawners, a whole number. Example: ``4``.
        """,
    )

    gpus = Integer(
        0,
        min=0,
        config=True,
        help="""
        Number of GPUs for a user's server. YARN must offer the resource ``yarn.io/gpu`` (Hadoop 3.1 or later).
        Default: none. Example: ``1``.
        """,
    )

    application_master_memory = ByteSpecification(
        f"{MEMORY} M",
        config=True,
        help="""
        Memory that a container gets on top of :attr:`mem_limit` for skein's application master, a Java process beside
        the server that takes about 130 MiB when idle; in bytes or with a suffix. 0 sizes the container as 0.4.0 did:
        the user has that much less. Example: ``"384 M"``.
        """,
    )

    application_master_java_options = Unicode(
        JAVA_OPTIONS,
        config=True,
        help="""
        Options for the application master's Java process. The default makes it start in half the time and take little
        more than half the memory; skein gives it a heap of 128 MiB at most, whatever stands here. Programs of the user do not see them.
        Example: ``"-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dhttps.protocols=TLSv1.2"``.
        """,
    )

    localize_files = Dict(
        config=True,
        help="""
        Files that YARN brings into the container: a mapping from the name there to a path or URL, a ``skein.File``, or
        its dict.

        Archives (``.tar.gz``, ``.tgz``, ``.zip``) become folders. A file of the hub's machine of 1 MiB or more is put
        into HDFS once, by its content, and shared by all starts: with public visibility by all users, in
        :attr:`shared_folder`, so that each node keeps one copy; else by one user's, in ``.yarnspawner`` in the user's
        home. Smaller ones are uploaded at each start. What is in HDFS already is named by its URL. The visibility is
        ``application`` (this start's alone, if nothing is said), ``private`` (this user's) or ``public`` (everybody's).

        The hub reads local files with its own permissions, so it refuses a path that users can change, such as one below
        ``/home/alice``: a link there could lead to the hub's keytab. Root, the hub's account and service accounts (uid
        below 1000) may own the file and the folders above it.
        Default: no files. Example::

            c.YarnSpawner.localize_files = {
                "environment": {"source": "/opt/environments/jupyter.tar.gz", "visibility": "public"}
            }
            c.YarnSpawner.prologue = "source environment/bin/activate"
        """,
    )

    prologue = Unicode(
        "",
        config=True,
        help="""
        Shell commands to run in the container before the server, for instance
        ``"source /opt/jupyter/bin/activate; cd /data/{username}"``.

        The fields of :attr:`application_name` are filled in as words of the shell, quoted where they must be: leave
        them outside of quotes. All other braces stay as they are, so ``${HOME}`` is the shell's own. The same holds in
        :attr:`epilogue`, and without quotes in ``environment`` and the sources of :attr:`localize_files`.

        The server does not start, and its user reads which command failed, if the last command fails, if a command is not
        found, or if ``source``, ``.``, ``cd``, ``conda`` or ``module`` fails. Write ``command || true`` if a failure does
        not matter. Other commands that fail are passed over. Default: none.
        """,
    )

    epilogue = Unicode(
        "",
        config=True,
        help="""
        Shell commands to run in the container after the server has ended, for instance ``"rm -rf scratch"``. Fields as
        in :attr:`prologue`. Default: none.
        """,
    )

    script_template = Unicode(
        SCRIPT_TEMPLATE,
        config=True,
        help="""
        The script that runs in the container, with the fields ``{prologue}``, ``{singleuser_command}`` and
        ``{epilogue}``; other braces are doubled. Its exit status is the server's. Example::

            c.YarnSpawner.script_template = "{prologue}\\nexec {singleuser_command}"
        """,
    )

    cmd = Command(
        ["python -m yarnspawner.singleuser"],
        allow_none=True,
        config=True,
        help="""
        The command that starts the server in the container. A string is a piece of shell; the words of a list of
        several are quoted one by one. It must run yarnspawner's recipe, which tells the hub where the server listens.
        Example: ``["/opt/jupyter/bin/python -m yarnspawner.singleuser"]``.
        """,
    )

    port_range = Tuple(
        Integer(min=1024, max=65535),
        Integer(min=1024, max=65535),
        default_value=None,
        allow_none=True,
        config=True,
        help="""
        The first and the last port that servers may listen on, for a firewall between hub and nodes, for instance
        ``(40000, 40999)``. A node needs as many as it has servers at a time. A server that says that it listens on
        another one is refused. Default: any free port; those below 1024 are always refused.
        """,
    )

    @validate("port_range")
    def _validate_port_range(self, proposal: dict[str, Any]) -> Any:
        ports = proposal["value"]
        if ports and ports[0] > ports[1]:
            raise TraitError(f"port_range: {ports[0]} is above {ports[1]}.")
        return ports

    stop_timeout = Integer(
        10,
        min=0,
        config=True,
        help="""
        Seconds that a server has to shut down its kernels and end by itself when it is stopped, before YARN ends the
        container. Example: ``30``, for kernels that have much to write.
        """,
    )

    @default("start_timeout")
    def _default_start_timeout(self) -> int:
        # A queue may be full, and the first start on a node copies the environment there.
        return 300

    @default("ip")
    def _default_ip(self) -> str:
        # The hub is on another machine.
        return "0.0.0.0"  # noqa: S104

    @default("env_keep")
    def _default_env_keep(self) -> list[str]:
        # PATH and the like of the hub's machine mean nothing on a node.
        return []
