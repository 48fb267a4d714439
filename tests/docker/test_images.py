"""The images, built and run; only where podman or docker works."""

import os
import secrets
import signal
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
ENGINE = f". {CHECKOUT}/docker/engine.sh; choose_engine"

pytestmark = [pytest.mark.full, pytest.mark.timeout(3600)]


def shell(script, **options):
    """Run a script for the shell with the engine that docker/build chooses in `$engine`."""
    return subprocess.run(
        ["sh", "-c", f"{ENGINE} || exit 3\n{script}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=CHECKOUT,
        **options,
    )


@pytest.fixture(scope="session", autouse=True)
def engine():
    done = shell("echo $engine")
    if done.returncode == 3:
        pytest.skip(done.stderr.strip())


@pytest.fixture(scope="session")
def images(engine):
    """All images."""
    done = subprocess.run([CHECKOUT / "docker" / "build"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize(("image", "limit"), [("hub", 900), ("proxy", 400), ("environment", 400), ("cluster", 900)])
def test_sizes(images, image, limit):
    """No image is larger than docs/containers.md leads to expect, in MB."""
    size = int(shell(f"$engine image inspect --format '{{{{.Size}}}}' localhost/yarnspawner/{image}").stdout)
    assert size < limit * 1_000_000


@pytest.mark.parametrize(("image", "uid"), [("hub", "990"), ("proxy", "991")])
def test_no_root(images, image, uid):
    """The hub and the proxy run as accounts of their own, which can write nothing of the image."""
    done = shell(
        f"$engine run --rm --read-only --cap-drop=all localhost/yarnspawner/{image} sh -c 'id -u; touch /opt/x'"
    )
    assert done.stdout.strip() == uid
    assert done.returncode != 0


@pytest.mark.parametrize(("image", "word"), [("hub", "core-site.xml"), ("proxy", "token")])
def test_says_what_is_missing(images, image, word):
    """Without mounts, a container ends with status 78 and says what is missing."""
    done = shell(f"$engine run --rm localhost/yarnspawner/{image}")
    assert done.returncode == 78
    assert word in done.stderr + done.stdout


@pytest.mark.parametrize("image", ["hub", "proxy"])
def test_no_secret_in_a_layer(images, image):
    """No image has a key, a keytab, a cookie secret or a token in its files or its history."""
    found = (
        "find / -xdev -type f \\( -name '*.keytab' -o -name '*cookie_secret*' -o -name 'proxy_token' -o -name '.netrc' "
        "-o -path '/root/.*npmrc' -o -path '/etc/ssl/private/*' \\)"
    )
    done = shell(f'$engine run --rm --user 0 --entrypoint sh localhost/yarnspawner/{image} -c "{found}"')
    assert (done.returncode, done.stdout) == (0, "")
    history = shell(f"$engine history --no-trunc localhost/yarnspawner/{image}").stdout
    assert "build-ca" not in history.lower().replace("/run/build-ca.crt", "")
    for secret in ("password=", "token="):
        assert secret not in history.lower()


def test_proxy_is_healthy(images, tmp_path):
    """The proxy starts without root, and its health check passes."""
    token = tmp_path / "token"
    token.write_text(secrets.token_hex(16))
    token.chmod(0o444)
    name = f"yarnspawner-test-{os.getpid()}"
    options = f"--detach --name {name} --read-only --cap-drop=all --volume {token}:/run/secrets/proxy_token:ro"
    try:
        check = "node -e \"fetch('http://127.0.0.1:8000/_chp_healthz').then(r => process.exit(r.ok ? 0 : 1))\""
        done = shell(
            f"$engine run {options} localhost/yarnspawner/proxy && "
            f"for i in 1 2 3 4 5 6 7 8 9 10; do $engine exec {name} {check} 2>/dev/null && exit 0; sleep 1; done; exit 1"
        )
        assert done.returncode == 0, shell(f"$engine logs {name}").stderr
    finally:
        shell(f"$engine rm --force {name}")


def test_environment_refuses_old_nodes(images, tmp_path):
    """An environment that needs a newer glibc than the nodes have is not written."""
    command = [CHECKOUT / "docker" / "make-environment", "--glibc", "2.5", "--output", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "need a newer C library than the nodes' glibc 2.5" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def environment(images, tmp_path_factory):
    """An environment for users' servers."""
    folder = tmp_path_factory.mktemp("environment")
    command = [CHECKOUT / "docker" / "make-environment", "--output", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    [archive] = folder.glob("jupyter-*.tar.gz")
    return archive


def left_over():
    """Return the containers and networks of docker/try."""
    return shell(
        "$engine ps --all --quiet --filter name=yarnspawner-try; $engine network ls | grep yarnspawner-try"
    ).stdout


def test_try(environment):
    """docker/try: a server on a secure cluster of several hosts, and three failures under a user who works."""
    command = [CHECKOUT / "docker" / "try", "--environment", environment]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert left_over() == ""


def test_interrupted_try(environment):
    """docker/try that is interrupted while hosts start leaves nothing behind."""
    command = [CHECKOUT / "docker" / "try", "--environment", environment]
    trial = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    lines = []
    for line in trial.stdout:
        lines.append(line)
        if "Starting rm1" in line:
            trial.send_signal(signal.SIGINT)
    assert trial.wait(60) == 130, lines
    assert "Interrupted" in "".join(lines)
    assert left_over() == ""
