"""What users choose, on the spawner's side: the page, what is posted, and what becomes of it at a start."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from tornado import web
from traitlets import TraitError, default

from yarnspawner.common.string_templates import TemplateError, render_strict, template_fields
from yarnspawner.hadoop.resourcemanager import ResourceManagerUnavailable
from yarnspawner.hadoop.scheduler import Queue
from yarnspawner.launch.admin_code import SettingFailed, call_setting, failed
from yarnspawner.launch.errors import OptionsRefused
from yarnspawner.launch.features import FeatureSpawner
from yarnspawner.launch.hooks import HookingSpawner
from yarnspawner.options.form import cards, render
from yarnspawner.options.limits import LABELS, ChoiceRefused, Limit, ProfileError, check_cluster_maximum
from yarnspawner.options.overrides import Overrides
from yarnspawner.options.profiles import Profile
from yarnspawner.options.selection import Offer, Selection, read_form, select
from yarnspawner.settings.profiles import FIXED, HUB_SETTINGS, ProfileSettings
from yarnspawner.settings.server import YarnSpawnerSettings
from yarnspawner.yarn.audit import audit

# Seconds that the page waits for what YARN tells of queues and sizes, and a start for the largest size.
_PAGE_PATIENCE = 0.5
_START_PATIENCE = 3.0

T = TypeVar("T")


class ChoosingSpawner(HookingSpawner, ProfileSettings, FeatureSpawner, YarnSpawnerSettings):
    """The part of a spawner that offers choices, checks them and applies them.

    - a form is checked when it is posted, and everything, also what came through the REST API, again at the start
    - JupyterHub stores what is posted before it is checked: what is refused is taken out again, so what is stored was
      allowed once
    - a stored choice that is no longer offered gives way to the default, and the user is told
    """

    # JupyterHub's Spawner has these.
    environment: Mapping[str, Any]
    get_env: Callable[[], Mapping[str, Any]]
    get_args: Callable[[], Sequence[str]]
    start_timeout: int
    group_overrides: Any
    log: logging.Logger
    name: str
    user: Any
    user_options: Mapping[str, Any]
    orm_spawner: Any
    _log_name: str

    # What is shown to the user when the start goes on.
    notice = ""

    def __init__(self, **kwargs: Any) -> None:
        self._changes = Overrides(self)
        self._profile_name = ""
        super().__init__(**kwargs)
        self._allowed_options: Mapping[str, Any] = dict(self.user_options)

    @default("options_form")
    def _default_options_form(self) -> Any:
        offers = self.profile_list or any(getattr(self, f"{name}_choices") for name in LABELS)
        return (lambda spawner: spawner.render_form()) if offers else ""

    @default("options_from_form")
    def _default_options_from_form(self) -> Any:
        return self.parse_form

    @default("apply_user_options")
    def _default_apply_user_options(self) -> Any:
        return lambda spawner, user_options: spawner.apply_choices(user_options)

    # -- The page

    async def render_form(self) -> str:
        """The page's HTML; "" if this user has nothing to choose."""
        offer, queues = await asyncio.gather(self._offer(_PAGE_PATIENCE), self._queues_now(_PAGE_PATIENCE))
        if not offer:
            return ""
        options: Mapping[str, Any] = self._allowed_options
        notice = ""
        try:
            select(offer, options)
        except ChoiceRefused as refused:
            options, notice = {}, f"Your last choice is no longer offered. {refused}"
        settings = await self._settings_of_groups((*LABELS, "maximum_lifetime"))
        facts = {name: _queue_facts(queue) for queue in queues for name in (queue.path, queue.name)}
        shown = cards(offer, settings, options, queue_of=self._queue_of, facts=facts)
        return render(self.additional_profile_form_template_paths, offer, shown, options, notice)

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
            self.log.info("%s: the group override %s changes %s", self._log_name, key, ", ".join(override))
            await call_setting(f"group_overrides ({key})", self._changes.apply, override, log=self.log)

    async def apply_choices(self, user_options: Mapping[str, Any]) -> None:
        """Change the settings for this start as the user has chosen.

        Raises:
            OptionsRefused: the choice is not allowed, or the cluster cannot give so much.
        """
        self.notice = ""
        offer = await self._offer(_START_PATIENCE)
        try:
            selection = self._select(offer, user_options) if offer.decides else Selection(None, ())
            for override in ({"queue": self._group_queue(self.queue)}, *selection.overrides):
                await self._apply(override)
            ceiling = await self._ceiling(_START_PATIENCE, queue=self._queue_of(self.queue))
            for name, most in ceiling.items():
                check_cluster_maximum(name, getattr(self, name), most)
        except (ChoiceRefused, TraitError) as refused:
            self._refuse(user_options, str(refused))
        self._allowed_options = dict(user_options)
        if selection.profile:
            self._profile_name = selection.profile.display_name
            # For JupyterHub's admin page, also of who has not chosen; what is stored stays as it was posted.
            shown = {} if self.notice else user_options
            self.user_options = {**shown, "profile": selection.profile.slug}

    async def _apply(self, override: Mapping[str, Any]) -> None:
        """Change settings as the user has chosen. A value that a setting cannot have is the user's own, and refused."""
        try:
            await self._changes.apply(override)
        except (TraitError, web.HTTPError):
            raise
        except Exception as error:
            name = f"profile_list ({', '.join(override)})"
            self.log.exception("The setting %s of the configuration raised an exception", name)
            raise failed(name, error) from error

    def _select(self, offer: Offer, user_options: Mapping[str, Any]) -> Selection:
        try:
            return select(offer, user_options)
        except ChoiceRefused as refused:
            if user_options != self._allowed_options:
                self._refuse(user_options, str(refused))
            chosen = select(offer, {})
            name = chosen.profile.display_name if chosen.profile else "the usual server"
            self.notice = f"Your last choice is no longer offered, so this is {name}. {refused}"
            self.log.warning("%s: %s", self._log_name, self.notice)
            return chosen

    def _refuse(self, user_options: Mapping[str, Any], message: str) -> None:
        audit("refused", reason=message, user=self.user.name, server=self.name)
        self._changes.undo()
        if user_options != self._allowed_options:
            self.user_options = self.orm_spawner.user_options = dict(self._allowed_options)
            self.user.db.commit()
        raise OptionsRefused(message)

    @property
    def chosen_settings(self) -> dict[str, Any]:
        """What this start has of its own, to be kept for as long as its server runs."""
        return self._changes.kept()

    def restore_choices(self, settings: Mapping[str, Any]) -> None:
        """Give a server that another run of the hub has started its settings back.

        What was chosen at its start holds until its end, also where something else is offered by now.
        """
        self._changes.undo()
        if lost := self._changes.restore({name: value for name, value in settings.items() if name not in FIXED}):
            self.log.warning("%s: its %s cannot be what it was chosen to be", self._log_name, ", ".join(lost))

    def clear_state(self) -> None:
        """Forget the last start's choice. JupyterHub calls this before each start."""
        super().clear_state()  # type: ignore[misc]
        self._changes.undo()
        self._profile_name = ""

    def get_state(self) -> dict[str, Any]:
        """The profile's name is shown to admins."""
        state: dict[str, Any] = super().get_state()
        if self._profile_name:
            state["profile"] = self._profile_name
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up what another run of the hub has kept."""
        super().load_state(state)  # type: ignore[misc]
        self._profile_name = str(state.get("profile", ""))

    # -- What is offered

    async def _offer(self, patience: float) -> Offer:
        """What this user may choose from, checked anew where the admin's callables decide."""
        try:
            written = await self._value_of("profile_list")
            groups = self._group_names
            read = self.read_profiles(written or [])
            profiles = [mine for one in read if (mine := one.offered_to(self.user.name, groups))]
            limits = await self._limits()
        except ProfileError as error:
            self.log.error("%s: nobody can choose from this: %s", self._log_name, error)  # noqa: TRY400 - it says where
            raise OptionsRefused("What may be chosen here is misconfigured. Please tell your administrator.") from None
        ceiling = await self._ceiling(patience) if limits or _have_limits(profiles) else {}
        return Offer(profiles, limits, ceiling, to_others=bool(read))

    async def _limits(self) -> dict[str, Limit]:
        read = {name: Limit.read(name, await self._value_of(f"{name}_choices")) for name in LABELS}
        return {name: limit for name, limit in read.items() if limit}

    async def _value_of(self, name: str) -> Any:
        setting = getattr(self, name)
        return await call_setting(name, setting, self, log=self.log) if callable(setting) else setting

    @property
    def _group_names(self) -> list[str]:
        return [group.name for group in self.user.groups]

    def _group_queue(self, otherwise: str) -> str:
        groups = self._group_names
        return next((queue for group, queue in self.group_queues.items() if group in groups), otherwise)

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
            self.log.exception("group_overrides are not written as JupyterHub wants them")
            raise failed("group_overrides", error) from None
        if hubs := sorted({name for override in mine.values() for name in override} & HUB_SETTINGS):
            message = (
                f"The hub's setting group_overrides changes {', '.join(hubs)}, which must be the same for all users."
            )
            self.log.error("%s: %s Set it for the whole hub", self._log_name, message)
            raise SettingFailed(message)
        return list(mine.items())

    async def _settings_of_groups(self, names: Sequence[str]) -> dict[str, Any]:
        """Settings as they will be at a start, before the user's choice; the spawner's own stay as they are."""
        settings = {name: getattr(self, name) for name in names}
        for _, override in await self._overrides_of_groups():
            settings.update({name: override[name] for name in names if name in override})
        return {**settings, "queue": self._group_queue(settings["queue"])}

    # -- What the cluster has

    async def _ceiling(self, patience: float, queue: str = "") -> dict[str, int]:
        """The most that one server can have; empty if YARN does not say so in time."""
        manager = self.resource_manager
        largest = await _in_time(manager.maximum_allocation(queue), patience) if queue else None
        largest = largest or await _in_time(manager.maximum_allocation(), patience)
        if largest is None:
            return {}
        beside = self.application_master_memory if self.server_container == "master" else 0
        gpus = {} if largest.gpus is None else {"gpus": largest.gpus}
        return {"mem_limit": max(0, largest.memory * 2**20 - beside), "cpu_limit": largest.vcores, **gpus}

    async def _queues_now(self, patience: float) -> list[Queue]:
        return list((await _in_time(self.resource_manager.queues(), patience) or {}).values())

    def _queue_of(self, template: str) -> str:
        try:
            return render_strict(template, template_fields(self.user, self.name))
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
