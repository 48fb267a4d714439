"""The hub's one way to the cluster, shared by all spawners with the same settings."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar

from yarnspawner.hadoop.accounts import hub_account
from yarnspawner.hadoop.resourcemanager import ResourceManager
from yarnspawner.hadoop.skein_staging import StagingFolders
from yarnspawner.hadoop.uploads import Uploads
from yarnspawner.skein_driver import SKEIN_JAR, Cluster
from yarnspawner.yarn.port_check import PortChecker
from yarnspawner.yarn.reflector import ApplicationReflector
from yarnspawner.yarn.terminator import ApplicationTerminator


@dataclass(frozen=True)
class ClusterAccess:
    """Who the hub is on the cluster, and by which means it reaches it.

    Attributes:
        principal, keytab: of the hub; "" without Kerberos or with a ticket of its own.
        resource_manager_url: "" for what Hadoop's configuration says.
        submission_drivers: how many driver processes submit.
        shared_folder: in HDFS, for what the hub shares with all servers; "" for none.
        keep_uploads: days after which an upload that nobody uses is removed; 0 for never.
        spnego_over_http: whether the hub logs in with Kerberos over plain HTTP at other hosts.
    """

    principal: str = ""
    keytab: str = ""
    resource_manager_url: str = ""
    submission_drivers: int = 2
    shared_folder: str = ""
    keep_uploads: int = 30
    spnego_over_http: bool = False
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("yarnspawner"), compare=False)

    # A hub has one of them, or a few where groups override the queue's principal; they live as long as the hub.
    _shared: ClassVar[dict[ClusterAccess, ClusterAccess]] = {}

    def shared(self) -> ClusterAccess:
        """The one with these settings that all spawners of this process use."""
        return self._shared.setdefault(self, self)

    @property
    def hub_user(self) -> str:
        """The hub's Hadoop user."""
        return hub_account(self.principal)

    @cached_property
    def cluster(self) -> Cluster:
        """Submissions, reports, kills and key-value stores."""
        return Cluster(
            principal=self.principal,
            keytab=self.keytab,
            submission_drivers=self.submission_drivers,
            log=self.log,
        )

    @cached_property
    def reflector(self) -> ApplicationReflector:
        """What YARN says of the applications, without a call for each."""
        return ApplicationReflector(self.cluster, log=self.log)

    @cached_property
    def port_checker(self) -> PortChecker:
        """Who listens, for what is to be known before YARN answers."""
        return PortChecker()

    @cached_property
    def resource_manager(self) -> ResourceManager:
        """What skein's driver cannot tell."""
        options: dict[str, Any] = {"principal": self.principal, "keytab": self.keytab, "log": self.log}
        options["plain_login"] = self.spnego_over_http
        if urls := [url.strip() for url in self.resource_manager_url.split(",") if url.strip()]:
            return ResourceManager(urls, **options)
        return ResourceManager.from_configuration(**options)

    @cached_property
    def staging(self) -> StagingFolders:
        """What applications leave in HDFS. Raises StagingUnavailable where there is no HDFS."""
        return StagingFolders.from_configuration(
            principal=self.principal, keytab=self.keytab, plain_login=self.spnego_over_http
        )

    @cached_property
    def uploads(self) -> Uploads:
        """Files of the hub that are in HDFS once, for all starts."""
        return Uploads(
            self.shared_folder,
            self.hub_user,
            principal=self.principal,
            keytab=self.keytab,
            keep=self.keep_uploads,
            oldest_start=self._oldest_start,
            log=self.log,
        )

    def warm(self) -> None:
        """Make ready what the first start would have to wait for. Returns at once."""
        self.cluster.warm()
        self.uploads.url_if_ready(SKEIN_JAR)

    async def _oldest_start(self) -> datetime | None:
        started = [report.started for report in await self.cluster.active()]
        return min((when for when in started if when is not None), default=None)

    @cached_property
    def terminator(self) -> ApplicationTerminator:
        """Sees to it that what must end does."""
        return ApplicationTerminator(self.cluster, self.reflector, log=self.log)
