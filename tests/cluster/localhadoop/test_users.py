"""Who may do what: impersonation, uids, access to others' applications and files, queues."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
from pathlib import Path

import pytest

from localhadoop import LocalHadoopError, commands

HOLD = "sleep 300"


@pytest.mark.full  # every server of the simple cluster runs as its user, too
def test_an_application_runs_as_alice_in_the_simple_kind(simple_cluster, driver):
    skein = driver(simple_cluster)
    application = skein.submit('echo "user is $USER"; hdfs dfs -touch hello; exit 0')
    assert skein.wait(application) == "FINISHED"
    log = skein.log(application)
    assert "user is alice" in log
    assert re.search(r"alice .*/user/alice/hello", simple_cluster.hdfs("-ls", "/user/alice", user="alice")), log
    assert [found["user"] for found in simple_cluster.applications() if found["id"] == application] == ["alice"]


@pytest.mark.full  # tests/browser/test_people.py has the same by a server
def test_a_container_has_alices_uid_in_the_kerberos_kind(kerberos_cluster, driver):
    skein = driver(kerberos_cluster)
    application = skein.submit("id -u; id -un; umask; hdfs dfs -touch hello; hdfs dfs -ls")
    assert skein.wait(application) == "FINISHED"
    alice = pwd.getpwnam("alice")
    log = skein.log(application)
    assert f"{alice.pw_uid}\nalice\n0027\n" in log
    assert re.search(r"alice .* hello", log), "the container's delegation token opens alice's HDFS"


@pytest.mark.full
def test_alices_own_tickets_do_not_keep_her_from_containers(kerberos_cluster, driver):
    """The localizer runs as alice and finds the ticket cache that she has on this machine."""
    alice = pwd.getpwnam("alice")
    cache = Path(f"/tmp/krb5cc_{alice.pw_uid}")
    command = ["kinit", "-c", f"FILE:{cache}", "-kt", kerberos_cluster.keytab("alice"), "alice"]
    environment = {"PATH": os.environ["PATH"], **commands.client_environment(kerberos_cluster.settings)}
    subprocess.run(command, user="alice", group="alice", env=environment, check=True, timeout=60)
    try:
        skein = driver(kerberos_cluster)
        application = skein.submit("true")
        assert skein.wait(application) == "FINISHED"
        assert str(skein.client.application_report(application).final_status) == "SUCCEEDED"
    finally:
        cache.unlink(missing_ok=True)


@pytest.mark.parametrize("kind", ["simple", "kerberos"])
def test_the_hub_may_not_impersonate_carl(kind, request, driver):
    skein = driver(request.getfixturevalue(f"{kind}_cluster"))
    with pytest.raises(Exception, match="is not allowed to impersonate carl"):
        skein.submit("true", user="carl")


@pytest.mark.full  # tests/cluster/test_logs.py has the same of a server's
def test_nobody_reads_the_files_and_logs_of_another(kerberos_cluster, driver):
    skein = driver(kerberos_cluster)
    application = skein.submit("echo secret; sleep 300")
    assert skein.wait(application, "RUNNING") == "RUNNING"
    with pytest.raises(LocalHadoopError, match="Permission denied"):
        kerberos_cluster.hdfs("-ls", "/user/alice", user="bob")
    assert kerberos_cluster.hdfs("-ls", "/user/alice", user="alice")
    refused = kerberos_cluster.run(["yarn", "application", "-kill", application], user="bob")
    assert "cannot perform operation MODIFY_APP" in refused.stdout + refused.stderr
    assert skein.state(application) == "RUNNING"
    folders = list((kerberos_cluster.directory / "nodes").glob(f"*/logs/{application}"))
    assert folders
    for folder in folders:
        listed = subprocess.run(["ls", folder], user="bob", group="bob", capture_output=True, text=True, check=False)
        assert "Permission denied" in listed.stderr
    skein.client.kill_application(application)
    assert skein.wait(application) == "KILLED"


def test_without_a_ticket_nobody_gets_in(kerberos_cluster, tmp_path):
    # "yarn" would try again for a quarter of an hour.
    answer = kerberos_cluster.run(["hdfs", "dfs", "-ls", "/"], env={"KRB5CCNAME": f"FILE:{tmp_path}/none"})
    assert answer.returncode
    assert "Client cannot authenticate via:[TOKEN, KERBEROS]" in answer.stderr
    page = f"{kerberos_cluster.resource_manager_url}/ws/v1/cluster/apps"
    status = ["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}"]
    assert kerberos_cluster.run([*status, page]).stdout == "401"
    assert kerberos_cluster.run([*status, "--negotiate", "--user", ":", page], user="alice").stdout == "200"


def test_each_user_has_a_password_and_a_keytab(kerberos_cluster, tmp_path):
    for user in kerberos_cluster.users:
        cache = {"KRB5CCNAME": f"FILE:{tmp_path}/{user}"}
        answer = kerberos_cluster.run(["kinit", user], input=kerberos_cluster.password(user), env=cache)
        assert answer.returncode == 0, answer.stderr
        assert kerberos_cluster.keytab(user).stat().st_uid == pwd.getpwnam(user).pw_uid
    assert kerberos_cluster.principal("jupyterhub") == "jupyterhub@EXAMPLE.COM"


def test_a_stopped_and_an_unknown_queue_take_nothing(simple_cluster, driver):
    skein = driver(simple_cluster)
    for queue in ("stopped", "unknown"):
        with pytest.raises(Exception, match="Failed to submit"):
            skein.submit("true", queue=queue)


@pytest.mark.full
def test_the_small_queue_holds_one_gibibyte(simple_cluster, driver):
    skein = driver(simple_cluster)
    first = skein.submit(HOLD, queue="small", memory=1024)
    assert skein.wait(first, "RUNNING") == "RUNNING"
    second = skein.submit(HOLD, queue="small", memory=512)
    third = skein.submit(HOLD, queue="default", memory=512)
    assert skein.wait(third, "RUNNING") == "RUNNING"
    assert skein.state(second) == "ACCEPTED", "the default queue has room, the small one has not"
    skein.client.kill_application(first)
    assert skein.wait(second, "RUNNING") == "RUNNING"
    with pytest.raises(Exception, match="Failed to submit"):
        skein.submit(HOLD, queue="small", memory=1025)
    for application in (second, third):
        skein.client.kill_application(application)


def test_node_managers_have_addresses_of_their_own(simple_cluster):
    assert [manager.host for manager in simple_cluster.node_managers] == ["localhost", "127.0.0.2"]
    ids = sorted(node["id"] for node in simple_cluster.nodes() if node["state"] == "RUNNING")
    assert ids == sorted(manager.address for manager in simple_cluster.node_managers)
