"""The hub's access to the cluster, shared by all spawners with the same settings."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar

from yarnspawner.hadoop.http_client import HadoopHttpClient
from yarnspawner.hadoop.kerberos import TicketCache
from yarnspawner.hadoop.name_rules import mapped_account
from yarnspawner.hadoop.resourcemanager import ResourceManager
from yarnspawner.hadoop.skein_staging import StagingFolders
from yarnspawner.hadoop.uploads import Uploads
from yarnspawner.skein_driver import SKEIN_JAR, Cluster
from yarnspawner.yarn.container_waits import ContainerWaits
from yarnspawner.yarn.pending import PendingApplications
from yarnspawner.yarn.port_check import PortChecker
from yarnspawner.yarn.reflector import ApplicationReflector
from yarnspawner.yarn.terminator import ApplicationTerminator

# Seconds for an answer of a NodeManager.
_NODE_MANAGER_TIMEOUT = 4.0


@dataclass(frozen=True)
class ClusterAccess:
    """Hold the hub's identity on the cluster and create the clients that reach it.

    Attributes:
        principal: Kerberos principal of the hub; "" without Kerberos, or to use the hub's ticket cache.
        keytab: path of the principal's keytab; "" in the same cases.
        resource_manager_url: comma-separated URLs; "" to take them from Hadoop's configuration.
        submission_drivers: number of driver processes that submit applications.
        shared_folder: HDFS folder for files that the hub shares with all servers; "" for none.
        keep_uploads: days after which an unused upload is removed; 0 to keep uploads.
        spnego_over_http: True to log in to other hosts with Kerberos over plain HTTP.
        hadoop_ca_file: PEM file of the CAs of Hadoop's web services; "" for the system's CAs.
        hub_hadoop_user: the hub's Hadoop user; "" to ask Hadoop.
        application_link: URL of YARN's page about an application, with ``{application_id}``; "" for no links, None for
            the ResourceManager's own page.
        allowed_system_accounts: system accounts that servers may run as.
        log: the hub's logger.
    """

    principal: str = ""
    keytab: str = ""
    resource_manager_url: str = ""
    submission_drivers: int = 2
    shared_folder: str = ""
    keep_uploads: int = 30
    spnego_over_http: bool = False
    hadoop_ca_file: str = ""
    hub_hadoop_user: str = ""
    application_link: str | None = None
    allowed_system_accounts: frozenset[str] = frozenset()
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("yarnspawner"), compare=False)

    # A hub has one instance, or a few if group overrides change the principal. They live as long as the hub.
    _shared: ClassVar[dict[ClusterAccess, ClusterAccess]] = {}

    def shared(self) -> ClusterAccess:
        """Return the instance with these settings that all spawners of this process share."""
        return self._shared.setdefault(self, self)

    @cached_property
    def hub_user(self) -> str:
        """The hub's Hadoop user. The first access may ask Hadoop, which takes a second."""
        return self.hub_hadoop_user or mapped_account(self.principal, self.log)

    def link_to(self, application_id: str) -> str:
        """Return the URL of YARN's page about an application, for browsers; "" for none."""
        if self.application_link is None:
            return self.resource_manager.application_url(application_id)
        return self.application_link.replace("{application_id}", application_id)

    @cached_property
    def cluster(self) -> Cluster:
        """The client for submissions, reports, kills and key-value stores."""
        return Cluster(
            principal=self.principal,
            keytab=self.keytab,
            submission_drivers=self.submission_drivers,
            log=self.log,
        )

    @cached_property
    def reflector(self) -> ApplicationReflector:
        """The view of YARN's applications. One list call refreshes all of them."""
        return ApplicationReflector(self.cluster, log=self.log)

    @cached_property
    def port_checker(self) -> PortChecker:
        """Checks whether a server's port accepts connections.

        Used after a hub restart until the first YARN report.
        """
        return PortChecker()

    @cached_property
    def resource_manager(self) -> ResourceManager:
        """The client of the ResourceManager's web service, for data that skein's driver does not offer."""
        options: dict[str, Any] = {**self._web_options, "log": self.log}
        if urls := [url.strip() for url in self.resource_manager_url.split(",") if url.strip()]:
            return ResourceManager(urls, **options)
        return ResourceManager.from_configuration(**options)

    @cached_property
    def pending_applications(self) -> PendingApplications:
        """Counts the applications that wait in the queues."""
        return PendingApplications(lambda: self.resource_manager)

    @cached_property
    def container_waits(self) -> ContainerWaits:
        """Says why running servers wait for containers of their kernels."""
        return ContainerWaits(lambda: self.resource_manager)

    @cached_property
    def node_manager_client(self) -> HadoopHttpClient:
        """The HTTP client for the NodeManagers' web services."""
        return HadoopHttpClient(
            self.hub_user,
            tickets=TicketCache.shared(self.principal, self.keytab),
            ca_file=self.hadoop_ca_file,
            timeout=_NODE_MANAGER_TIMEOUT,
            plain_login=self.spnego_over_http,
        )

    @cached_property
    def staging(self) -> StagingFolders:
        """The staging folders of applications in HDFS.

        Raises:
            StagingUnavailable: the cluster has no HDFS.
        """
        return StagingFolders.from_configuration(**self._web_options)

    @property
    def _web_options(self) -> dict[str, Any]:
        return {
            "principal": self.principal,
            "keytab": self.keytab,
            "ca_file": self.hadoop_ca_file,
            "plain_login": self.spnego_over_http,
        }

    @cached_property
    def uploads(self) -> Uploads:
        """The hub's files that are uploaded to HDFS once and used by all starts."""
        return Uploads(
            self.shared_folder,
            self.hub_user,
            principal=self.principal,
            keytab=self.keytab,
            keep=self.keep_uploads,
            oldest_start=self._oldest_start,
            log=self.log,
        )

    def connect(self) -> None:
        """Start the driver for reports, for which a restarted hub waits. Return immediately."""
        self.cluster.connect()

    def warm(self) -> None:
        """Start the drivers and the upload of skein's jar, so that the first start need not wait.

        Return immediately; the work continues in the background.
        """
        self.cluster.warm()
        self.uploads.url_if_ready(SKEIN_JAR)

    async def _oldest_start(self) -> datetime | None:
        started = [report.started for report in await self.cluster.active()]
        return min((when for when in started if when is not None), default=None)

    @cached_property
    def terminator(self) -> ApplicationTerminator:
        """Kills applications and retries until YARN reports them as finished."""
        return ApplicationTerminator(self.cluster, self.reflector, log=self.log)
