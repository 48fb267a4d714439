"""Which hub this is, among all that share a cluster: an id made once, which no copy of a database or secret brings along."""

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
# Where JupyterHub looks when its configuration says nothing (JupyterHub.cookie_secret_file, .cookie_secret).
_COOKIE_SECRET_FILE = "jupyterhub_cookie_secret"  # noqa: S105
_COOKIE_SECRET_VARIABLE = "JPY_COOKIE_SECRET"  # noqa: S105

# Read once in a process, and what is wrong with it said once.
_identities: dict[tuple[str, Path | None, str, bool], HubIdentity] = {}


@dataclass(frozen=True)
class HubIdentity:
    """Who the hub is.

    Attributes:
        id: what its applications' tags are made of.
        source: where that comes from, for people.
        certain: whether no other hub has the same id unless an admin wants it so. Only then anything is swept.
        former: ids that its servers may have from before: its secret's, of earlier versions, and that in its file.
        claim: to the id; None where the id is the secret's.
    """

    id: str
    source: str
    certain: bool
    former: tuple[str, ...]
    claim: HubClaim | None = field(default=None, compare=False)

    def is_same_hub(self, hub_id: str) -> bool:
        """Whether a server that was started by the hub of that id ("" if it was not written down) is this hub's."""
        return hub_id in ("", self.id, *self.former)


def cookie_secret_file(config: Mapping[str, Any]) -> Path | None:
    """Where the hub keeps its cookie secret; None if that comes from its configuration or environment.

    Args:
        config: the ``JupyterHub`` section of the hub's configuration.
    """
    if config.get("cookie_secret") or os.environ.get(_COOKIE_SECRET_VARIABLE):
        return None
    return Path(config.get("cookie_secret_file") or _COOKIE_SECRET_FILE).expanduser().absolute()


def load_or_create(
    chosen: str, secret_file: Path | None, seal: Seal, log: logging.Logger, *, db: Any = None, make: bool = True
) -> HubIdentity:
    """The hub's identity.

    A hub that has no claim to its id, since another hub runs with it or it belongs to another database, has its secret's
    in its place: then neither hub takes the other's applications for its own.

    Args:
        chosen: by the admin; "" for none.
        secret_file: the file of the hub's cookie secret, beside which the id is kept; None if there is none.
        seal: made of the hub's secret, for the id where none can be kept.
        db: JupyterHub's database session, to which the id is bound; None for no database.
        make: whether this is the hub, which makes an id where there is none yet and claims it.
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
    why = "the cookie secret is in no file, beside which it could be kept"
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
    """The id in a file, which is made if it does not exist. Raises OSError, and ValueError for another content."""
    if make and not file.exists():
        # Complete or not there: two processes that do this at the same time end up with the same id.
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
