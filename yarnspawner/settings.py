"""What an admin sets: the spawner's traits, which is all that ``jupyterhub_config.py`` knows of this package."""

from __future__ import annotations

from typing import Any

from jupyterhub.traitlets import ByteSpecification, Callable, Command
from traitlets import Dict, Integer, List, TraitError, Tuple, Unicode, Union, default, validate
from traitlets.config import Configurable

from yarnspawner.specification import SCRIPT_TEMPLATE


class YarnSpawnerSettings(Configurable):
    """The settings of :class:`yarnspawner.YarnSpawner`, beside those that each of JupyterHub's spawners has.

    Names of version 0.4.0 mean what they meant there.
    """

    # -- The hub on the cluster

    principal = Unicode(
        None,
        allow_none=True,
        config=True,
        help="""
        Kerberos principal that the hub logs in with, for instance ``"jupyterhub@EXAMPLE.COM"``.

        Hadoop must allow it to impersonate the users (``hadoop.proxyuser.jupyterhub.users``, ``.groups`` and
        ``.hosts`` in core-site.xml). Needs :attr:`keytab`. Default: none; without both the hub uses the ticket of its
        own account, or Hadoop's simple authentication.
        """,
    )

    keytab = Unicode(
        None,
        allow_none=True,
        config=True,
        help="""
        Path of the keytab that holds the :attr:`principal`'s keys, for instance
        ``"/etc/security/keytabs/jupyterhub.keytab"``. It should be readable by the hub's account alone.
        Default: none.
        """,
    )

    resource_manager_url = Unicode(
        "",
        config=True,
        help="""
        Address of the ResourceManager's web service, for instance ``"http://rm.example.com:8088"``; several are
        separated with commas.

        Default: from yarn-site.xml in ``$HADOOP_CONF_DIR``.
        """,
    )

    submission_drivers = Integer(
        2,
        min=1,
        max=16,
        config=True,
        help="""
        Number of Java processes that submit applications. Each takes about 300 MiB of the hub's machine and submits
        two applications at a time, about a second each; where no submission waits they end applications as well.
        Another one asks for reports, so that those never wait. Default: 2, with which fifty users who press start at
        the same moment take a third of the time of one; more help as far as the machine has cores for them. Example:
        ``4``, for a class of hundreds that starts at nine, on a machine with 8 cores.
        """,
    )

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
        "256 M",
        config=True,
        help="""
        Memory that a container gets on top of :attr:`mem_limit` for skein's application master, a Java process beside
        the server that takes about 130 MiB when idle; in bytes or with a suffix. 0 sizes the container as 0.4.0 did:
        the user has that much less. Example: ``"384 M"``.
        """,
    )

    application_master_java_options = Unicode(
        "-XX:+IgnoreUnrecognizedVMOptions -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto -XX:-UsePerfData"
        # What is verified is Hadoop and skein, not the user's; it would load classes that nobody needs.
        " -XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
        # For a store that is asked some times a second, and not for the 16 MiB that its server keeps ready otherwise.
        " -Dcom.anaconda.skein.shaded.io.netty.allocator.type=unpooled"
        " -Xms8m -Xmn4m",
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
        Default: no files. Example::

            c.YarnSpawner.localize_files = {
                "environment": {"source": "/opt/environments/jupyter.tar.gz", "visibility": "public"}
            }
            c.YarnSpawner.prologue = "source environment/bin/activate"
        """,
    )

    shared_folder = Unicode(
        ".yarnspawner",
        allow_none=True,
        config=True,
        help="""
        Folder in HDFS, in the hub's home or absolute, for what the hub shares with the servers of all users: one copy
        of skein's jar, which is uploaded at each start otherwise, and :attr:`localize_files` of public visibility.

        The hub makes it. It and all folders above it must be open to all users (``drwxr-xr-x``), which YARN demands of
        public files, and must belong to the hub or to HDFS's superuser, with nobody else allowed to write there: who
        could replace these files could run programs as any user. The hub checks that, and where it is not so it says
        why in its log, and uploads at each start. None or empty: the same, without a word. Example:
        ``"/apps/jupyterhub"``.
        """,
    )

    keep_uploads = Integer(
        30,
        min=0,
        config=True,
        help="""
        Days after which a file that the hub has put into HDFS is removed, if no start has used it since and no
        application that runs could. 0 for never. Example: ``7``, where environments are large and change every day.
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
        Default: none.
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

    # -- Times

    stop_timeout = Integer(
        10,
        min=0,
        config=True,
        help="""
        Seconds that a server has to shut down its kernels and end by itself when it is stopped, before YARN ends the
        container. Example: ``30``, for kernels that have much to write.
        """,
    )

    state_secret = Unicode(
        "",
        config=True,
        help="""
        Secret that seals what is kept of a server in the hub's database. Default: the hub's cookie secret. Hubs that share
        a database, of which one runs at a time, must share it, and :attr:`hub_id` as well. Example:
        ``os.environ["YARNSPAWNER_STATE_SECRET"]``.
        """,
    )

    hub_id = Unicode(
        "",
        config=True,
        help="""
        Name of this hub among all that share the cluster: what the tags of its applications are made of, and which of
        them it sweeps. Two hubs must not have the same. Default: an id that is made once and kept in the file
        ``yarnspawner_hub_id`` beside JupyterHub's cookie secret. A hub whose cookie secret is in no file needs this
        setting, or its orphans are not swept. Example: ``"production"``.
        """,
    )

    sweep_grace = Integer(
        60,
        min=0,
        config=True,
        help="""
        Seconds that an application which no server owns must have been there before it is swept; also from the hub's
        start, once it has checked all servers, to its first sweep. Example: ``300``.
        """,
    )

    sweep_interval = Integer(
        900,
        min=-1,
        config=True,
        help="""
        Seconds between two sweeps, which end this hub's applications that no server owns and remove what ended ones left
        in HDFS. 0: only at the hub's start. -1: never, but for ``yarnspawner sweep``. Example: ``3600``.
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
