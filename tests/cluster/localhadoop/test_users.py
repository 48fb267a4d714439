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
def test_runs_as_alice_on_simple(simple_cluster, driver):
    """An application on the simple cluster runs as alice and writes to HDFS as alice."""
    skein = driver(simple_cluster)
    application = skein.submit('echo "user is $USER"; hdfs dfs -touch hello; exit 0')
    assert skein.wait(application) == "FINISHED"
    log = skein.log(application)
    assert "user is alice" in log
    assert re.search(r"alice .*/user/alice/hello", simple_cluster.hdfs("-ls", "/user/alice", user="alice")), log
    assert [found["user"] for found in simple_cluster.applications() if found["id"] == application] == ["alice"]


@pytest.mark.full  # tests/browser/test_people.py has the same by a server
def test_runs_as_alice_on_kerberos(kerberos_cluster, driver):
    """A container on the Kerberos cluster has alice's uid and access to her files in HDFS."""
    skein = driver(kerberos_cluster)
    application = skein.submit("id -u; id -un; umask; hdfs dfs -touch hello; hdfs dfs -ls")
    assert skein.wait(application) == "FINISHED"
    alice = pwd.getpwnam("alice")
    log = skein.log(application)
    assert f"{alice.pw_uid}\nalice\n0027\n" in log
    assert re.search(r"alice .* hello", log), "the container's delegation token opens alice's HDFS"


@pytest.mark.full
def test_own_tickets_do_no_harm(kerberos_cluster, driver):
    """Alice's containers start although the localizer, which runs as alice, finds her ticket cache on this machine."""
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
def test_hub_may_not_impersonate_carl(kind, request, driver):
    """The hub may not impersonate carl on either cluster."""
    skein = driver(request.getfixturevalue(f"{kind}_cluster"))
    with pytest.raises(Exception, match="is not allowed to impersonate carl"):
        skein.submit("true", user="carl")


@pytest.mark.full  # tests/cluster/test_logs.py has the same of a server's
def test_private_files_and_logs(kerberos_cluster, driver):
    """A user can neither read another user's files and logs nor kill another user's application."""
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


def test_no_access_without_ticket(kerberos_cluster, tmp_path):
    """HDFS and the ResourceManager refuse a user without a Kerberos ticket."""
    # "yarn" would try again for a quarter of an hour.
    answer = kerberos_cluster.run(["hdfs", "dfs", "-ls", "/"], env={"KRB5CCNAME": f"FILE:{tmp_path}/none"})
    assert answer.returncode
    assert "Client cannot authenticate via:[TOKEN, KERBEROS]" in answer.stderr
    page = f"{kerberos_cluster.resource_manager_url}/ws/v1/cluster/apps"
    status = ["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}"]
    assert kerberos_cluster.run([*status, page]).stdout == "401"
    assert kerberos_cluster.run([*status, "--negotiate", "--user", ":", page], user="alice").stdout == "200"


def test_passwords_and_keytabs(kerberos_cluster, tmp_path):
    """Each user of the Kerberos cluster has a valid password and owns a keytab."""
    for user in kerberos_cluster.users:
        cache = {"KRB5CCNAME": f"FILE:{tmp_path}/{user}"}
        answer = kerberos_cluster.run(["kinit", user], input=kerberos_cluster.password(user), env=cache)
        assert answer.returncode == 0, answer.stderr
        assert kerberos_cluster.keytab(user).stat().st_uid == pwd.getpwnam(user).pw_uid
    assert kerberos_cluster.principal("jupyterhub") == "jupyterhub@EXAMPLE.COM"


def test_stopped_and_unknown_queue(simple_cluster, driver):
    """A stopped queue and an unknown queue refuse all applications."""
    skein = driver(simple_cluster)
    for queue in ("stopped", "unknown"):
        with pytest.raises(Exception, match="Failed to submit"):
            skein.submit("true", queue=queue)


@pytest.mark.full
def test_small_queue_holds_one_gib(simple_cluster, driver):
    """The small queue holds one GiB, a further application waits, and a larger one is refused."""
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


def test_node_manager_addresses(simple_cluster):
    """Each NodeManager has its own address."""
    assert [manager.host for manager in simple_cluster.node_managers] == ["localhost", "127.0.0.2"]
    ids = sorted(node["id"] for node in simple_cluster.nodes() if node["state"] == "RUNNING")
    assert ids == sorted(manager.address for manager in simple_cluster.node_managers)
