"""What a benchmark needs that lets yarnspawner and the bare script take turns."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import skein

from benchmarks import bare, clusters
from benchmarks.person import Person
from benchmarks.results import USER
from demo.hub import Hub
from localhadoop import LocalHadoop


@dataclass(frozen=True)
class Ground:
    """A cluster, a hub on it, and who starts servers there.

    Attributes:
        cluster: the one that both run on.
        hub: that all servers belong to.
        client: skein's own, for what a script does.
        folder: that containers of all users can write to.
        person: alice, who is logged in to the hub.
        token: of hers, for the servers that a script starts.
    """

    cluster: LocalHadoop
    hub: Hub
    client: skein.Client
    folder: Path
    person: Person
    token: str

    @property
    def script(self) -> bare.BareScript:
        """The bare script, as alice."""
        return bare.BareScript(self.hub, self.client, self.folder, USER, self.token)

    @classmethod
    @contextmanager
    def prepared(cls, *, kerberos: bool) -> Iterator[Ground]:
        """One for the time of the context."""
        with ExitStack() as stack:
            cluster = stack.enter_context(clusters.cluster(kerberos=kerberos))
            hub = stack.enter_context(clusters.hub(cluster))
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="yarnspawner-benchmark-")))
            folder.chmod(0o777)  # containers of the secure kind run as their users
            client = stack.enter_context(bare.client(cluster))
            person = Person(hub, USER)
            yield cls(cluster, hub, client, folder, person, person.new_token())
