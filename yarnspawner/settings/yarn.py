"""What an admin asks of YARN beside a container's size: the traits of containers, life times, tokens and hooks."""

from __future__ import annotations

from jupyterhub.traitlets import Callable
from traitlets import Enum, Integer, List, Set, Unicode
from traitlets.config import Configurable


class FeatureSettings(Configurable):
    """The settings of YARN's own features, and the hooks."""

    server_container = Enum(
        ["master", "service"],
        default_value="master",
        config=True,
        help="""
        In which of the application's containers the server runs.

        ``"master"``: in the one of the application master. A server starts fastest, and takes one container. The
        queue's share for application masters (``yarn.scheduler.capacity.maximum-am-resource-percent``, 10 % by
        default) then limits all servers together, and :attr:`application_master_memory` comes on top of the user's.

        ``"service"``: in one of its own, beside a small one for the application master, so that it takes a second or
        two more to start. The server has exactly its memory, a :attr:`container_image` needs no Java, and only the
        application masters count for that share.

        Example: ``"service"``.
        """,
    )

    container_image = Unicode(
        "",
        config=True,
        help="""
        Docker image that the server's container runs in, for instance ``"example.com/jupyter/scipy:2026-11"``.

        YARN must be set up for it (``yarn.nodemanager.runtime.linux.allowed-runtimes`` has ``docker``, Hadoop 3.1 or
        later). With :attr:`server_container` ``"master"`` the image needs Java as well. Default: none.
        """,
    )

    maximum_lifetime = Integer(
        0,
        min=0,
        config=True,
        help="""
        Seconds that a server may live, for instance ``12 * 3600``; 0, the default, for no end. YARN itself ends it
        then, also while the hub is down; where YARN cannot be told to, the hub does it. Users are told when that will
        be.
        """,
    )

    log_limit = Integer(
        100,
        min=0,
        config=True,
        help="""
        MiB of log that a server, its kernels and their programs may leave on a node's disk, for instance ``20``; 0 for
        no limit.

        YARN itself neither rotates nor limits it. Of a longer log the first quarter and at least as much of its end are
        kept, with a line between them that says how much was left out; ``yarn logs`` shows it as ever. It may be longer
        for a moment. What :attr:`prologue` and :attr:`epilogue` write is not limited while they run.
        """,
    )

    file_systems = List(
        Unicode(),
        config=True,
        help="""
        Hadoop file systems beside the default one that servers need a token for, for instance
        ``["hdfs://other.example.com:8020"]``. Only matters with Kerberos. Default: none.
        """,
    )

    application_master_log_level = Enum(
        ["ALL", "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL", "OFF"],
        default_value="INFO",
        config=True,
        help="""
        How much skein's application master writes into its log, ``application.master.log``. Example: ``"DEBUG"``.
        """,
    )

    shared_hadoop_users = Set(
        Unicode(),
        config=True,
        help="""
        Hadoop users that several users of the hub may have their servers run as, for instance ``{"teaching"}``.

        Any other Hadoop user belongs to the one user of the hub who had a server as it first: with a
        :attr:`hadoop_user` that maps two names to one account, the second is refused. Users who share one are one user to Hadoop: each can read
        the files, logs and API tokens of the others, and so use and stop their servers. Default: none.
        """,
    )

    modify_spec_hook = Callable(
        None,
        allow_none=True,
        config=True,
        help="""
        Called as ``hook(spawner, spec)`` with the ``skein.ApplicationSpec`` before it is submitted; it may be async.
        What it returns is submitted, or what it has changed in place if it returns None. Default: none. Example::

            def leave_a_note(spawner, spec):
                spec.master.env["NOTE"] = spawner.user.name

            c.YarnSpawner.modify_spec_hook = leave_a_note
        """,
    )

    after_submit_hook = Callable(
        None,
        allow_none=True,
        config=True,
        help="""
        Called as ``hook(spawner, application_id)`` when YARN has taken the application; it may be async. If it raises,
        the start fails and the application is ended. Default: none. Example::

            async def tell(spawner, application_id):
                spawner.log.info("%s has %s", spawner.user.name, application_id)

            c.YarnSpawner.after_submit_hook = tell
        """,
    )
