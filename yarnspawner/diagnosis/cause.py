"""One row of the catalogue of causes, which maps texts of Hadoop, Kerberos and container logs to plain sentences.

The catalogue consists of tables; the first row that matches applies. The texts are those of Hadoop 3.3 to 3.5, skein 0.8
and MIT Kerberos. The tests have a sample of each.
"""

from __future__ import annotations

import re

ADMIN = "Please tell your administrator: "
NOT_OUR_RECIPE = (
    "cmd must run yarnspawner's own command, such as `python -m yarnspawner.singleuser`; other commands do not report"
    " their address."
)


class Cause:
    """A cause, how to recognize it, and what to tell the user.

    Messages and remedies may use these fields: ``{what}`` ("server" or "kernel"), ``{user}``, ``{queue}`` and ``{hub}`` if
    they are known, ``{limit}`` (the memory limit) and the named groups that all patterns of the row share.

    Args:
        code: the cause's stable name in JupyterHub's metrics, the audit log and the documentation. Rows may share one.
        patterns: regular expressions, any of which matches the text. They ignore case, and ``.`` matches a newline. Users
            control parts of the texts, so a repetition needs a bound or an unmistakable beginning: ``a.{0,500}?b``,
            not ``a.*b``, which takes seconds for thousands of ``a``.
        message: the cause, in one sentence.
        remedy: what the user can do. Default: tell the administrator what ``admin`` says.
        admin: what the administrator can do: words that follow "Please tell your administrator: ".
        direct_message: the message for a user of ``yarnspawner kernel``, who logs in without a hub. Default: ``message``.
        direct_remedy: the remedy for that user. Default: ``remedy``.
        ours: True if yarnspawner wrote the text. It adds nothing to the message.
        lasting: seconds for which a state must last before it is worth telling.
    """

    def __init__(
        self,
        code: str,
        *patterns: str,
        message: str,
        remedy: str = "",
        admin: str = "",
        direct_message: str | None = None,
        direct_remedy: str | None = None,
        ours: bool = False,
        lasting: float = 0,
    ) -> None:
        self.code = code
        self.patterns = [re.compile(pattern, re.IGNORECASE | re.DOTALL) for pattern in patterns]
        self.message = message
        self.remedy = remedy or (ADMIN + admin if admin else "")
        self.admin = admin
        self.direct_message = message if direct_message is None else direct_message
        self.direct_remedy = self.remedy if direct_remedy is None else direct_remedy
        self.ours = ours
        self.lasting = lasting

    def find(self, text: str) -> dict[str, str] | None:
        """Return the named groups of the pattern that matches somewhere in the text; None if none does."""
        for pattern in self.patterns:
            if match := pattern.search(text):
                return {name: value or "" for name, value in match.groupdict().items()}
        return None
