"""What users choose: the options page, what they post, and what that changes at a start."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, TypeVar

from tornado import web
from traitlets import TraitError

from yarnspawner.common.string_templates import TemplateError, render_strict, template_fields
from yarnspawner.common.units import LABELS
from yarnspawner.hadoop.resourcemanager import ResourceManagerUnavailable
from yarnspawner.hadoop.scheduler import Queue
from yarnspawner.hub.context import HubContext
from yarnspawner.launch.errors import OptionsRefused
from yarnspawner.launch.hooks import SettingFailed, call_hook, hook_failed
from yarnspawner.launch.request import resource_manager_of
from yarnspawner.options.form import cards, render
from yarnspawner.options.limits import ChoiceRefused, Limit, ProfileError, check_cluster_maximum
from yarnspawner.options.overrides import Overrides
from yarnspawner.options.profiles import Profile
from yarnspawner.options.selection import Offer, Selection, read_form, select
from yarnspawner.settings.profiles import FIXED, HUB_SETTINGS, profiles_of
from yarnspawner.settings.typing import SpawnerSettings
from yarnspawner.yarn.audit import audit

# Seconds that the page waits for what YARN tells of queues and sizes, and a start for the largest size.
_PAGE_PATIENCE = 0.5
_START_PATIENCE = 3.0

T = TypeVar("T")


class UserOptions:
    """What a user may choose, what the user chose, and what that changes.

    - A form is checked when it is posted. Everything, including what came through the REST API, is checked again at the
      start.
    - JupyterHub stores what is posted before it is checked. A refused choice is removed again, so a stored choice was
      allowed once.
    - A stored choice that is no longer offered falls back to the default, and the user is told.

    Args:
        spawner: whose settings are offered and changed.
        context: what the spawner shares with its hub.

    Attributes:
        notice: for the user, while the server starts; "" for none.
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
        """The page's HTML; "" if this user has nothing to choose."""
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
        shown = cards(offer, settings, options, queue_of=self._queue_of, facts=facts)
        return render(self._spawner.additional_profile_form_template_paths, offer, shown, options, notice)

    async def parse_form(self, form: Mapping[str, Sequence[Any]]) -> Mapping[str, Any]:
        """What is posted, or stands in a link, as the user's options.

        Raises:
            OptionsRefused: it is not offered.
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
        """Change the settings for this start as JupyterHub's ``group_overrides`` say.

        What they mean is JupyterHub's; that it is kept is not: a hub that was restarted does not ask for groups again.
        """
        for key, override in await self._overrides_of_groups():
            self._log.info("%s: the group override %s changes %s", self._context.server_name, key, ", ".join(override))
            await call_hook(f"group_overrides ({key})", self._overrides.apply, override, log=self._log)

    async def apply(self, user_options: Mapping[str, Any]) -> None:
        """Change the settings for this start as the user has chosen.

        Raises:
            OptionsRefused: the choice is not allowed, or the cluster cannot give so much.
        """
        self.notice = ""
        offer = await self._offer(_START_PATIENCE)
        try:
            selection = self._select(offer, user_options) if offer.decides else Selection(None, ())
            for override in ({"queue": self._group_queue(self._spawner.queue)}, *selection.overrides):
                await self._apply(override)
            ceiling = await self._ceiling(_START_PATIENCE, queue=self._queue_of(self._spawner.queue))
            for name, most in ceiling.items():
                check_cluster_maximum(name, getattr(self._spawner, name), most)
        except (ChoiceRefused, TraitError) as refused:
            self._refuse(user_options, str(refused))
        self._allowed = dict(user_options)
        if selection.profile:
            self._profile_name = selection.profile.display_name
            # For JupyterHub's admin page, also of who has not chosen; what is stored stays as it was posted.
            shown = {} if self.notice else user_options
            self._spawner.user_options = {**shown, "profile": selection.profile.slug}

    async def _apply(self, override: Mapping[str, Any]) -> None:
        """Change settings as the user has chosen. A value that a setting cannot have is the user's own, and refused."""
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
        audit("refused", reason=message, user=self._spawner.user.name, server=self._spawner.name)
        self._overrides.undo()
        if user_options != self._allowed:
            self._spawner.user_options = self._spawner.orm_spawner.user_options = dict(self._allowed)
            self._spawner.user.db.commit()
        raise OptionsRefused(message)

    @property
    def chosen(self) -> dict[str, Any]:
        """What this start has of its own, to be kept for as long as its server runs."""
        return self._overrides.kept()

    def restore(self, settings: Mapping[str, Any]) -> None:
        """Give a server that another run of the hub has started its settings back.

        What was chosen at its start holds until its end, also where something else is offered by now.
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
        """Return what is stored: the profile's name, for admins."""
        return {"profile": self._profile_name} if self._profile_name else {}

    def load(self, state: Mapping[str, Any]) -> None:
        """Read what an earlier run of the hub has stored."""
        self._profile_name = str(state.get("profile", ""))

    # -- What is offered

    async def _offer(self, patience: float) -> Offer:
        """What this user may choose from, checked anew where the admin's callables decide."""
        try:
            written = await self._value_of("profile_list")
            groups = self._group_names
            read = profiles_of(type(self._spawner), written or [])
            profiles = [mine for one in read if (mine := one.offered_to(self._spawner.user.name, groups))]
            limits = await self._limits()
        except ProfileError as error:
            self._log.error("%s: nobody can choose from this: %s", self._context.server_name, error)
            raise OptionsRefused("What may be chosen here is misconfigured. Please tell your administrator.") from None
        ceiling = await self._ceiling(patience) if limits or _have_limits(profiles) else {}
        return Offer(profiles, limits, ceiling, to_others=bool(read))

    async def _limits(self) -> dict[str, Limit]:
        read = {name: Limit.read(name, await self._value_of(f"{name}_choices")) for name in LABELS}
        return {name: limit for name, limit in read.items() if limit}

    async def _value_of(self, name: str) -> Any:
        setting = getattr(self._spawner, name)
        return await call_hook(name, setting, self._spawner, log=self._log) if callable(setting) else setting

    @property
    def _group_names(self) -> list[str]:
        return [group.name for group in self._spawner.user.groups]

    def _group_queue(self, otherwise: str) -> str:
        groups = self._group_names
        return next((queue for group, queue in self._spawner.group_queues.items() if group in groups), otherwise)

    async def _overrides_of_groups(self) -> list[tuple[str, Mapping[str, Any]]]:
        """What ``group_overrides`` say of this user's groups, by their keys; later ones count."""
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
        """Settings as they will be at a start, before the user's choice; the spawner's own stay as they are."""
        settings = {name: getattr(self._spawner, name) for name in names}
        for _, override in await self._overrides_of_groups():
            settings.update({name: override[name] for name in names if name in override})
        return {**settings, "queue": self._group_queue(settings["queue"])}

    # -- What the cluster has

    async def _ceiling(self, patience: float, queue: str = "") -> dict[str, int]:
        """The most that one server can have; empty if YARN does not say so in time."""
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

    def _queue_of(self, template: str) -> str:
        try:
            return render_strict(template, template_fields(self._spawner.user, self._spawner.name))
        except TemplateError:
            return template


def _have_limits(profiles: Sequence[Profile]) -> bool:
    return any(limit for profile in profiles for limit in profile.limits.values())


async def _in_time(question: Awaitable[T], patience: float) -> T | None:
    """YARN's answer; None if it comes too late, or not at all. What comes late is there for who asks next."""
    try:
        return await asyncio.wait_for(question, patience)
    except (asyncio.TimeoutError, ResourceManagerUnavailable):
        return None


def _queue_facts(queue: Queue) -> str:
    if queue.state != "RUNNING":
        return f"{queue.state.lower()}, takes no new servers"
    used = min(100.0, 100 * queue.used / queue.maximum) if queue.maximum else 100.0
    waiting = {0: "nobody waits", 1: "1 application waits"}.get(queue.pending, f"{queue.pending} applications wait")
    return f"{100 - used:.0f} % free, {waiting}"
