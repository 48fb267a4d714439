"""The lines about applications in the hub's log."""

import json
import logging
import logging.handlers

import pytest

from yarnspawner.skein_driver import Report
from yarnspawner.yarn.audit import LOGGER, audit, audit_end, route


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, LOGGER.name)
    return lambda: [json.loads(record.getMessage()) for record in caplog.records if record.name == LOGGER.name]


def test_a_line_says_what_happened(lines):
    """A line is JSON with the time, the event and its fields, and leaves out empty ones."""
    audit("submitted", application="application_1_0001", user="alice", server="", queue="default")
    (line,) = lines()
    assert line.pop("time").endswith("+00:00")
    assert line == {"event": "submitted", "application": "application_1_0001", "user": "alice", "queue": "default"}


def test_line_breaks_are_escaped(caplog, lines):
    """A line break in a user's text starts no new line in the log."""
    audit("refused", reason='no\n{"event": "ended"}\x1b[2J\u2028')
    (record,) = caplog.records
    assert record.getMessage().isprintable()
    assert lines()[0]["reason"].startswith("no\n")


def test_an_end_has_one_line(lines):
    """The end of an application has one line, from the first part of the hub that reports it."""
    report = Report("application_1_0777", state="KILLED", final_status="KILLED")
    audit_end(report, by="sweep", user="alice")
    audit_end(report, by="yarn", user="alice")
    (line,) = lines()
    assert (line["by"], line["final_status"]) == ("sweep", "KILLED")


def test_route(monkeypatch):
    """The hub's log has each line once; with a handler of the admin's, before or after, only that has it."""
    for name in ("", "yarnspawner"):
        monkeypatch.setattr(logging.getLogger(name), "handlers", [])
    monkeypatch.setattr(LOGGER, "handlers", [])
    parent = LOGGER.parent
    hub, lines, own = (
        logging.getLogger("test-hub"),
        logging.handlers.BufferingHandler(10),
        logging.handlers.BufferingHandler(10),
    )
    monkeypatch.setattr(hub, "handlers", [lines])
    for _ in range(2):
        route(hub)
    audit("submitted")
    assert (len(lines.buffer), LOGGER.parent) == (1, parent)
    LOGGER.addHandler(own)
    audit("arrived")
    assert (len(lines.buffer), len(own.buffer)) == (1, 1)
    monkeypatch.setattr(LOGGER, "handlers", [own])
    route(hub)
    assert LOGGER.handlers == [own]
