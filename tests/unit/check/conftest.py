"""Answers of a real cluster (Hadoop 3.4.3 with Kerberos, two nodes), which a test may change in one place."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from yarnspawner.check.context import CheckContext
from yarnspawner.check.result import Unknown
from yarnspawner.hadoop.configuration import HadoopConfiguration
from yarnspawner.hadoop.resourcemanager import ResourceManager

SAMPLES = Path(__file__).with_name("samples")
RM = "http://localhost:31530"
NN = "http://localhost:31522"


def sample(name: str) -> Any:
    return json.loads((SAMPLES / f"{name}.json").read_text())


class Answers(CheckContext):
    """A context whose web services answer as they were recorded."""

    def __init__(self, **settings: Any) -> None:
        defaults = {
            "queue": "default",
            "node_label": "",
            "mem_limit": 1 << 30,
            "cpu_limit": 1,
            "application_master_memory": 256 << 20,
            "server_container": "master",
            "maximum_lifetime": 0,
            "spnego_over_http": False,
            "hadoop_user": "{username}",
        }
        access = SimpleNamespace(
            principal="jupyterhub@EXAMPLE.COM", keytab="", hub_user="jupyterhub", resource_manager_url=""
        )
        own = SimpleNamespace(**{**defaults, **settings}, hub_context=SimpleNamespace(access=access))
        super().__init__(None, own, user="alice")
        self.documents = {
            f"{RM}/ws/v1/cluster/info": sample("info"),
            f"{RM}/ws/v1/cluster/nodes": sample("nodes"),
            f"{RM}/ws/v1/cluster/scheduler": sample("scheduler"),
            f"{RM}/conf?format=json": sample("resourcemanager-conf"),
            f"{NN}/conf?format=json": sample("namenode-conf"),
        }
        for node in self.documents[f"{RM}/ws/v1/cluster/nodes"]["nodes"]["node"]:
            self.documents[f"http://{node['nodeHTTPAddress']}/conf?format=json"] = sample("nodemanager-conf")
        site = {
            "fs.defaultFS": "hdfs://localhost:31521",
            "dfs.namenode.http-address": NN.removeprefix("http://"),
            "yarn.resourcemanager.webapp.address": RM.removeprefix("http://"),
            "hadoop.security.authentication": "kerberos",
            "yarn.acl.enable": "true",
        }
        self.__dict__["_configuration"] = HadoopConfiguration(site)
        manager = ResourceManager([RM])
        manager._get = self._recorded  # type: ignore[method-assign]
        access.resource_manager = manager

    async def _recorded(self, path: str) -> dict[str, Any] | None:
        return await self._get(RM + path)

    async def _get(self, url: str) -> dict[str, Any]:
        if url not in self.documents:
            raise Unknown(f"{url} does not answer.")
        return copy.deepcopy(self.documents[url])

    def change(self, daemon: str, name: str, value: str) -> None:
        """Change a property of a daemon, "rm", "nn", or "nm" for all nodes."""
        for url, document in self.documents.items():
            whose = "rm" if url.startswith(RM) else "nn" if url.startswith(NN) else "nm"
            if whose == daemon and "/conf" in url:
                entries = document["properties"]
                entries[:] = [entry for entry in entries if entry["key"] != name]
                entries.append({"key": name, "value": value})

    def queue(self, **values: Any) -> None:
        """Change the queue ``default``."""
        queues = self.documents[f"{RM}/ws/v1/cluster/scheduler"]["scheduler"]["schedulerInfo"]["queues"]["queue"]
        next(queue for queue in queues if queue["queueName"] == "default").update(values)


@pytest.fixture
def answers() -> Callable[..., Answers]:
    return Answers


@pytest.fixture
def context() -> Answers:
    return Answers()


def run(coroutine: Any) -> Any:
    return asyncio.run(coroutine)
