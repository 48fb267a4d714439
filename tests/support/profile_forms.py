"""What users choose on a hub with profiles, and what YARN gives them for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from localhadoop import LocalHadoop
from tests.support.hub_user import HubUser, unfinished

CONFIGURATION = Path(__file__).with_name("jupyterhub_config_profiles.py")


def leave(user: HubUser) -> None:
    """Stop the user's server, if there is one."""
    if user.servers():
        user.ask_to_stop()
        user.wait_gone()


def choose(user: HubUser, **options: Any) -> None:
    """Start a server through the REST API."""
    user._call("POST", f"/hub/api/users/{user.name}/server", options)
    user.wait_ready()


def refusal(user: HubUser, **options: Any) -> str:
    """What the REST API answers to a start that it refuses."""
    answer = user._session.post(
        user._url(f"/hub/api/users/{user.name}/server"),
        json=options,
        headers={"X-XSRFToken": user._token("/hub/"), "Referer": user.address},
        timeout=60,
    )
    assert answer.status_code == 400, answer.text
    message: str = answer.json()["message"]
    return message


def post_form(user: HubUser, **fields: str) -> Any:
    """Send the options page's form, with whatever is in it."""
    return user._session.post(
        user._url(f"/hub/spawn/{user.name}"),
        params={"_xsrf": user._token("/hub/")},
        data=fields,
        headers={"Referer": user.address},
        timeout=60,
    )


def application(cluster: LocalHadoop, user: str) -> dict[str, Any]:
    """What YARN says of a user's one application."""
    (its_id,) = unfinished(cluster, user)
    return application_of(cluster, its_id)


def application_of(cluster: LocalHadoop, application_id: str) -> dict[str, Any]:
    """What YARN says of an application."""
    app: dict[str, Any] = cluster.get(f"{cluster.resource_manager_url}/ws/v1/cluster/apps/{application_id}")["app"]
    return app


def containers(cluster: LocalHadoop, app: dict[str, Any]) -> list[tuple[int, int]]:
    """The memory in MiB and the virtual cores of an application's containers, the application master's first."""
    return [(int(it["allocatedMB"]), int(it["allocatedVCores"])) for it in _containers(cluster, app)]


def nodes(cluster: LocalHadoop, app: dict[str, Any]) -> list[str]:
    """The hosts that an application's containers run on, the application master's first."""
    return [it["assignedNodeId"].partition(":")[0] for it in _containers(cluster, app)]


def _containers(cluster: LocalHadoop, app: dict[str, Any]) -> list[dict[str, Any]]:
    attempts = f"{cluster.resource_manager_url}/ws/v1/cluster/apps/{app['id']}/appattempts"
    (attempt,) = cluster.get(attempts)["appAttempts"]["appAttempt"]
    found = cluster.get(f"{attempts}/{attempt['appAttemptId']}/containers")["container"]
    # YARN writes a list of one as the one.
    return sorted(found if isinstance(found, list) else [found], key=lambda container: container["containerId"])


def gpus(app: dict[str, Any]) -> int:
    """The GPUs that an application's containers have together."""
    kinds = app["resourceInfo"]["resourceUsagesByPartition"][0]["used"]["resourceInformations"]["resourceInformation"]
    return next(int(kind["value"]) for kind in kinds if kind["name"] == "yarn.io/gpu")
