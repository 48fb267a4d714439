"""skein's own client, which starts a driver of its own, and what its application masters need.

With Kerberos, Hadoop 3.1 and 3.2 need an option on Java 17. The package's own drivers and masters have it.
"""

from __future__ import annotations

from typing import Any

import pytest
import skein

from yarnspawner.skein_driver.application_master import LAUNCHER_OPTIONS

MASTER_ENVIRONMENT = {"JDK_JAVA_OPTIONS": LAUNCHER_OPTIONS}
"""Environment of an application master."""


def skein_client(**arguments: Any) -> skein.Client:
    """Return a client."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JDK_JAVA_OPTIONS", LAUNCHER_OPTIONS)
        return skein.Client(**arguments)
