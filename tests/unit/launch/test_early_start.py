"""A script that starts with its container, before the application master has registered.

YARN's shell and what skein runs are real shells here. Java is a program that does as skein's application master does.
"""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
import skein

from yarnspawner.launch.early_start import start_early
from yarnspawner.launch.specification import ENVIRONMENT_FILE, environment_file

JAVA = """\
#!/bin/bash
# As skein's application master: it registers, writes its script and runs it with its own variables.
echo $$ > java.pid
env > java.environment
[ -e fails ] && exit 9
while [ -e registering ]; do sleep 0.05; done
export SKEIN_APPMASTER_ADDRESS=node:4711
unset CLASSPATH
bash skein.sh > "$LOGS/application.driver.log" 2>&1 &
echo $! > handover.pid
wait $!
status=$?
echo "$status" > status
exit 0
"""

LONG = 60

launched: list[subprocess.Popen] = []


@pytest.fixture(autouse=True)
def nothing_left():
    """A test that fails leaves no process behind, as YARN ends a container's group."""
    yield
    while launched:
        with suppress(ProcessLookupError):
            os.killpg(launched.pop().pid, signal.SIGKILL)


class Container:
    """A container's folder, and what YARN does in it."""

    def __init__(self, folder: Path, script: str, environment: dict[str, str] | None = None) -> None:
        self.folder = folder / "container"
        self.logs = folder / "logs"
        java = self.folder / "jre" / "bin" / "java"
        for made in (java.parent, self.logs):
            made.mkdir(parents=True)
        java.write_text(JAVA)
        java.chmod(0o755)
        text = environment_file(environment or {"SECRET": "s3cret"})
        (self.folder / ENVIRONMENT_FILE).write_bytes(text.encode())
        file = skein.File(str(self.folder / ENVIRONMENT_FILE), type="file")
        master = skein.Master(script=script, files={ENVIRONMENT_FILE: file}, env={"OTHER": "1"})
        self.specification = skein.ApplicationSpec(master=master)
        start_early(self.specification, str(self.folder / ENVIRONMENT_FILE))
        (self.folder / "skein.sh").write_text(self.specification.master.script)

    def launch(
        self, command: str = "$JAVA_HOME/bin/java -Xmx128M com.anaconda.skein.ApplicationMaster hdfs://x"
    ) -> None:
        """Start the container as YARN does, but for its links and its checks."""
        environment = {
            "PATH": os.environ["PATH"],
            "JAVA_HOME": str(self.folder / "jre"),
            "LOGS": str(self.logs),
            "CLASSPATH": "./*",
            **self.specification.master.env,
        }
        with (self.logs / "prelaunch.out").open("wb") as output, (self.logs / "prelaunch.err").open("wb") as errors:
            self.process = subprocess.Popen(
                ["/bin/bash", "-c", f"{command} 1>{self.logs}/application.master.log 2>&1"],
                cwd=self.folder,
                env=environment,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )
        launched.append(self.process)

    def read(self, name: str, folder: Path | None = None) -> str:
        """Return a file's text once it is there, and not empty."""
        file = (folder or self.folder) / name
        until = time.monotonic() + LONG
        while not (file.exists() and file.read_text()):
            assert time.monotonic() < until, f"{name} is not there"
            time.sleep(0.02)
        return file.read_text()

    def end(self) -> int:
        """Wait for the application master's end, and return the status of its script."""
        self.process.wait(LONG)
        return int(self.read("status"))

    @property
    def log(self) -> str:
        return self.read("application.driver.log", self.logs)

    def registers(self) -> "Container":
        """Let the application master take its time, until :meth:`registered`."""
        (self.folder / "registering").touch()
        return self

    def registered(self) -> None:
        (self.folder / "registering").unlink()


def test_script_starts_early(tmp_path):
    """The script runs while the application master registers, and its log and status are skein's."""
    container = Container(
        tmp_path, "echo began; . ./yarnspawner.env; echo $SECRET; echo yes > began; exit 3"
    ).registers()
    container.launch()
    assert container.read("yarnspawner.start.log", container.logs)
    assert container.read("began")
    container.registered()
    assert container.end() == 3
    assert container.log == "began\ns3cret\n"
    assert not (container.logs / "yarnspawner.start.log").exists()
    assert int((container.folder / "java.pid").read_text()) == container.process.pid


def test_registration(tmp_path):
    """The script learns where the application master is; before, nothing of skein's or Java's is in its environment."""
    script = """
        echo "${BASH_ENV-none} ${CLASSPATH-none}"
        until [ -e "$YARNSPAWNER_REGISTRATION" ]; do sleep 0.05; done
        cat "$YARNSPAWNER_REGISTRATION"
    """
    container = Container(tmp_path, script)
    container.launch()
    assert container.end() == 0
    assert container.log == "none none\nSKEIN_APPMASTER_ADDRESS=node:4711\n"
    java = container.read("java.environment").splitlines()
    assert "CLASSPATH=.yarnspawner.classes:./*" in java
    assert [file.stat().st_size for file in (container.folder / ".yarnspawner.classes").rglob("*.class")] == [0]
    assert not [line for line in java if line.startswith(("BASH_ENV", "SECRET", "yarnspawner", "YARNSPAWNER"))]


def test_environment(tmp_path):
    """Values arrive as they are, with carriage returns, line breaks and any characters."""
    value = "a\r\nb\rc\n# -- The script\n'ü' $(id) \\"
    container = Container(tmp_path, '. ./yarnspawner.env; printf %s "$VALUE" > value', {"VALUE": value})
    container.launch()
    assert container.end() == 0
    assert (container.folder / "value").read_bytes() == value.encode()


def test_log_continues(tmp_path):
    """What the script writes before and after the registration is in one log."""
    script = 'echo before; until [ -e "$YARNSPAWNER_REGISTRATION" ]; do sleep 0.05; done; echo after; echo worse >&2'
    container = Container(tmp_path, script)
    container.launch()
    container.end()
    assert container.log == "before\nafter\nworse\n"


def test_signal_reaches_script(tmp_path):
    """Skein ends its script by a SIGTERM to its process."""
    container = Container(tmp_path, "trap 'echo told; exit 7' TERM; echo ready; for _ in {1..400}; do sleep 0.05; done")
    container.launch()
    handover = int(container.read("handover.pid"))
    while "ready" not in container.log:
        time.sleep(0.02)
    container.read(".yarnspawner.registration")
    time.sleep(1)
    os.kill(handover, signal.SIGTERM)
    container.end()
    assert container.log == "ready\ntold\n"


def test_killed_shell(tmp_path):
    """Without its shell nobody knows the script's status, and the application ends."""
    container = Container(tmp_path, "exec sleep 60")
    container.launch()
    container.read("handover.pid")
    shell, script = map(int, container.read(".yarnspawner.pids").split())
    os.kill(shell, signal.SIGKILL)
    assert container.end() == 137
    os.kill(script, signal.SIGKILL)


def test_slow_shell(tmp_path):
    """The script runs once, even if the application master registers before the script's shell has run."""
    container = Container(tmp_path, "echo began")
    pids = container.folder / ".yarnspawner.pids"
    script = container.folder / "skein.sh"
    # Until then, the shell's own file is not there.
    moved = "mv .yarnspawner.pids late; (sleep 1; mv late .yarnspawner.pids) &\n"
    wait = "until [ -e .yarnspawner.pids ]; do sleep 0.02; done\n"
    script.write_text(wait + moved + script.read_text())
    container.launch()
    assert container.end() == 0
    assert container.log == "began\n"
    assert pids.exists()


def test_application_master_fails(tmp_path):
    """The container has the status of an application master that fails."""
    container = Container(tmp_path, "exec sleep 60")
    (container.folder / "fails").touch()
    container.launch()
    assert container.process.wait(LONG) == 9
    os.killpg(container.process.pid, signal.SIGKILL)  # as YARN does


def test_other_command(tmp_path):
    """Another command of YARN's shell runs as it is."""
    container = Container(tmp_path, "touch began")
    container.launch("echo a command; echo ${BASH_ENV-none}; true")
    assert container.process.wait(LONG) == 0
    assert container.read("prelaunch.out", container.logs) == "a command\nnone\n"
    assert not (container.folder / "began").exists()


def test_without_yarns_shell(tmp_path):
    """Where YARN's shell does not start the script, skein's run is the script."""
    container = Container(tmp_path, "echo ${YARNSPAWNER_REGISTRATION-late}; exit 4")
    del container.specification.master.env["BASH_ENV"]
    container.launch()
    assert container.end() == 4
    assert container.log == "late\n"


@pytest.mark.parametrize("script", ["echo $SKEIN_APPMASTER_ADDRESS", "skein kv get", "python -c 'import skein'"])
def test_script_that_needs_skein(tmp_path, script):
    """Such a script starts after the application master, and its files are as they were."""
    container = Container(tmp_path, script)
    assert container.specification.master.env == {"OTHER": "1"}
    assert container.specification.master.script == script
    assert (container.folder / ENVIRONMENT_FILE).read_text() == "export SECRET=s3cret\n"


def test_twice(tmp_path):
    """A second attempt to submit has the same environment file, and other containers can source it."""
    container = Container(tmp_path, "true")
    file = container.folder / ENVIRONMENT_FILE
    text = file.read_text()
    again = skein.ApplicationSpec(master=skein.Master(script="true", files=container.specification.master.files))
    start_early(again, str(file))
    assert file.read_text() == text
    assert again == skein.ApplicationSpec(
        master=skein.Master(
            script=container.specification.master.script,
            files=container.specification.master.files,
            env={"BASH_ENV": ENVIRONMENT_FILE},
        )
    )
    sourced = subprocess.run(
        ["bash", "-c", f". ./{ENVIRONMENT_FILE}; echo $SECRET"],
        cwd=container.folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=LONG,
    )
    assert sourced.stdout == "s3cret\n"
