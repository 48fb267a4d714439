"""Settings of a server, its application and its container."""

from __future__ import annotations

from typing import Any

from jupyterhub.traitlets import Callable
from traitlets import Dict, Integer, List, TraitError, Tuple, Unicode, Union, default, validate
from traitlets.config import Configurable

from yarnspawner.settings.traits import Memory, ServerCommand, WholeNumber, template
from yarnspawner.skein_driver.application_master import JAVA_OPTIONS, MEMORY

SCRIPT_TEMPLATE = "{prologue}\n{singleuser_command}\nstatus=$?\n{epilogue}\nexit $status"


class ServerSettings(Configurable):
    """Settings of a server. Names of version 0.4.0 keep their meaning."""

    hadoop_user = Union(
        [Unicode(), Callable()],
        default_value="{username}",
        config=True,
        help="""
        Hadoop user that a user's server runs as.

        A template with ``{username}`` (escaped) and ``{unescaped_username}``, or a callable that takes the spawner and
        returns the name or an awaitable. The hub refuses its own account and system accounts, that is, accounts with a uid
        below :attr:`lowest_uid` on the hub's machine, unless :attr:`allowed_system_accounts` lists them. Default: the hub's
        name of the user. Example, for e-mail addresses of one domain::

            c.YarnSpawner.hadoop_user = lambda spawner: spawner.user.name.removesuffix("@example.com")

        .. versionadded:: 1.0
        """,
    )

    # -- The application

    application_name = template(
        "jupyterhub-{user_server}",
        """
        Name of the application on YARN's pages.

        A template with these fields: ``{username}``, ``{unescaped_username}``, ``{servername}`` (empty for the default
        server), ``{user_server}`` (both, joined with ``--``), ``{groups}`` (the user's groups, joined with commas) and
        ``{queue_username}`` (for :attr:`queue`). Or a callable that takes the spawner and returns the text or an awaitable.
        Default: ``"jupyterhub-{user_server}"``. Example: ``"notebook of {unescaped_username}"``.

        .. versionadded:: 1.0
        """,
    )

    queue = template(
        "default",
        """
        YARN queue that servers run in.

        A template with the fields of :attr:`application_name`, or a callable that takes the spawner and returns the queue or
        an awaitable. ``{queue_username}`` is the :attr:`hadoop_user` as YARN writes it in queues of users: names of queues have no
        dots, so ``first.last`` is ``first_dot_last``. Default: ``"default"``. Example: ``"root.users.{queue_username}"``.

        .. versionchanged:: 1.0
            A template or a callable.
        """,
    )

    node_label = template(
        "",
        """
        YARN node label expression of the nodes that a server may run on.

        A template or a callable, as for :attr:`queue`. Default: the queue's own expression. Example: ``"gpu"``.

        .. versionadded:: 1.0
        """,
    )

    tags = List(
        Unicode(),
        config=True,
        help="""
        Tags of the application, for YARN's own tools.

        YARN converts them to lower case. It allows up to 6 tags in addition to the spawner's own four. Default: only these
        four. Example: ``["jupyter"]``.

        .. versionadded:: 1.0
        """,
    )

    @validate("tags")
    def _validate_tags(self, proposal: dict[str, Any]) -> Any:
        # ApplicationSubmissionContext: YARN refuses more than 10 tags, tags over 100 characters, and non-ASCII tags.
        for tag in proposal["value"]:
            if not tag.isascii() or not 0 < len(tag) <= 100 or "," in tag:
                raise TraitError(f"tags: {tag!r} is not a tag for YARN: 1 to 100 ASCII characters, without a comma.")
        if len(proposal["value"]) > 6:
            raise TraitError("tags: YARN allows up to 6 in addition to the spawner's own four.")
        return proposal["value"]

    # -- The container

    mem_limit = Memory(
        "2 G",
        at_least=2**20,
        config=True,
        help="""
        Memory for a user's server and kernels, in bytes or with a suffix.

        The suffixes K, M, G and T stand for KiB, MiB, GiB and TiB. If YARN monitors memory, it kills a container that
        uses more. None stands for the default. Default: ``"2 G"``. Example: ``"8 G"``.

        .. versionchanged:: 1.0
            The container gets :attr:`application_master_memory` in addition.
        """,
    )

    cpu_limit = WholeNumber(
        1,
        min=1,
        config=True,
        help="""
        Number of YARN's virtual cores for a user's server.

        It must be a whole number, unlike in other spawners. None stands for the default. Default: 1. Example: ``4``.
        """,
    )

    gpus = WholeNumber(
        0,
        min=0,
        config=True,
        help="""
        Number of GPUs for a user's server.

        YARN must offer the resource ``yarn.io/gpu`` (Hadoop 3.1 or later). Default: none. Example: ``1``.

        .. versionadded:: 1.0
        """,
    )

    application_master_memory = Memory(
        f"{MEMORY} M",
        config=True,
        help="""
        Memory for skein's application master, in bytes or with a suffix.

        The application master is a Java process. When idle, it uses about 130 MiB. If it shares the server's container
        (:attr:`server_container`), the container gets this memory in addition to :attr:`mem_limit`. With 0, the container has
        the same size as in 0.4.0, so the user has less than :attr:`mem_limit`. If the application master has a container of its
        own, this is that container's memory, at least 256 MiB. Default: ``"256 M"``. Example: ``"384 M"``.

        .. versionadded:: 1.0
        """,
    )

    application_master_java_options = Unicode(
        JAVA_OPTIONS,
        config=True,
        help="""
        Options for the Java process of skein's application master.

        The default halves its start time and needs little more than half the memory. skein always limits the heap to 128 MiB.
        The options do not affect the user's own Java programs. Example:
        ``"-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dhttps.protocols=TLSv1.2"``.

        .. versionadded:: 1.0
        """,
    )

    localize_files = Union(
        [Dict(), Callable()],
        default_value={},
        config=True,
        help="""
        Files that YARN brings into the container.

        A mapping from the name in the container to a path, a URL, a ``skein.File``, or its dict. Archives (``.tar.gz``,
        ``.tgz``, ``.zip``) become folders. If a file is already in HDFS, give its URL. The visibility is one of:

        - ``application``: only for this start. This is the default.
        - ``private``: for all servers of this user.
        - ``public``: for all users. Each node keeps one copy.

        The hub uploads a local file of 1 MiB or more to HDFS once, and all starts share it: public files in
        :attr:`shared_folder`, others in ``.yarnspawner`` in the user's home directory. It uploads smaller files at each
        start.

        The hub reads local files with its own permissions. So it refuses a path that users can change, such as one below
        ``/home/alice``: a link there could lead to the hub's keytab. The file and the folders above it may belong to root, to
        the hub's account or to service accounts (uid below 1000). A callable that takes the spawner can return the mapping, or
        an awaitable. Default: no files. Example::

            c.YarnSpawner.localize_files = {
                "environment": {"source": "/opt/environments/jupyter.tar.gz", "visibility": "public"}
            }
            c.YarnSpawner.prologue = "source environment/bin/activate"

        .. versionchanged:: 1.0
            Large local files are uploaded once, and local paths that users can change are refused.
        """,
    )

    prologue = template(
        "",
        """
        Shell commands that run in the container before the server.

        The fields of :attr:`application_name` are replaced by words of the shell, quoted if necessary. So write them outside
        of quotes. All other braces stay: ``${HOME}`` is the shell's own. The same holds for :attr:`epilogue`. In
        ``environment`` and in the sources of :attr:`localize_files`, fields are replaced without quotes. A callable is allowed
        as for :attr:`queue`; it quotes words itself.

        The start fails, and the user sees which command failed, in these cases:

        - The last command fails.
        - A command is not found.
        - ``source``, ``.``, ``cd``, ``conda`` or ``module`` fails.

        Failures of other commands are ignored. Write ``command || true`` if a failure does not matter. Default: none.
        Example: ``"source /opt/jupyter/bin/activate; cd /data/{username}"``.

        .. versionchanged:: 1.0
            A prologue that fails makes the start fail.
        """,
    )

    epilogue = template(
        "",
        """
        Shell commands that run in the container after the server has stopped.

        Fields are replaced as in :attr:`prologue`, and a callable is allowed. Default: none. Example: ``"rm -rf scratch"``.
        """,
    )

    script_template = Unicode(
        SCRIPT_TEMPLATE,
        config=True,
        help="""
        Script that runs in the container.

        A template with the fields ``{prologue}``, ``{singleuser_command}`` and ``{epilogue}``. Double all other braces. Its
        exit status must be the server's. Example::

            c.YarnSpawner.script_template = "{prologue}\\nexec {singleuser_command}"
        """,
    )

    cmd = ServerCommand(
        ["python -m yarnspawner.singleuser"],
        allow_none=True,
        config=True,
        help="""
        Command that starts the server in the container.

        It must run yarnspawner's recipe, which publishes the server's address for the hub. So the hub replaces
        ``jupyterhub-singleuser`` and ``jupyter-labhub`` by the recipe. A string is a piece of shell. In a list of several
        words, each word is quoted. Default: the recipe. Example: ``["/opt/jupyter/bin/python -m yarnspawner.singleuser"]``.
        """,
    )

    port_range = Tuple(
        Integer(min=1024, max=65535),
        Integer(min=1024, max=65535),
        default_value=None,
        allow_none=True,
        config=True,
        help="""
        First and last port that servers may listen on, for a firewall between the hub and the nodes.

        Each node needs as many ports as it has servers at the same time. The hub refuses a server that publishes another port,
        and always refuses ports below 1024. Default: any free port. Example: ``(40000, 40999)``.

        .. versionadded:: 1.0
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
        Grace period, in seconds, for kernels and server to shut down before YARN kills the container.

        Default: 10. Example: ``30``, for kernels that have much data to write.

        .. versionadded:: 1.0
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
        # Values from the hub's machine, such as PATH, are not valid on a node.
        return []

    @default("ssl_alt_names")
    def _default_ssl_alt_names(self) -> list[str]:
        # JupyterHub adds localhost and the hub's own names; a certificate must be good for the nodes alone.
        return []

    @default("ssl_alt_names_include_local")
    def _default_ssl_alt_names_include_local(self) -> bool:
        return False
