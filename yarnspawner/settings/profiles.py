"""What an admin sets of users' choices: the traits of profiles and limits."""

from __future__ import annotations

from typing import Any

from jupyterhub.traitlets import Callable
from traitlets import Dict, List, TraitError, Unicode, Union, validate
from traitlets.config import Configurable

from yarnspawner.options.limits import LABELS, Limit, ProfileError
from yarnspawner.options.profile_list import read_profiles
from yarnspawner.options.profiles import Profile
from yarnspawner.settings.hub import HubSettings

# What no choice changes: who the hub is, and what it offers.
HUB_SETTINGS = frozenset(HubSettings.class_own_traits(config=True))
FIXED = HUB_SETTINGS | frozenset(
    "profile_list group_queues additional_profile_form_template_paths options_form options_from_form apply_user_options"
    " group_overrides auth_state_hook".split()
)

# What a text that a user typed in never becomes a part of: shell, and the question as whom the server runs.
_NOT_FREE = frozenset("cmd epilogue hadoop_user prologue script_template".split())


def _choices(setting: str, example: str, *, number: bool) -> Union:
    range_help = (
        """
        or a range, ``{"minimum": ..., "maximum": ...}``. Without a maximum it ends at the largest container that YARN
        allows, and never goes beyond that."""
        if number
        else ". A template's fields are filled in as in the setting itself."
    )
    return Union(
        [List(), Dict(), Callable()],
        config=True,
        help=f"""
        What users may choose as their :attr:`{setting}`: a list of values{"," if number else ""}{range_help}

        A callable that is given the spawner and returns either of them, or an awaitable, decides for each user. A
        profile's override may set it for that profile, or to None. Default: nothing to choose. Example::

            c.YarnSpawner.{setting}_choices = {example}
        """,
    )


class ProfileSettings(Configurable):
    """The settings of users' choices."""

    profile_list = Union(
        [List(), Callable()],
        config=True,
        help="""
        The servers that users may choose from: a list of dicts, or a callable that is given the spawner and returns
        such a list, or an awaitable. The keys are KubeSpawner's:

        - ``display_name``: what users read.
        - ``slug``: what stands for it in the REST API and in users' stored choices. Default: made of the name.
        - ``description``: more for users to read; text, or HTML as a ``markupsafe.Markup``.
        - ``default``: True for the one that is chosen beforehand. Default: the first.
        - ``yarnspawner_override``: a dict of settings that it changes. A dict is merged into the setting's own, and
          None takes a key out; a callable is given the spawner and returns the value, or an awaitable.
        - ``allowed_users``, ``allowed_groups``: lists of who is offered it. Default: everybody.
        - ``profile_options``: a dict of options to choose within it; each has a ``display_name``, and

          - ``choices``: a dict of dicts with ``display_name``, ``default``, ``yarnspawner_override``,
            ``allowed_users`` and ``allowed_groups``;
          - ``unlisted_choice``: a dict that lets users type something else in: ``enabled``, ``display_name``,
            ``display_name_in_choices``, ``validation_regex`` (which the whole text must match),
            ``validation_message``, and ``yarnspawner_override`` with ``{value}`` in place of the text.

        What a user chooses is checked at each start, in the form and in the REST API alike: nobody gets what is not
        offered. Default: nothing to choose. Example::

            c.YarnSpawner.profile_list = [
                {"display_name": "Small", "yarnspawner_override": {"mem_limit": "2 G"}},
                {
                    "display_name": "Large",
                    "description": "May have to wait",
                    "allowed_groups": ["analysts"],
                    "yarnspawner_override": {"mem_limit": "16 G", "cpu_limit": 4, "queue": "large"},
                },
            ]
        """,
    )

    additional_profile_form_template_paths = List(
        Unicode(),
        config=True,
        help="""
        Folders with Jinja templates for the options page. A ``form.html`` in one of them is used instead of
        yarnspawner's own; it may extend that as ``yarnspawner/form.html``. Default: none. Example:
        ``["/etc/jupyterhub/templates"]``.
        """,
    )

    mem_limit_choices = _choices("mem_limit", '{"minimum": "1 G", "maximum": "16 G"}', number=True)
    cpu_limit_choices = _choices("cpu_limit", "[1, 2, 4]", number=True)
    gpus_choices = _choices("gpus", '{"maximum": 2}', number=True)
    queue_choices = _choices("queue", '["default", "root.users.{username}"]', number=False)
    node_label_choices = _choices("node_label", '["", "gpu"]', number=False)

    group_queues = Dict(
        value_trait=Unicode(),
        key_trait=Unicode(),
        config=True,
        help="""
        The queue of the members of a group, in place of :attr:`queue`: of a user's groups the first that is listed
        here counts. Templates as there. Profiles and users' choices come on top of it. Default: no group has one.
        Example: ``{"analysts": "root.analysts", "students": "root.teaching.{username}"}``.
        """,
    )

    @validate("profile_list")
    def _validate_profile_list(self, proposal: dict[str, Any]) -> object:
        if not callable(proposal["value"]):
            try:
                self.read_profiles(proposal["value"])
            except ProfileError as error:
                raise TraitError(str(error)) from None
        return proposal["value"]

    @validate(*(f"{name}_choices" for name in LABELS))
    def _validate_choices(self, proposal: dict[str, Any]) -> object:
        if not callable(proposal["value"]):
            try:
                Limit.read(proposal["trait"].name.removesuffix("_choices"), proposal["value"])
            except ProfileError as error:
                raise TraitError(str(error)) from None
        return proposal["value"]

    @classmethod
    def read_profiles(cls, written: object) -> list[Profile]:
        """The profiles of a ``profile_list`` for this class of spawners.

        Raises:
            ProfileError: it cannot be used.
        """
        overridable = cls.class_traits(config=True).keys() - FIXED
        return read_profiles(written, overridable, free=overridable - _NOT_FREE)
