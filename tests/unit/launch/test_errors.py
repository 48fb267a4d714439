"""Messages of a failed start."""

from yarnspawner.diagnosis.explain import Diagnosis, own_cause
from yarnspawner.launch.errors import StartFailed


def test_user_and_log():
    """Users see cause and remedy; the log has the detail."""
    failed = StartFailed(Diagnosis("The queue is full.", "Try later.", "AM limit exceeded"))
    assert failed.jupyterhub_message == "The queue is full. Try later."
    assert "AM limit exceeded" in str(failed)
    assert "AM limit exceeded" in failed.jupyterhub_html_message


def test_html_escaped():
    """Text of YARN and users is escaped in HTML."""
    failed = StartFailed(Diagnosis("<b>x</b>", "", "<script>alert(1)</script>"), link='http://rm/"onclick="x')
    assert "<script>" not in failed.jupyterhub_html_message
    assert "<b>" not in failed.jupyterhub_html_message
    assert '"onclick' not in failed.jupyterhub_html_message


def test_status_code():
    """The HTTP status is a client error, so the hub logs no traceback."""
    assert StartFailed(Diagnosis("x")).status_code == 400


def test_reason():
    """The code of the cause is the reason in JupyterHub's metrics, and in the log."""
    failed = StartFailed(own_cause("never-listened", seconds="60"))
    assert failed.reason == "never-listened"
    assert "[never-listened] The server's container runs" in str(failed)


def test_log_page():
    """The page links to the log, if the application has one."""
    cause = own_cause("never-listened", seconds="60")
    failed = StartFailed(cause, log_page='/hub/server-logs/al"ice/application_1_0001')
    assert 'href="/hub/server-logs/al&quot;ice/application_1_0001"' in failed.jupyterhub_html_message
    assert "server-logs" not in StartFailed(cause).jupyterhub_html_message


def test_page():
    """The page has what an administrator needs, to be copied with one button; text of others is only text."""
    failed = StartFailed(
        own_cause("never-listened", "<i>log</i>", seconds="60"), facts={"Queue": "<b>q</b>", "Node": ""}
    )
    html = failed.jupyterhub_html_message
    assert "Code: never-listened" in html and "Queue: &lt;b&gt;q&lt;/b&gt;" in html and "Node:" not in html
    assert "Remedy: if the prologue hangs, correct it. Otherwise, cmd must run" in html
    assert html.count("<button") == html.count("execCommand") == 1
    assert "<i>" not in html and html.count("onclick") == 1
