"""The part of JupyterHub's pages that explains a failed start."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from html import escape

from yarnspawner.diagnosis.explain import Diagnosis

# Selects the text before the button. navigator.clipboard does not exist on pages over plain HTTP.
_COPY = (
    "var r=document.createRange();r.selectNodeContents(this.previousElementSibling);var s=getSelection();"
    "s.removeAllRanges();s.addRange(r);document.execCommand('copy')"
)
# JupyterHub's page of a start goes on saying that the server is starting.
_STYLE = "<style>:has(> #progress-message .yarnspawner-failure) > p:not(#progress-message) { display: none }</style>"


def failure_html(diagnosis: Diagnosis, facts: Mapping[str, str], link: str, log_page: str) -> str:
    """Return the cause, what the user can do, what to tell the administrator, and the details, as HTML.

    Args:
        diagnosis: why the start failed.
        facts: names and values for the administrator; empty values are left out.
        link: URL of the application in YARN; "" for none.
        log_page: path of the hub's page with the server's log; "" for none.
    """
    html = f'<div class="yarnspawner-failure">{_STYLE}<p><strong>{escape(diagnosis.cause)}</strong></p>'
    if diagnosis.remedy:
        html += f"<p>{escape(diagnosis.remedy)}</p>"
    html += "<details><summary>For your administrator</summary>"
    html += f'<pre class="text-start">{escape(_report(diagnosis, facts))}</pre>'
    html += f'<button type="button" class="btn btn-sm btn-secondary" onclick="{escape(_COPY)}">Copy</button>'
    if link:
        html += f'<p><a href="{escape(link)}" target="_blank" rel="noopener">The application in YARN</a></p>'
    html += "</details>"
    if diagnosis.detail:
        html += f'<details open><summary>Details</summary><pre class="text-start">{escape(diagnosis.detail)}</pre></details>'
    if log_page:
        html += f'<p><a href="{escape(log_page)}">The log of this start, and the last starts</a></p>'
    return f"{html}</div>"


def _report(diagnosis: Diagnosis, facts: Mapping[str, str]) -> str:
    """Return the lines that an administrator needs to find the failure in YARN and in the logs."""
    when = datetime.now(timezone.utc).isoformat(sep=" ", timespec="seconds")
    lines = {"Cause": diagnosis.cause, "Code": diagnosis.code, "Remedy": diagnosis.admin, **facts, "Time": when}
    return "\n".join(f"{name}: {value}" for name, value in lines.items() if value)
