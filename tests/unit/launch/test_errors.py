"""What a failed start says, and to whom."""

from yarnspawner.diagnosis.explain import Diagnosis
from yarnspawner.launch.errors import StartFailed


def test_users_read_cause_and_remedy_and_the_log_has_the_detail():
    failed = StartFailed(Diagnosis("The queue is full.", "Try later.", "AM limit exceeded"))
    assert failed.jupyterhub_message == "The queue is full. Try later."
    assert "AM limit exceeded" in str(failed)
    assert "AM limit exceeded" in failed.jupyterhub_html_message


def test_what_yarn_or_a_user_wrote_is_never_html():
    failed = StartFailed(Diagnosis("<b>x</b>", "", "<script>alert(1)</script>"), link='http://rm/"onclick="x')
    assert "<script>" not in failed.jupyterhub_html_message
    assert "<b>" not in failed.jupyterhub_html_message
    assert '"onclick' not in failed.jupyterhub_html_message


def test_it_is_the_users_or_the_sites_error_and_not_a_crash_of_the_hub():
    assert StartFailed(Diagnosis("x")).status_code == 400
