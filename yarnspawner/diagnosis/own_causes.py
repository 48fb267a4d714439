"""Causes that the hub finds itself, without a text of YARN or of a log."""

from __future__ import annotations

from yarnspawner.diagnosis.cause import NOT_OUR_RECIPE, Cause

_TELL = "Please tell your administrator."

OWN_CAUSES = [
    Cause(
        "ended-before-listening",
        message="The {what}'s command ended with exit status 0 before it listened.",
        admin=NOT_OUR_RECIPE,
    ),
    Cause(
        "never-listened",
        # The prologue may not have ended, so nothing is known of the command.
        message="The {what}'s container runs, but did not report an address within {seconds} seconds.",
        admin=f"if the prologue hangs, correct it. Otherwise, {NOT_OUR_RECIPE}",
    ),
    Cause(
        "start-timeout",
        message="The {what} did not start within {seconds} seconds.{status}",
        remedy="Try again later, or request fewer resources.",
        admin="raise start_timeout, or shorten what the start waited for.",
    ),
    Cause(
        "server-reported",
        message="{words}",
        remedy="The details show the end of its log.",
        admin="the details show the end of the log.",
        direct_remedy="",
    ),
    Cause(
        "data-not-accepted",
        message="The {what} published data that the hub does not accept.",
        remedy=_TELL,
        admin="the details say what was wrong. The command may not be yarnspawner's own.",
    ),
    Cause(
        "server-unreachable",
        message="At {host}, port {port}, {found}.",
        remedy=f"{_TELL[:-1]}: a firewall may be between the hub and the node.",
        admin="open the ports of port_range on the nodes for the hub and the proxy.",
    ),
    Cause(
        "wrong-server",
        message="At {host}, port {port}, {found}.",
        remedy=_TELL,
        admin="find out which program listens there.",
    ),
    Cause(
        "exited",
        message="The {what} exited.",
        remedy="Start it again if you still need it.",
        admin="its log has the reason.",
    ),
    Cause(
        "killed",
        message="The {what}'s application was killed.",
        remedy="If that was not you, ask your administrator why.",
        admin="YARN's audit log names who killed it.",
    ),
    Cause(
        "failed",
        message="The {what}'s application failed.",
        remedy="The details show YARN's message. Your administrator may know more.",
        admin="the details, the application's log and the NodeManager's log have the reason.",
    ),
    Cause(
        "submission-rejected",
        message="YARN rejected the {what}'s application.",
        remedy="The details show YARN's message. Your administrator may know more.",
        admin="the details and the ResourceManager's log have the reason.",
    ),
    Cause(
        "yarn-unavailable",
        message="YARN does not answer.",
        remedy="{when_back}",
        admin="check that the ResourceManager runs, and that the hub's host reaches it.",
    ),
    Cause(
        "account-refused",
        message="{words}",
        remedy=_TELL,
        admin="check the setting hadoop_user.",
    ),
    Cause(
        "setting-invalid",
        message="{words}",
        remedy=_TELL,
        admin="correct the setting that the message names.",
    ),
    Cause(
        "setting-failed",
        message="{words}",
        remedy=_TELL,
        admin="correct the setting that the message names; the hub's log has the traceback.",
    ),
    Cause(
        "nodes-unknown",
        message="YARN does not say which nodes there are, and so the {what} can have no certificate.",
        remedy="Please try again later.",
        admin="check that the ResourceManager runs.",
    ),
    Cause(
        "options-refused",
        message="{words}",
        remedy="Choose something that the options page offers.",
        admin="profile_list says what is offered to whom.",
    ),
]
