"""Applications that do next to nothing, for what is measured before or beside a server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import skein


def specification(
    source: str,
    *,
    user: str = "alice",
    visibility: str = "application",
    files: Mapping[str, Any] | None = None,
    hub: bool = True,
) -> skein.ApplicationSpec:
    """An application whose master sleeps.

    Args:
        source: path or URL of a file that it brings along as ``environment``; "" for none.
        user: the Hadoop user.
        visibility: of the file.
        files: more of them.
        hub: whether it has credentials of its own, as the hub's applications do.
    """
    own = {"environment": skein.File(source, type="file", visibility=visibility)} if source else {}
    acls = skein.ACLs(enable=True, view_users=["jupyterhub", "root"], modify_users=["jupyterhub", "root"])
    security = {"security": skein.Security.new_credentials()} if hub else {}
    master = skein.Master(
        script="sleep 600", resources=skein.Resources(memory=512, vcores=1), files={**own, **(files or {})}, **security
    )
    return skein.ApplicationSpec(name="benchmark", user=user, queue="default", max_attempts=1, acls=acls, master=master)
