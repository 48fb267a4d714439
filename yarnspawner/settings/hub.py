"""Settings of the hub itself. They are the same for all its servers; no profile changes them."""

from __future__ import annotations

import socket
from typing import Any

from traitlets import Bool, Integer, Set, TraitError, Unicode, validate
from traitlets.config import Configurable

from yarnspawner.hadoop.accounts import FIRST_USER_ID, SUPERUSERS


class HubSettings(Configurable):
    """Settings of the hub on its cluster. Do not change :attr:`hub_id` and :attr:`state_secret` while servers run."""

    # -- The hub on the cluster

    principal = Unicode(
        None,
        allow_none=True,
        config=True,
        help="""
        Kerberos principal of the hub.

        The hub logs in to Hadoop with it and with :attr:`keytab`. Hadoop must allow it to impersonate the users
        (``hadoop.proxyuser.jupyterhub.users``, ``.groups`` and ``.hosts`` in core-site.xml). If both are unset, the hub
        uses the ticket cache of its own account, or no Kerberos. As in Hadoop's own settings, ``_HOST`` stands for the name of
        this machine. Default: none. Example: ``"jupyterhub@EXAMPLE.COM"``.
        """,
    )

    @validate("principal")
    def _validate_principal(self, proposal: dict[str, Any]) -> Any:
        principal = proposal["value"]
        # Hadoop's daemons replace it (SecurityUtil.getServerPrincipal); kinit and Hadoop's clients do not.
        return principal and principal.replace("/_HOST@", f"/{socket.getfqdn().lower()}@")

    keytab = Unicode(
        None,
        allow_none=True,
        config=True,
        help="""
        Path of the keytab that contains the keys of :attr:`principal`.

        Only the hub's account should be able to read it. Default: none. Example:
        ``"/etc/security/keytabs/jupyterhub.keytab"``.
        """,
    )

    hub_hadoop_user = Unicode(
        "",
        config=True,
        help="""
        The hub's own Hadoop user, as Hadoop's services call it.

        The application's ACLs name it, so that the hub can see and kill applications of its users. It does not change who the
        hub logs in as. Default: what Hadoop itself makes of :attr:`principal` by ``hadoop.security.auth_to_local`` (``hadoop
        kerbname``); without rules, the first part of the principal; without Kerberos, ``HADOOP_USER_NAME`` or the hub's own
        account. Set it if the rules of the hub's machine differ from those of the cluster. Example: ``"svc_jupyterhub"``.

        .. versionadded:: 1.0
        """,
    )

    @validate("hub_hadoop_user")
    def _validate_hub_hadoop_user(self, proposal: dict[str, Any]) -> Any:
        name = proposal["value"].strip()
        # An ACL is a list of short names, separated by commas and spaces. YARN would never find the hub in it.
        if set(name) & set("@/, \t"):
            raise TraitError(f"hub_hadoop_user: {name!r} is not a short name, as Hadoop's services call the hub.")
        return name

    lowest_uid = Integer(
        FIRST_USER_ID,
        min=1,
        config=True,
        help="""
        Lowest uid, the number of an account, that servers may run as.

        The hub refuses accounts of its machine with a lower uid. It never sends files of accounts from this uid on to
        containers. YARN has a limit of its own, ``min.user.id`` in container-executor.cfg on the nodes. Default: 1000.
        Example: ``500``, if people's accounts begin there.

        .. versionadded:: 1.0
        """,
    )

    allowed_system_accounts = Set(
        Unicode(),
        config=True,
        help="""
        System accounts that servers may run as, although their name or uid is that of a system account.

        Users who can start a server as such an account have all its permissions. ``root`` and the superusers of HDFS and YARN
        (``hdfs``, ``yarn``, ``mapred``) cannot be allowed. YARN has a list of its own, ``allowed.system.users`` in
        container-executor.cfg on the nodes. Default: none. Example: ``{"spark"}``.

        .. versionadded:: 1.0
        """,
    )

    @validate("allowed_system_accounts")
    def _validate_allowed_system_accounts(self, proposal: dict[str, Any]) -> Any:
        if refused := SUPERUSERS & {name.lower() for name in proposal["value"]}:
            raise TraitError(f"allowed_system_accounts: no server may run as {', '.join(sorted(refused))}.")
        return proposal["value"]

    application_link = Unicode(
        None,
        allow_none=True,
        config=True,
        help="""
        Address of YARN's page about an application, for the links on users' pages.

        It has the field ``{application_id}``. Set it if browsers reach YARN's pages at another address than the hub does, for
        example through Knox. With an empty text, there are no links. Default: the page at :attr:`resource_manager_url`.
        Example: ``"https://knox.example.com/gateway/default/yarn/cluster/app/{application_id}"``.

        .. versionadded:: 1.0
        """,
    )

    @validate("application_link")
    def _validate_application_link(self, proposal: dict[str, Any]) -> Any:
        link = proposal["value"]
        if link and ("{application_id}" not in link or not link.startswith(("https://", "http://"))):
            raise TraitError(f"application_link: {link!r} is not a URL with the field {{application_id}}.")
        return link

    resource_manager_url = Unicode(
        "",
        config=True,
        help="""
        Address of the ResourceManager's web service.

        Separate several URLs with commas. Default: the address in yarn-site.xml in ``$HADOOP_CONF_DIR``. Example:
        ``"http://rm.example.com:8088"``.

        .. versionadded:: 1.0
        """,
    )

    @validate("resource_manager_url")
    def _validate_resource_manager_url(self, proposal: dict[str, Any]) -> Any:
        for url in filter(None, map(str.strip, proposal["value"].split(","))):
            if not url.lower().startswith(("http://", "https://")):
                raise TraitError(f"resource_manager_url: {url!r} is not a URL such as http://rm.example.com:8088.")
        return proposal["value"]

    hadoop_ca_file = Unicode(
        "",
        config=True,
        help="""
        PEM file with the CA certificates of YARN's and HDFS's web services.

        Set it if the cluster serves HTTPS with a private CA. The hub uses it for all its requests to the ResourceManager and
        the NameNodes. Hadoop's Java clients have a truststore of their own, in ssl-client.xml. Default: the CAs of the hub's
        system. Example: ``"/etc/pki/ca-trust/source/anchors/cluster-ca.pem"``.

        .. versionadded:: 1.0
        """,
    )

    spnego_over_http = Bool(
        False,
        config=True,
        help="""
        Whether the hub logs in with Kerberos (SPNEGO) at web services of YARN and HDFS over plain HTTP.

        If true, anyone who can read the cluster's network traffic can take the hub's session cookie. With the cookie, they
        can act as the hub, and so as every user. Set it only if the network is trusted or encrypted.

        If false, and if the cluster uses ``HTTP_ONLY`` and its web services require a login, the hub does less:

        - It removes old folders in HDFS with ``hadoop fs``.
        - The options page shows no queues.
        - The hub checks a server's node only against YARN's list of nodes.
        - The hub enforces :attr:`maximum_lifetime` itself.

        HTTPS, web services on the hub's own machine, and web services without a login work with both values. Default:
        false. Example: ``True``.

        .. versionadded:: 1.0
        """,
    )

    submission_drivers = Integer(
        2,
        min=1,
        max=16,
        config=True,
        help="""
        Number of Java processes that submit applications.

        Each needs about 300 MiB on the hub's machine and submits two applications at the same time. A submission takes a few
        tenths of a second. When no submission waits, these processes kill applications as well. Another process requests
        reports, so reports never wait. Two processes submit the applications of fifty simultaneous starts in four seconds.
        If YARN and HDFS respond slowly, more help. Default: 2. Example: ``4``, for thousands of users.

        .. versionadded:: 1.0
        """,
    )

    # -- The hub's files in HDFS

    shared_folder = Unicode(
        ".yarnspawner",
        allow_none=True,
        config=True,
        help="""
        Folder in HDFS for files that the hub shares with the servers of all users.

        It contains one copy of skein's jar, which would otherwise be uploaded at each start, and the files of public
        visibility in :attr:`localize_files`. The path is absolute or relative to the hub's home directory. The hub creates
        the folder.

        Everyone must be able to read the folder and all folders above it (``drwxr-xr-x``), because YARN requires this of
        public files. They must belong to the hub or to HDFS's superuser, and no one else may write there: a user who can
        replace these files can run programs as any other user. If this check fails, the hub logs the reason and uploads files
        at each start. With None or an empty text, the hub also uploads files at each start, without a warning. Example:
        ``"/apps/jupyterhub"``.

        .. versionadded:: 1.0
        """,
    )

    keep_uploads = Integer(
        30,
        min=0,
        config=True,
        help="""
        Days after which the hub removes an unused file that it has uploaded to HDFS.

        A file is unused if no start has used it and no running application can still use it. With 0, the hub never removes
        files. Default: 30. Example: ``7``, for large environments that change every day.

        .. versionadded:: 1.0
        """,
    )

    # -- Identity, state and orphans

    state_secret = Unicode(
        "",
        config=True,
        help="""
        Key that encrypts server state in the hub's database.

        Hubs that share a database must use the same value, and the same :attr:`hub_id`. Only one of them may run at a time.
        Default: the hub's cookie secret. Example: ``os.environ["YARNSPAWNER_STATE_SECRET"]``.

        .. versionadded:: 1.0
        """,
    )

    hub_id = Unicode(
        "",
        config=True,
        help="""
        Identity of this hub among all hubs on the cluster.

        It is part of the tags of the hub's applications, and the hub only sweeps applications with its tags. Each hub needs a
        different value. The hub locks the id while it runs, and binds it to its database. After the database has moved, run
        ``yarnspawner sweep --moved`` once.

        Default: an id that the hub creates once and stores in the file ``yarnspawner_hub_id``, next to JupyterHub's cookie
        secret. If the cookie secret is in no file, set this; otherwise the hub sweeps no orphans. Example: ``"production"``.

        .. versionadded:: 1.0
        """,
    )

    sweep_grace = Integer(
        60,
        min=0,
        config=True,
        help="""
        Seconds until an application that belongs to no server is swept.

        After the hub's start, the first sweep also waits this long, counted from the moment when all servers have been
        checked. Default: 60. Example: ``300``.

        .. versionadded:: 1.0
        """,
    )

    sweep_interval = Integer(
        900,
        min=-1,
        config=True,
        help="""
        Seconds between two sweeps.

        A sweep stops this hub's orphans, that is, its applications that belong to no server. It also removes files that
        finished applications left in HDFS. With 0, the hub sweeps only once after its start; with -1, only when you run
        ``yarnspawner sweep``. Default: 900. Example: ``3600``.

        .. versionadded:: 1.0
        """,
    )
