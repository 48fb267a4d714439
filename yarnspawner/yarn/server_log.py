"""Read the log of a server, whether it runs or has ended."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from yarnspawner.hadoop.logs import LogsUnavailable, running_tail, tail
from yarnspawner.hadoop.resourcemanager import ResourceManagerUnavailable
from yarnspawner.yarn.access import ClusterAccess

_FILES = {"master": "application.driver.log", "service": "server.log"}
_ENDED = frozenset({"FINISHED", "FAILED", "KILLED"})


async def running_log(access: ClusterAccess, application_id: str, container: str, *, lines: int = 40) -> str:
    """Return the last lines of a running server's log, from the web service of its node.

    Args:
        access: the hub's access to the cluster.
        application_id: the server's application.
        container: container that the server runs in, "master" or "service".
        lines: number of lines.

    Returns:
        Plain text without control characters; "" if there is no container yet, or it has written nothing.

    Raises:
        LogsUnavailable: the ResourceManager or the node did not answer, or refused the hub.
    """
    manager = access.resource_manager
    try:
        node = await (manager.server_node if container == "service" else manager.master_node)(application_id)
    except ResourceManagerUnavailable as error:
        raise LogsUnavailable(str(error)) from None
    if node is None:
        return ""
    return await running_tail(node, _FILES[container], access.node_manager_client, lines=lines)


async def server_log(
    access: ClusterAccess, application_id: str, hadoop_user: str, container: str, *, lines: int, timeout: float = 60
) -> str:
    """Return the last lines of a server's log.

    The hub reads the log of an application that has ended as its user, and that of a running one as a viewer whom the
    application's ACL names.

    Args:
        access: the hub's access to the cluster.
        application_id: the server's application.
        hadoop_user: its Hadoop user.
        container: container that the server runs in, "master" or "service".
        lines: number of lines.
        timeout: seconds for the log of an application that has ended.

    Returns:
        Plain text without control characters; "" if the server wrote nothing.

    Raises:
        LogsUnavailable: the log cannot be read.
    """
    if not await _has_ended(access, application_id):
        try:
            return await running_log(access, application_id, container, lines=lines)
        except LogsUnavailable as error:
            # `yarn logs` also reads from the nodes, as another client.
            _log.debug("The log of %s is read with `yarn logs`: %s", application_id, error)
    return await tail(
        application_id, hadoop_user, principal=access.principal, keytab=access.keytab, lines=lines, timeout=timeout
    )


async def start_log(access: ClusterAccess, start: Mapping[str, str], *, lines: int, timeout: float = 60) -> str:
    """Return the last lines of the log of a kept start; see :func:`server_log`.

    Args:
        access: the hub's access to the cluster.
        start: an entry of :class:`~yarnspawner.state.start_history.StartHistory`.
        lines: number of lines.
        timeout: seconds for the log of an application that has ended.
    """
    container = "service" if start.get("container") == "service" else "master"
    user = start.get("hadoop_user", "")
    return await server_log(access, start["application_id"], user, container, lines=lines, timeout=timeout)


_log = logging.getLogger(__name__)


async def _has_ended(access: ClusterAccess, application_id: str) -> bool:
    """Return True if an application has ended, or its state is unknown."""
    try:
        application = await access.resource_manager.application(application_id)
    except ResourceManagerUnavailable:
        return True
    return application is None or application.get("state") in _ENDED
