"""Fuzz stored states: each is read, describes no server, or is refused with StateError."""

from __future__ import annotations

import json
import math
import re

from hypothesis import given
from hypothesis import strategies as st

from tests.support.fuzzing import JSON, SCALARS, many
from yarnspawner.state.credentials import Credentials
from yarnspawner.state.seal import Seal
from yarnspawner.state.server_state import ServerState, StateError

SEAL = Seal(b"cookie secret")
GOOD = (
    ServerState.new("alice", "default", Credentials(b"C", b"K")).with_application_id("application_1_0001").to_dict(SEAL)
)

NEARLY = st.fixed_dictionaries(
    {},
    optional={
        "version": st.just(1) | SCALARS,
        "app_id": st.sampled_from(["", "PENDING", "application_1_0001"]) | JSON,
        **{name: st.just(value) | JSON for name, value in GOOD.items() if name not in ("version", "sealed")},
        "sealed": st.just(GOOD["sealed"]) | st.builds(SEAL.seal, JSON) | JSON,
        "profile": JSON,
    },
)


def restored(document):
    """Read a state and check what was read."""
    try:
        server = ServerState.from_dict(document, SEAL, hub_user="alice")
    except StateError as error:
        assert len(str(error)) < 500
        return None
    if server is not None:
        assert server.application_id == "" or re.fullmatch(r"application_\d+_\d+", server.application_id)
        assert server.container in ("master", "service")
        assert server.url == "" or server.url.startswith(("http://", "https://"))
        assert math.isfinite(server.ends) and server.ends >= 0
        assert all(isinstance(text, str) for text in (server.start_id, server.hadoop_user, server.queue))
        assert server.credentials is None or isinstance(server.credentials.certificate, bytes)
        # The state survives another round trip.
        assert ServerState.from_dict(json.loads(json.dumps(server.to_dict(SEAL))), SEAL, hub_user="x") == server
    return server


@given(document=NEARLY)
@many(500)
def test_fuzz_nearly_valid_state(document):
    """A state with invalid fields is read or refused."""
    restored(document)


@given(document=st.dictionaries(st.text(max_size=10), JSON, max_size=6))
@many()
def test_fuzz_any_dict(document):
    """Any mapping is read or refused."""
    restored(document)


@given(name=st.sampled_from(sorted(GOOD)), value=JSON)
@many(400)
def test_fuzz_one_field(name, value):
    """One invalid field does not break the others."""
    restored({**GOOD, name: value})


@given(sealed=st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
@many()
def test_fuzz_forged_seal(sealed):
    """A text that the hub did not seal gives no credentials."""
    server = restored({**GOOD, "sealed": sealed})
    assert server is not None and server.credentials is None
