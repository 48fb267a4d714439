"""What an admin sets of the hub itself: it is the same for all its servers, and no profile changes it."""

from __future__ import annotations

from traitlets import Bool, Integer, Unicode
from traitlets.config import Configurable


class HubSettings(Configurable):
    """The settings of the hub on its cluster. A hub that restarts must find them as it left them."""

    # -- Who the hub is on the cluster

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

    spnego_over_http = Bool(
        False,
        config=True,
        help="""
        Whether the hub logs in with Kerberos (SPNEGO) at the web services of YARN and HDFS over plain HTTP.

        Without TLS, whoever can read the cluster's network can take the hub's session cookie and act as the hub, which
        may act as every user. Default: false. On a cluster with ``HTTP_ONLY`` whose web services demand a login the hub
        then removes old folders in HDFS with ``hadoop fs``, the options page shows no queues, a server's node is checked
        only against YARN's list of nodes, and a lifetime is kept by the hub. Web services on the hub's own machine,
        HTTPS, and those without a login work either way. Example: ``True``, where the network is trusted or encrypted.
        """,
    )

    submission_drivers = Integer(
        2,
        min=1,
        max=16,
        config=True,
        help="""
        Number of Java processes that submit applications. Each takes about 300 MiB of the hub's machine and submits
        two applications at a time, some tenths of a second each; where no submission waits they end applications as well.
        Another one asks for reports, so that those never wait. Default: 2, which take four seconds for fifty users who
        press start at the same moment; more help where YARN and HDFS are slow to answer. Example: ``4``, for thousands
        of users.
        """,
    )

    # -- What it keeps in HDFS

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

    # -- What is its own in its database, and on the cluster

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
        setting, or its orphans are not swept. The id is locked while the hub runs and belongs to the hub's database: after
        that has moved, run ``yarnspawner sweep --moved`` once. Example: ``"production"``.
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
