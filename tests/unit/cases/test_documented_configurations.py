"""The documented configurations of 0.4.0 and of "JupyterHub on Hadoop" start servers unchanged.

Sources: github.com/jupyterhub/yarnspawner (docs/source/index.rst) and github.com/jupyterhub/jupyterhub-on-hadoop
(contents-managers, spark, jupyterlab, manual-spawner, docker-demo).
"""

import pytest

from yarnspawner.launch.archives import check_archives
from yarnspawner.launch.request import build_request, container_environment, localized_files, resolve_setting
from yarnspawner.launch.specification import ENVIRONMENT_FILE, application_specification, environment_file
from yarnspawner.state.credentials import Credentials
from yarnspawner.state.server_state import ServerState

CREDENTIALS = Credentials(b"certificate", b"key")
ARCHIVE = {"environment": {"source": "hdfs:///jupyterhub/example.tar.gz", "visibility": "public"}}
PYTHONPATH = "/usr/lib/spark/python/:/usr/lib/spark/python/lib/py4j-0.10.7-src.zip"
PYTHON = "/opt/jupyterhub/miniconda/bin/python"

CONFIGURATIONS = {
    "example": (
        {
            "principal": "jupyterhub",
            "keytab": "/etc/jupyterhub/jupyterhub.keytab",
            "mem_limit": "2 G",
            "cpu_limit": 1,
            "queue": "jupyterhub",
            "localize_files": ARCHIVE,
            "prologue": "source environment/bin/activate",
        },
        ["source environment/bin/activate", "python -m yarnspawner.singleuser"],
        [],
    ),
    "python": ({"cmd": f"{PYTHON} -m yarnspawner.singleuser"}, [f"{PYTHON} -m yarnspawner.singleuser"], []),
    "conda": (
        {"prologue": "conda activate /path/to/your/environment"},
        ["conda activate /path/to/your/environment"],
        [],
    ),
    "contents manager": (
        {"args": ['--NotebookApp.contents_manager_class="hdfscm.HDFSContentsManager"']},
        ["yarnspawner.singleuser --NotebookApp.contents_manager_class=hdfscm.HDFSContentsManager"],
        [],
    ),
    "jupyterlab": (
        {"default_url": "/lab", "cmd": ["python -m yarnspawner.jupyter_labhub"]},
        ["python -m yarnspawner.jupyter_labhub"],
        [],
    ),
    "spark": (
        {"environment": {"PYTHONPATH": PYTHONPATH, "PYSPARK_PYTHON": PYTHON}},
        [],
        [f"export PYTHONPATH={PYTHONPATH}\n", f"export PYSPARK_PYTHON={PYTHON}\n"],
    ),
    "spark in the archive": (
        {
            "environment": {"PYTHONPATH": PYTHONPATH, "SPARK_CONF_DIR": "./environment/etc/spark"},
            "localize_files": ARCHIVE,
        },
        [],
        ['export SPARK_CONF_DIR="$PWD"/environment/etc/spark\n'],
    ),
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
async def test_documented_configuration(spawner_of, name):
    """Each gives an application with its queue, size, files, script and environment."""
    settings, in_script, in_environment = CONFIGURATIONS[name]
    spawner = spawner_of(**settings)
    spawner.get_env = lambda: dict(spawner.environment)
    spawner.get_args = lambda: list(spawner.args)
    files = await localized_files(spawner)
    check_archives(files)
    request = await build_request(
        spawner,
        ServerState.new("alice", await resolve_setting(spawner, "queue"), CREDENTIALS),
        CREDENTIALS,
        {ENVIRONMENT_FILE: "/e"},
        files=files,
        skein_jar="",
        hub_id="hub",
        hub_user="jupyterhub",
    )
    made = application_specification(request)
    assert made.queue == settings.get("queue", "default")
    assert made.master.resources.memory == 2048 + 256
    assert set(made.master.files) == {ENVIRONMENT_FILE, *settings.get("localize_files", ())}
    for text in in_script:
        assert text in made.master.script
    environment = environment_file(container_environment(spawner))
    for text in in_environment:
        assert text in environment
