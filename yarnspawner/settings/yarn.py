"""Settings of YARN's features: containers, lifetimes, logs, tokens and hooks."""

from __future__ import annotations

from jupyterhub.traitlets import Callable
from traitlets import Bool, Enum, Float, Integer, List, Set, Unicode
from traitlets.config import Configurable

from yarnspawner.common.notebook_storage import STORAGES
from yarnspawner.skein_driver.application_master import SKEIN_HEARTBEAT


class YarnSettings(Configurable):
    """Settings of YARN's own features, and hooks."""

    server_container = Enum(
        ["master", "service"],
        default_value="master",
        config=True,
        help="""
        Container of the application that the server runs in.

        - ``"master"``: the application master's container. A server starts fastest and needs one container. The queue's limit
          for application masters (``yarn.scheduler.capacity.maximum-am-resource-percent``, 10 % by default) applies to the
          total of all servers. The container gets :attr:`application_master_memory` in addition to the user's memory.
        - ``"service"``: a separate container, in addition to a small one for the application master. A start takes a second or
          two longer. The server has exactly its memory, a :attr:`container_image` needs no Java, and the queue's limit only
          applies to the small container.

        Default: ``"master"``. Example: ``"service"``.

        .. versionadded:: 1.0
        """,
    )

    early_start = Bool(
        True,
        config=True,
        help="""
        Whether the server's script starts with its container, while skein's application master still registers with YARN.

        Users have their server about a second earlier. The script then begins without skein's variables. So it starts after the
        application master, as with ``False``, if it mentions ``skein`` or ``SKEIN_``, and if :attr:`server_container` is
        ``"service"``. Until the application master has registered, the script's log in the container's log folder is
        ``yarnspawner.start.log``. Default: ``True``. Example: ``False``.

        .. versionadded:: 1.0
        """,
    )

    container_image = Unicode(
        "",
        config=True,
        help="""
        Docker image that the server's container runs in.

        YARN must be set up for Docker (Hadoop 3.1 or later; ``yarn.nodemanager.runtime.linux.allowed-runtimes`` contains
        ``docker``). With :attr:`server_container` ``"master"``, the image also needs Java. Default: none. Example:
        ``"example.com/jupyter/scipy:2026-11"``.

        .. versionadded:: 1.0
        """,
    )

    notebook_storage = Enum(
        ["detect", *STORAGES],
        default_value="detect",
        config=True,
        help="""
        Where users' notebooks are stored, and so whether users see a notice that they can lose them.

        - ``"shared"``: in a folder that all nodes share, or elsewhere outside of the nodes. There is no notice.
        - ``"node"``: on a disk of the server's node. A server on another node does not find them.
        - ``"container"``: in the container's folder, which YARN deletes when the server stops.
        - ``"detect"``: the server finds out. The container's folder, a local file system (such as ext4, xfs and tmpfs), and all
          other file systems are these three. With a contents manager that does not use files, it is ``"shared"``.

        The notice is among the messages of a start, on the hub's home page and in JupyterLab. It does not depend on whether a
        user has saved anything. Default: ``"detect"``. Example: ``"shared"``, if a local file system is replicated to all nodes.

        .. versionadded:: 1.0
        """,
    )

    maximum_lifetime = Integer(
        0,
        min=0,
        config=True,
        help="""
        Maximum age of a server, in seconds.

        YARN stops the server at that age, even while the hub is down. If the hub cannot set the lifetime in YARN, the hub
        stops the server. Users see when that will be. With Kerberos, a server's access to HDFS ends
        after seven days, Hadoop's default, because its tokens are not replaced. A shorter lifetime avoids such servers. Default: 0, no limit. Example: ``12 * 3600``.

        .. versionadded:: 1.0
        """,
    )

    log_limit = Integer(
        100,
        min=0,
        config=True,
        help="""
        Maximum size of the log of a server, its kernels and their programs on a node's disk, in MiB.

        YARN itself neither rotates nor limits this log. If it exceeds the limit, the recipe keeps the first quarter and at
        least as much of the end. A line between them says how much was removed. ``yarn logs`` shows the result. For a moment,
        the log can exceed the limit. The output of :attr:`prologue` and :attr:`epilogue` is not limited while they run.
        Default: 100; 0 for no limit. Example: ``20``.

        .. versionadded:: 1.0
        """,
    )

    file_systems = List(
        Unicode(),
        config=True,
        help="""
        Additional Hadoop file systems that servers need a token for.

        This matters only with Kerberos. Servers always have a token for the default file system. Default: none. Example:
        ``["hdfs://other.example.com:8020"]``.

        .. versionadded:: 1.0
        """,
    )

    application_master_log_level = Enum(
        ["ALL", "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL", "OFF"],
        default_value="INFO",
        config=True,
        help="""
        Log level of skein's application master, for its log ``application.master.log``.

        Default: ``"INFO"``. Example: ``"DEBUG"``.

        .. versionadded:: 1.0
        """,
    )

    application_master_heartbeat = Float(
        1.0,
        min=0.2,
        max=SKEIN_HEARTBEAT,
        config=True,
        help="""
        Seconds between two requests of an idle application master to the ResourceManager, from 0.2 to 5.

        It applies to servers that offer :attr:`kernel_profiles`. A kernel's start waits for the next request. With fewer seconds,
        kernels start sooner, and the ResourceManager has more to do: 1,000 such servers send 1,000 requests each second by
        default. Hadoop's MapReduce has the same default (``yarn.app.mapreduce.am.scheduler.heartbeat.interval-ms``).
        Default: ``1``. Example: ``5``, skein's own interval.

        .. versionadded:: 1.0
        """,
    )

    shared_hadoop_users = Set(
        Unicode(),
        config=True,
        help="""
        Hadoop users that several users of the hub may share.

        Any other Hadoop user belongs to the first user of the hub who started a server as it. If :attr:`hadoop_user` maps a
        second user to the same account, the hub refuses that user's start. To Hadoop, users who share an account are one user:
        each can read the files, logs and API tokens of the others, and so use and stop their servers. Default: none.
        Example: ``{"teaching"}``.

        .. versionadded:: 1.0
        """,
    )

    modify_spec_hook = Callable(
        None,
        allow_none=True,
        config=True,
        help="""
        Hook that can change an application before it is submitted.

        The spawner calls ``hook(spawner, spec)`` with the ``skein.ApplicationSpec``. The hook can be async. It returns the
        specification to submit, or None if it has changed ``spec`` in place. If it raises an exception, the start fails.
        Default: none. Example::

            def leave_a_note(spawner, spec):
                spec.master.env["NOTE"] = spawner.user.name

            c.YarnSpawner.modify_spec_hook = leave_a_note

        .. versionadded:: 1.0
        """,
    )

    after_submit_hook = Callable(
        None,
        allow_none=True,
        config=True,
        help="""
        Hook that runs after YARN has accepted an application.

        The spawner calls ``hook(spawner, application_id)``. The hook can be async. If it raises an exception, the start fails
        and the hub kills the application. Default: none. Example::

            async def tell(spawner, application_id):
                spawner.log.info("%s has %s", spawner.user.name, application_id)

            c.YarnSpawner.after_submit_hook = tell

        .. versionadded:: 1.0
        """,
    )
