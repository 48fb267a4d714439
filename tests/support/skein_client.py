"""skein's own client, which starts a driver of its own."""

from __future__ import annotations

from typing import Any

import pytest
import skein

from yarnspawner.skein_driver.application_master import LAUNCHER_OPTIONS


def skein_client(**arguments: Any) -> skein.Client:
    """Return a client. With Kerberos, Hadoop 3.1 needs an option on Java 17, and skein has no setting for options."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_TOOL_OPTIONS", LAUNCHER_OPTIONS)
        return skein.Client(**arguments)
