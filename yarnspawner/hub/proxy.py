"""Keep JupyterHub's proxy, and so the users' connections, while the hub restarts."""

from __future__ import annotations

import os
import secrets
import urllib.request
from pathlib import Path
from typing import Any

# Seconds for the proxy's API to answer. It is on the same machine.
_TIMEOUT = 5.0


def keep_proxy(c: Any, token_file: str) -> None:
    """Configure JupyterHub to leave its proxy running when it ends, and to use the proxy of its last run.

    JupyterHub itself replaces the proxy at each start, because it makes another token. Call this in
    ``jupyterhub_config.py``, after ``ConfigurableHTTPProxy.pid_file`` and ``api_url``.

    The hub starts a new proxy if there is none, or if it does not accept the token.

    Args:
        c: JupyterHub's configuration.
        token_file: the proxy's token. It is created if it does not exist, readable for the hub's account only.
    """
    token = _stored_token(Path(token_file))
    proxy = c.ConfigurableHTTPProxy
    c.JupyterHub.cleanup_proxy = False
    proxy.auth_token = token
    proxy.should_start = not (_is_own_proxy(Path(proxy.pid_file)) and _accepts_token(proxy.api_url, token))


def _stored_token(file: Path) -> str:
    if file.exists() and (token := file.read_text().strip()):
        return token
    token = secrets.token_hex(32)
    file.touch(mode=0o600)
    file.chmod(0o600)
    file.write_text(token)
    return token


def _is_own_proxy(pid_file: Path) -> bool:
    """Return True if the proxy's process runs as this account. Another account's program must not get the token."""
    try:
        process = Path("/proc") / str(int(pid_file.read_text()))
        return process.stat().st_uid == os.getuid() and b"configurable-http-proxy" in (process / "cmdline").read_bytes()
    except (OSError, ValueError):
        return False


def _accepts_token(api_url: str, token: str) -> bool:
    request = urllib.request.Request(f"{api_url}/api/routes", headers={"Authorization": f"token {token}"})  # noqa: S310
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_TIMEOUT) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
