"""On which kinds of cluster a test runs how often."""

from __future__ import annotations

import pytest


def mostly_on_kerberos(fixture: str) -> pytest.MarkDecorator:
    """For a test whose cluster ``fixture`` names: on the simple kind only where all tests run.

    That kind has nothing that the other one has not, and a test of minutes twice is one that nobody runs.
    """
    kinds = [pytest.param("simple_cluster", marks=pytest.mark.full), "kerberos_cluster"]
    return pytest.mark.parametrize(fixture, kinds, indirect=True)


def mostly_on_simple(fixture: str) -> pytest.MarkDecorator:
    """The other way round, for a test that takes a minute longer on the Kerberos kind, whose tests take longest together."""
    kinds = ["simple_cluster", pytest.param("kerberos_cluster", marks=pytest.mark.full)]
    return pytest.mark.parametrize(fixture, kinds, indirect=True)
