"""Handle users' choices: the options page, the posted form, and the settings that a start overrides."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from tornado import web
from traitlets import TraitError

from yarnspawner.common.string_templates import TemplateError, render_strict
from yarnspawner.common.units import LABELS
from yarnspawner.hadoop.resourcemanager import ResourceManagerUnavailable
from yarnspawner.hadoop.scheduler import Queue
from yarnspawner.hub.context import HubContext
from yarnspawner.launch.errors import OptionsRefused
from yarnspawner.launch.hooks import SettingFailed, call_hook, hook_failed
from yarnspawner.launch.request import resolve_setting, resource_manager_of, setting_fields
from yarnspawner.options.form import cards, render
from yarnspawner.options.limits import ChoiceRefused, Limit, ProfileError, check_cluster_maximum
from yarnspawner.options.overrides import Overrides
from yarnspawner.options.profiles import Profile
from yarnspawner.options.selection import Offer, Selection, read_form, select
from yarnspawner.settings.profiles import FIXED, HUB_SETTINGS, profiles_of
from yarnspawner.settings.typing import SpawnerSettings
from yarnspawner.yarn.audit import audit

# Seconds that the page waits for YARN's queues and maxima, and that a start waits for the maxima.
_PAGE_PATIENCE = 0.5
_START_PATIENCE = 3.0

T = TypeVar("T")


class UserOptions:
    """Offer choices to a user, check the user's choice, and apply it to the spawner's settings.

    - A form is checked when it is posted. Everything, including what came through the REST API, is checked again at the
      start.
    - JupyterHub stores what is posted before it is checked. A refused choice is removed again, so a stored choice was
      allowed once.
    - A stored choice that is no longer offered falls back to the default, and the user sees a notice.

    Args:
        spawner: the spawner whose settings are offered and changed.
        context: what the spawner shares with its hub.

    Attributes:
        notice: message to the user while the server starts; "" for none.
    """

    def __init__(self, spawner: SpawnerSettings, context: HubContext) -> None:
        self._spawner = spawner
        self._context = context
        self._log = spawner.log
        self._overrides = Overrides(spawner)
        self._allowed: Mapping[str, Any] = dict(spawner.user_options)
        self._profile_name = ""
        self.notice = ""

    @property
    def offers_anything(self) -> bool:
        """True if the settings offer something to any user."""
        spawner = self._spawner
        return bool(spawner.profile_list or any(getattr(spawner, f"{name}_choices") for name in LABELS))

    # -- The page

    async def render_form(self) -> str:
        """Return the page's HTML; "" if this user has nothing to choose."""
        offer, queues = await asyncio.gather(self._offer(_PAGE_PATIENCE), self._queues_now(_PAGE_PATIENCE))
        if not offer:
            return ""
        options: Mapping[str, Any] = self._allowed
        notice = ""
        try:
            select(offer, options)
        except ChoiceRefused as refused:
            options, notice = {}, f"Your last choice is no longer offered. {refused}"
        settings = await self._settings_of_groups((*LABELS, "maximum_lifetime"))
        facts = {name: _queue_facts(queue) for queue in queues for name in (queue.path, queue.name)}
        fields = await setting_fields(self._spawner, "{queue_username}")
        shown = cards(offer, settings, options, queue_of=partial(_queue_of, fields=fields), facts=facts)
        return render(self._spawner.additional_profile_form_template_paths, offer, shown, options, notice)

    async def parse_form(self, form: Mapping[str, Sequence[Any]]) -> Mapping[str, Any]:
        """Return the user's options from a posted form or from a link.

        Raises:
            OptionsRefused: a choice is not offered.
        """
        offer = await self._offer(_START_PATIENCE)
        if not offer.decides:
            return form
        try:
            options = read_form(offer, form)
            select(offer, options)
        except ChoiceRefused as refused:
            raise OptionsRefused(str(refused)) from None
        return options

    # -- At a start

    async def apply_group_overrides(self) -> None:
        """Apply JupyterHub's ``group_overrides`` to the settings for this start.

        JupyterHub defines their meaning. Unlike JupyterHub, store the result, because a restarted hub does not evaluate
        groups again.
        """
        for key, override in await self._overrides_of_groups():
            self._log.info("%s: the group override %s changes %s", self._context.server_name, key, ", ".join(override))
            await call_hook(f"group_overrides ({key})", self._overrides.apply, override, log=self._log)

    async def apply(self, user_options: Mapping[str, Any]) -> None:
        """Apply the user's choice to the settings for this start.

        Raises:
            OptionsRefused: the choice is not allowed, or it exceeds the cluster's maximum.
        """
        self.notice = ""
        offer = await self._offer(_START_PATIENCE)
        try:
            selection = self._select(offer, user_options) if offer.decides else Selection(None, ())
            queue = await self._group_queue(self._spawner.queue)
            for override in ({"queue": queue}, *selection.overrides):
                await self._apply(override)
            cluster_maximum = await self._cluster_maximum(_START_PATIENCE, queue=await self._queue_now())
            for name, upper_bound in cluster_maximum.items():
                check_cluster_maximum(name, getattr(self._spawner, name), upper_bound)
        except (ChoiceRefused, TraitError) as refused:
            self._refuse(user_options, str(refused))
        self._allowed = dict(user_options)
        if selection.profile:
            self._profile_name = selection.profile.display_name
            # JupyterHub's admin page shows this, also for the default profile. The stored options stay as posted.
            shown = {} if self.notice else user_options
            self._spawner.user_options = {**shown, "profile": selection.profile.slug}

    async def _apply(self, override: Mapping[str, Any]) -> None:
        """Apply an override of the user's choice. A value that its setting does not accept is the user's error."""
        try:
            await self._overrides.apply(override)
        except (TraitError, web.HTTPError):
            raise
        except Exception as error:
            name = f"profile_list ({', '.join(override)})"
            self._log.exception("The setting %s of the configuration raised an exception", name)
            raise hook_failed(name, error) from error

    def _select(self, offer: Offer, user_options: Mapping[str, Any]) -> Selection:
        try:
            return select(offer, user_options)
        except ChoiceRefused as refused:
            if user_options != self._allowed:
                self._refuse(user_options, str(refused))
            chosen = select(offer, {})
            name = chosen.profile.display_name if chosen.profile else "the usual server"
            self.notice = f"Your last choice is no longer offered, so this is {name}. {refused}"
            self._log.warning("%s: %s", self._context.server_name, self.notice)
            return chosen

    def _refuse(self, user_options: Mapping[str, Any], message: str) -> None:
        audit(
            "refused", code="options-refused", reason=message, user=self._spawner.user.name, server=self._spawner.name
        )
        self._overrides.undo()
        if user_options != self._allowed:
            self._spawner.user_options = self._spawner.orm_spawner.user_options = dict(self._allowed)
            self._spawner.user.db.commit()
        raise OptionsRefused(message)

    @property
    def chosen(self) -> dict[str, Any]:
        """The settings that this start overrides, to be stored while its server runs."""
        return self._overrides.kept()

    def restore(self, settings: Mapping[str, Any]) -> None:
        """Restore the settings of a server that an earlier run of the hub started.

        The choice at its start applies until the server ends, even if the offer has changed.
        """
        self._overrides.undo()
        if lost := self._overrides.restore({name: value for name, value in settings.items() if name not in FIXED}):
            self._log.warning(
                "%s: its %s cannot be what it was chosen to be", self._context.server_name, ", ".join(lost)
            )

    def clear(self) -> None:
        """Forget the last start's choice. Called by `YarnSpawner.clear_state`, before each start."""
        self._overrides.undo()
        self._profile_name = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the state to store: the profile's name, for admins."""
        return {"profile": self._profile_name} if self._profile_name else {}

    def load(self, state: Mapping[str, Any]) -> None:
        """Read the state that an earlier run of the hub stored."""
        self._profile_name = str(state.get("profile", ""))

    # -- What is offered

    async def _offer(self, patience: float) -> Offer:
        """Return the user's current offer. Call the admin's callables each time.

        Args:
            patience: seconds to wait for YARN's maxima.
        """
        try:
            written = await self._value_of("profile_list")
            groups = self._group_names
            read = profiles_of(type(self._spawner), written or [])
            profiles = [mine for one in read if (mine := one.offered_to(self._spawner.user.name, groups))]
            limits = await self._limits()
        except ProfileError as error:
            self._log.error("%s: the options page cannot be shown: %s", self._context.server_name, error)
            raise OptionsRefused("What may be chosen here is misconfigured. Please tell your administrator.") from None
        cluster_maximum = await self._cluster_maximum(patience) if limits or _have_limits(profiles) else {}
        return Offer(profiles, limits, cluster_maximum, to_others=bool(read))

    async def _limits(self) -> dict[str, Limit]:
        read = {name: Limit.read(name, await self._value_of(f"{name}_choices")) for name in LABELS}
        return {name: limit for name, limit in read.items() if limit}

    async def _value_of(self, name: str) -> Any:
        setting = getattr(self._spawner, name)
        return await call_hook(name, setting, self._spawner, log=self._log) if callable(setting) else setting

    @property
    def _group_names(self) -> list[str]:
        return [group.name for group in self._spawner.user.groups]

    async def _group_queue(self, otherwise: Any) -> str:
        """Return the queue of this user's groups, or the given one: a template, or what a callable returned."""
        queues, groups = await self._value_of("group_queues"), self._group_names
        if not isinstance(queues, Mapping):
            raise SettingFailed(f"The hub's setting group_queues returned {type(queues).__name__}, not a dict.")
        found = next((queue for group, queue in queues.items() if group in groups), None)
        queue = otherwise if found is None else found
        if isinstance(queue, str):
            return queue
        return await resolve_setting(self._spawner, "queue" if found is None else "group_queues", queue)

    async def _overrides_of_groups(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Return the ``group_overrides`` of this user's groups, with their keys. Later ones take precedence."""
        written = await self._value_of("group_overrides")
        groups = frozenset(self._group_names)
        try:
            mine = {
                key: dict(one["spawner_override"])
                for key, one in sorted(written.items())
                if not groups.isdisjoint(one["groups"])
            }
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            self._log.exception("group_overrides are not written as JupyterHub wants them")
            raise hook_failed("group_overrides", error) from None
        if hubs := sorted({name for override in mine.values() for name in override} & HUB_SETTINGS):
            message = (
                f"The hub's setting group_overrides changes {', '.join(hubs)}, which must be the same for all users."
            )
            self._log.error("%s: %s Set it for the whole hub", self._context.server_name, message)
            raise SettingFailed(message)
        return list(mine.items())

    async def _settings_of_groups(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the settings of a start before the user's choice. Do not change the spawner's settings."""
        settings = {name: getattr(self._spawner, name) for name in names}
        for _, override in await self._overrides_of_groups():
            settings.update({name: override[name] for name in names if name in override})
        settings["queue"] = await self._group_queue(settings["queue"])
        if callable(settings.get("node_label")):
            settings["node_label"] = await resolve_setting(self._spawner, "node_label", settings["node_label"])
        return settings

    # -- What the cluster has

    async def _cluster_maximum(self, patience: float, queue: str = "") -> dict[str, int]:
        """Return YARN's maximum for one server by setting; empty if YARN does not respond in ``patience`` seconds."""
        manager = resource_manager_of(self._context)
        largest = await _in_time(manager.maximum_allocation(queue), patience) if queue else None
        largest = largest or await _in_time(manager.maximum_allocation(), patience)
        if largest is None:
            return {}
        beside = self._spawner.application_master_memory if self._spawner.server_container == "master" else 0
        gpus = {} if largest.gpus is None else {"gpus": largest.gpus}
        return {"mem_limit": max(0, largest.memory * 2**20 - beside), "cpu_limit": largest.vcores, **gpus}

    async def _queues_now(self, patience: float) -> list[Queue]:
        return list((await _in_time(resource_manager_of(self._context).queues(), patience) or {}).values())

    async def _queue_now(self) -> str:
        """Return the queue of this start; "" if its template cannot be filled in, which the start itself reports."""
        try:
            return await resolve_setting(self._spawner, "queue")
        except TemplateError:
            return ""


def _queue_of(template: str, fields: Mapping[str, str]) -> str:
    try:
        return render_strict(template, fields)
    except TemplateError:
        return template


def _have_limits(profiles: Sequence[Profile]) -> bool:
    return any(limit for profile in profiles for limit in profile.limits.values())


async def _in_time(question: Awaitable[T], patience: float) -> T | None:
    """Return YARN's response; None after ``patience`` seconds or a failure. A later call can use a late response."""
    try:
        return await asyncio.wait_for(question, patience)
    except (asyncio.TimeoutError, ResourceManagerUnavailable):
        return None


def _queue_facts(queue: Queue) -> str:
    if queue.state != "RUNNING":
        return f"{queue.state.lower()}, takes no new servers"
    used = min(100.0, 100 * queue.used / queue.maximum) if queue.maximum else 100.0
    waiting = {0: "no application waits", 1: "1 application waits"}.get(
        queue.pending, f"{queue.pending} applications wait"
    )
    return f"{100 - used:.0f} % free, {waiting}"
