"""The folders in users' homes through which skein hands files to its applications, over WebHDFS.

skein's application master removes its own when it ends in order; one that was killed leaves it, with 8 MB of jar in it. The
hub asks the NameNode over HTTP, as the user (``doas``): no Java process is needed, and no more can be removed than the user
could remove.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from yarnspawner.common.ids import checked_application_id, is_application_id
from yarnspawner.common.text import one_line
from yarnspawner.hadoop.accounts import hub_account
from yarnspawner.hadoop.configuration import ConfigurationError, HadoopConfiguration
from yarnspawner.hadoop.filesystem import FileSystem, FileSystemError, Place
from yarnspawner.hadoop.http_client import Answer, HadoopWeb, WebError, WebInsecure
from yarnspawner.hadoop.kerberos import TicketCache

_Result = TypeVar("_Result")


class StagingUnavailable(Exception):
    """The folders cannot be seen or removed now; the message says why."""


class _PlainHttp(StagingUnavailable):
    """WebHDFS is not to be asked."""


class StagingFolders:
    """skein's folders in the homes of HDFS (``/user/NAME/.skein/application_...``).

    Args:
        name_nodes: web addresses, such as ``http://nn.example.com:9870``; of several, whichever is active answers.
        principal, keytab: the hub's; "" without Kerberos, or with a ticket of its own.
        plain_login: whether the hub logs in with Kerberos over plain HTTP at other hosts. Else, where that would be needed,
            `hadoop fs` does the work: encrypted as HDFS is, and a Java process for each user.
    """

    def __init__(
        self, name_nodes: Sequence[str], *, principal: str = "", keytab: str = "", plain_login: bool = False
    ) -> None:
        self._login = {"principal": principal, "keytab": keytab}
        self._name_nodes = [url.rstrip("/") for url in name_nodes]
        self._web = HadoopWeb(
            hub_account(principal), tickets=TicketCache.shared(principal, keytab), plain_login=plain_login
        )

    @classmethod
    def from_configuration(cls, *, principal: str = "", keytab: str = "", plain_login: bool = False) -> StagingFolders:
        """Those of Hadoop's default file system. Raises StagingUnavailable if that is not HDFS."""
        try:
            configuration = HadoopConfiguration.load()
        except ConfigurationError as error:
            raise StagingUnavailable(str(error)) from None
        if not (name_nodes := configuration.name_nodes()):
            raise StagingUnavailable(f"The default file system is {configuration['fs.defaultFS']}, not HDFS")
        return cls(name_nodes, principal=principal, keytab=keytab, plain_login=plain_login)

    async def applications(self, user: str) -> set[str]:
        """The ids of the applications that have a folder in a user's home. Raises StagingUnavailable."""
        try:
            answer = await self._ask("GET", f"{await self._folder(user)}", user, op="LISTSTATUS")
        except _PlainHttp:
            names = await self._by_command(lambda files, folder: files.names(folder), user)
            return {name for name in names if is_application_id(name)}
        if answer.status == 404:
            return set()
        try:
            names = [entry["pathSuffix"] for entry in _document(answer)["FileStatuses"]["FileStatus"]]
        except (KeyError, TypeError):
            raise StagingUnavailable(f"{answer.url} answered something else than a list") from None
        return {name for name in names if isinstance(name, str) and is_application_id(name)}

    async def remove(self, application_id: str, user: str) -> bool:
        """Remove an application's folder, as its user; whether there was one. Raises StagingUnavailable."""
        checked_application_id(application_id)
        try:
            path = f"{await self._folder(user)}/{application_id}"
        except _PlainHttp:
            await self._by_command(lambda files, folder: files.remove(f"{folder}/{application_id}"), user)
            return True
        return bool(_document(await self._ask("DELETE", path, user, op="DELETE", recursive="true")).get("boolean"))

    def close(self) -> None:
        """Close the connections."""
        self._web.close()

    async def _by_command(self, work: Callable[[FileSystem, str], Awaitable[_Result]], user: str) -> _Result:
        """Work on a user's folder with `hadoop fs`, as that user. Raises StagingUnavailable."""
        try:
            return await work(FileSystem(user=user, **self._login), f"{Place.configured().homes}/{user}/.skein")
        except FileSystemError as error:
            raise StagingUnavailable(str(error)) from None

    async def _folder(self, user: str) -> str:
        home = _document(await self._ask("GET", "/", user, op="GETHOMEDIRECTORY")).get("Path")
        if not isinstance(home, str) or not home.startswith("/"):
            raise StagingUnavailable(f"HDFS names no home of {user}")
        return f"{home.rstrip('/')}/.skein"

    async def _ask(self, method: str, path: str, user: str, **query: str) -> Answer:
        reason = "no NameNode is configured"
        for name_node in self._name_nodes:
            url = f"{name_node}/webhdfs/v1{quote(path)}?{urlencode({**query, 'doas': user})}"
            try:
                answer = await (self._web.get(url) if method == "GET" else self._web.delete(url))
            except WebInsecure as error:
                raise _PlainHttp(str(error)) from None
            except WebError as error:
                reason = str(error)
                continue
            if answer.status in (200, 404):
                return answer
            reason = _reason(answer)
            if "StandbyException" not in reason:
                break
        raise StagingUnavailable(reason)


def _document(answer: Answer) -> dict[str, Any]:
    if answer.status != 200:
        raise StagingUnavailable(_reason(answer))
    try:
        return answer.json()
    except WebError as error:
        raise StagingUnavailable(str(error)) from None


def _reason(answer: Answer) -> str:
    try:
        said = answer.json()["RemoteException"]
        words = f"{said['exception']}: {said['message']}"
    except (WebError, KeyError, TypeError):
        words = f"{answer.url} answered with status {answer.status}"
    return one_line(words, 500)
