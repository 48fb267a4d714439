"""What the kerberos kind needs of the machine: root, a KDC's programs, users."""

from __future__ import annotations

from localhadoop.progress import Progress


def require_root() -> None: ...


def install_packages(progress: Progress) -> None: ...


def make_users(progress: Progress) -> None: ...
