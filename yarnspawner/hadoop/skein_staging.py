"""Remove skein's staging folders from users' HDFS homes, over WebHDFS.

skein's application master removes its staging folder when it exits normally. A killed one leaves it, with a jar of 8 MB. The
hub sends requests to the NameNode as the user (``doas``). This needs no JVM, and cannot remove more than the user could.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from yarnspawner.common.ids import checked_application_id, is_application_id
from yarnspawner.common.text import one_line
from yarnspawner.hadoop.accounts import hub_account
from yarnspawner.hadoop.configuration import ConfigurationError, HadoopConfiguration
from yarnspawner.hadoop.filesystem import DefaultFileSystem, FileSystem, FileSystemError
from yarnspawner.hadoop.http_client import HadoopHttpClient, Response, WebError, WebInsecure
from yarnspawner.hadoop.kerberos import TicketCache

_Result = TypeVar("_Result")


class StagingUnavailable(Exception):
    """The folders cannot be listed or removed now; the message is the reason."""


class _LoginNotAllowed(StagingUnavailable):
    """WebHDFS requires a login over plain HTTP, which is not allowed."""


class StagingFolders:
    """skein's staging folders in HDFS homes (``/user/NAME/.skein/application_...``).

    Args:
        name_nodes: web addresses of all NameNodes, such as ``http://nn.example.com:9870``.
        principal, keytab: the hub's Kerberos identity. Without a keytab, the ticket cache or simple authentication is used.
        ca_file: PEM file of the CAs of the certificates; default is the system's.
        plain_login: True to allow a Kerberos login over plain HTTP on other hosts. Otherwise, where such a login is
            required, ``hadoop fs`` is used. It is encrypted like HDFS, but needs a JVM for each user.
    """

    def __init__(
        self,
        name_nodes: Sequence[str],
        *,
        principal: str = "",
        keytab: str = "",
        ca_file: str = "",
        plain_login: bool = False,
    ) -> None:
        self._login = {"principal": principal, "keytab": keytab}
        self._name_nodes = [url.rstrip("/") for url in name_nodes]
        self._web = HadoopHttpClient(
            hub_account(principal),
            tickets=TicketCache.shared(principal, keytab),
            ca_file=ca_file,
            plain_login=plain_login,
        )

    @classmethod
    def from_configuration(cls, **settings: Any) -> StagingFolders:
        """Create a client for Hadoop's default file system.

        Args:
            settings: arguments of the constructor without ``name_nodes``.

        Raises:
            StagingUnavailable: the default file system is not HDFS, or the configuration cannot be read.
        """
        try:
            configuration = HadoopConfiguration.load()
        except ConfigurationError as error:
            raise StagingUnavailable(str(error)) from None
        if not (name_nodes := configuration.name_nodes()):
            raise StagingUnavailable(f"The default file system is {configuration['fs.defaultFS']}, not HDFS")
        return cls(name_nodes, **settings)

    async def applications(self, user: str) -> set[str]:
        """Return the ids of the applications with a staging folder in a user's home.

        Raises:
            StagingUnavailable: HDFS does not answer, or refused the request.
        """
        try:
            response = await self._request("GET", f"{await self._folder(user)}", user, op="LISTSTATUS")
        except _LoginNotAllowed:
            names = await self._with_hadoop_fs(lambda files, folder: files.names(folder), user)
            return {name for name in names if is_application_id(name)}
        if response.status == 404:
            return set()
        try:
            names = [entry["pathSuffix"] for entry in _document(response)["FileStatuses"]["FileStatus"]]
        except (KeyError, TypeError):
            raise StagingUnavailable(f"{response.url} did not return a list") from None
        return {name for name in names if isinstance(name, str) and is_application_id(name)}

    async def remove(self, application_id: str, user: str) -> bool:
        """Remove an application's staging folder as its user. Return True if there was one.

        Raises:
            StagingUnavailable: HDFS does not answer, or refused the request.
        """
        checked_application_id(application_id)
        try:
            path = f"{await self._folder(user)}/{application_id}"
        except _LoginNotAllowed:
            await self._with_hadoop_fs(lambda files, folder: files.remove(f"{folder}/{application_id}"), user)
            return True
        return bool(_document(await self._request("DELETE", path, user, op="DELETE", recursive="true")).get("boolean"))

    def close(self) -> None:
        """Close the connections."""
        self._web.close()

    async def _with_hadoop_fs(self, operation: Callable[[FileSystem, str], Awaitable[_Result]], user: str) -> _Result:
        """Run an operation on a user's staging folder with ``hadoop fs``, as that user.

        Raises:
            StagingUnavailable: the operation failed.
        """
        try:
            return await operation(
                FileSystem(user=user, **self._login), f"{DefaultFileSystem.from_configuration().homes}/{user}/.skein"
            )
        except FileSystemError as error:
            raise StagingUnavailable(str(error)) from None

    async def _folder(self, user: str) -> str:
        home = _document(await self._request("GET", "/", user, op="GETHOMEDIRECTORY")).get("Path")
        if not isinstance(home, str) or not home.startswith("/"):
            raise StagingUnavailable(f"HDFS reports no home folder of {user}")
        return f"{home.rstrip('/')}/.skein"

    async def _request(self, method: str, path: str, user: str, **query: str) -> Response:
        reason = "no NameNode is configured"
        for name_node in self._name_nodes:
            url = f"{name_node}/webhdfs/v1{quote(path)}?{urlencode({**query, 'doas': user})}"
            try:
                response = await (self._web.get(url) if method == "GET" else self._web.delete(url))
            except WebInsecure as error:
                raise _LoginNotAllowed(str(error)) from None
            except WebError as error:
                reason = str(error)
                continue
            if response.status in (200, 404):
                return response
            reason = _reason(response)
            if "StandbyException" not in reason:
                break
        raise StagingUnavailable(reason)


def _document(response: Response) -> dict[str, Any]:
    if response.status != 200:
        raise StagingUnavailable(_reason(response))
    try:
        return response.json()
    except WebError as error:
        raise StagingUnavailable(str(error)) from None


def _reason(response: Response) -> str:
    try:
        error = response.json()["RemoteException"]
        reason = f"{error['exception']}: {error['message']}"
    except (WebError, KeyError, TypeError):
        reason = f"{response.url} answered with HTTP {response.status}"
    return one_line(reason, 500)
