"""Identify this hub among all that share a cluster. Copies of its database or secret do not contain the id."""

from __future__ import annotations

import logging
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from yarnspawner.hub.claim import FILE_NAME, HubClaim, record_file
from yarnspawner.state.seal import Seal

_MADE_ID = re.compile(r"[0-9a-f]{32}")
# JupyterHub's defaults (JupyterHub.cookie_secret_file, .cookie_secret).
_COOKIE_SECRET_FILE = "jupyterhub_cookie_secret"  # noqa: S105
_COOKIE_SECRET_VARIABLE = "JPY_COOKIE_SECRET"  # noqa: S105

# Read once for each process, so that a problem is logged once.
_identities: dict[tuple[str, Path | None, str, bool], HubIdentity] = {}


@dataclass(frozen=True)
class HubIdentity:
    """The hub's identity.

    Attributes:
        id: the id from which its applications' tags are derived.
        source: the origin of the id, as text for admins.
        certain: True if no other hub has the same id, unless an admin configured that. Only then the hub sweeps.
        former: earlier ids that its servers can have: the one derived from its secret, and the one in its file.
        claim: the claim to the id; None if the id is derived from the secret.
    """

    id: str
    source: str
    certain: bool
    former: tuple[str, ...]
    claim: HubClaim | None = field(default=None, compare=False)

    def is_same_hub(self, hub_id: str) -> bool:
        """Return True if a server belongs to this hub.

        Args:
            hub_id: the id of the hub that started it; "" if it was not stored.
        """
        return hub_id in ("", self.id, *self.former)


def cookie_secret_file(config: Mapping[str, Any]) -> Path | None:
    """Return the file of the hub's cookie secret; None if its configuration or environment has the secret.

    Args:
        config: the ``JupyterHub`` section of the hub's configuration.
    """
    if config.get("cookie_secret") or os.environ.get(_COOKIE_SECRET_VARIABLE):
        return None
    return Path(config.get("cookie_secret_file") or _COOKIE_SECRET_FILE).expanduser().absolute()


def load_or_create(
    chosen: str, secret_file: Path | None, seal: Seal, log: logging.Logger, *, db: Any = None, make: bool = True
) -> HubIdentity:
    """Return the hub's identity.

    If another hub runs with the id, or the id belongs to another database, use the id derived from the secret. Then
    neither hub treats the other's applications as its own.

    Args:
        chosen: the admin's ``hub_id``; "" for none.
        secret_file: the file of the hub's cookie secret, in whose folder the id is stored; None if there is none.
        seal: the seal of the hub's secret, for the id if none can be stored.
        log: the hub's logger.
        db: JupyterHub's database session, to which the id is bound; None for no database.
        make: True for the hub, which creates a missing id and claims it. False for a command.
    """
    known = (chosen, secret_file, seal.hub_id, make)
    if known not in _identities:
        identity = _identify(chosen, secret_file, seal.hub_id, log, make=make)
        _identities[known] = _claimed(identity, record_file(chosen, secret_file), seal.hub_id, db, log, hub=make)
    return _identities[known]


def _claimed(
    identity: HubIdentity, file: Path, derived: str, db: Any, log: logging.Logger, *, hub: bool
) -> HubIdentity:
    if not identity.certain:
        return identity
    claim = HubClaim(file, identity.id, db, log, hub=hub)
    if hub and (refusal := claim.refusal()):
        log.error("This hub sweeps nothing and starts servers with another id than %s: %s", identity.source, refusal)
        claim.close()
        former = (identity.id, *identity.former)
        return HubIdentity(derived, "the hub's secret", certain=False, former=former)
    return replace(identity, claim=claim)


def _identify(chosen: str, secret_file: Path | None, derived: str, log: logging.Logger, *, make: bool) -> HubIdentity:
    why = "the cookie secret is not in a file, so there is no folder to store the id in"
    kept = ""
    if secret_file is not None:
        file = secret_file.with_name(FILE_NAME)
        try:
            secret_file.stat()  # JupyterHub makes it before there are spawners
            kept = _kept(file, make=make and not chosen)
        except OSError as error:
            why = f"{error.filename}: {error.strerror}"
        except ValueError as error:
            why = f"{file}: {error}"
    if chosen:
        return HubIdentity(chosen, "hub_id", certain=True, former=(derived, kept) if kept else (derived,))
    if kept:
        return HubIdentity(kept, str(file), certain=True, former=(derived,))
    log.warning(
        "This hub has no id of its own (%s), so orphaned applications are not swept; set c.YarnSpawner.hub_id", why
    )
    return HubIdentity(derived, "the hub's secret", certain=False, former=())


def _kept(file: Path, *, make: bool) -> str:
    """Return the id in a file. Create the file if it is missing and ``make`` is set.

    Raises:
        OSError: the file cannot be read or created.
        ValueError: the file contains something else.
    """
    if make and not file.exists():
        # The link is atomic: two processes that do this at the same time get the same id.
        fresh = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(f"{secrets.token_hex(16)}\n")
        try:
            os.link(fresh, file)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    # The second line is the record of the hub's database, see HubClaim.
    content = file.read_text(errors="replace").strip().partition("\n")[0].strip()
    if not _MADE_ID.fullmatch(content):
        raise ValueError("it holds something else than 32 hexadecimal digits")
    return content
