"""Settings of users' choices: profiles and limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jupyterhub.traitlets import Callable
from traitlets import Dict, HasTraits, List, TraitError, Unicode, Union, validate
from traitlets.config import Configurable

from yarnspawner.common.units import LABELS
from yarnspawner.options.kernel_profiles import read_kernel_limit, read_kernel_profiles
from yarnspawner.options.limits import Limit, ProfileError
from yarnspawner.options.profile_list import read_profiles
from yarnspawner.options.profiles import Profile
from yarnspawner.settings.hub import HubSettings

# No choice changes these: they define the hub's identity and its offer.
HUB_SETTINGS = frozenset(HubSettings.class_own_traits(config=True))
FIXED = HUB_SETTINGS | frozenset(
    "profile_list group_queues additional_profile_form_template_paths options_form options_from_form apply_user_options"
    " group_overrides auth_state_hook".split()
)

# Text that a user typed never becomes part of these: they are shell code, or select the account.
_NOT_FREE = frozenset("cmd epilogue hadoop_user prologue script_template".split())


def _choices(setting: str, example: str, *, number: bool) -> Union:
    range_help = (
        """A range is ``{"minimum": ..., "maximum": ...}``. It never exceeds the largest container that YARN allows, and
        without a maximum it ends there."""
        if number
        else "The values are templates with the fields of :attr:`application_name`."
    )
    return Union(
        [List(), Dict(), Callable()],
        config=True,
        help=f"""
        Values of :attr:`{setting}` that users can choose from: a list{" or a range" if number else ""}.

        {range_help}

        To offer different values to each user, set a callable that takes the spawner and returns the values or an
        awaitable. A profile's override can set other values for that profile, or None. Default: users have no choice.
        Example::

            c.YarnSpawner.{setting}_choices = {example}

        .. versionadded:: 1.0
        """,
    )


class ProfileSettings(Configurable):
    """Settings of users' choices."""

    profile_list = Union(
        [List(), Callable()],
        config=True,
        help="""
        Profiles that users can choose from.

        A list of dicts, or a callable that takes the spawner and returns such a list or an awaitable. The hub checks a user's
        choices at each start, from the form and from the REST API, and refuses what is not offered. The keys are
        KubeSpawner's:

        - ``display_name``: name that users see.
        - ``slug``: identifier in the REST API and in stored choices. Default: derived from the name.
        - ``description``: more information for users; plain text, or HTML as a ``markupsafe.Markup``.
        - ``default``: True for the preselected profile. Default: the first.
        - ``yarnspawner_override``: a dict of settings that the profile changes. A dict is merged into the setting's own value,
          and None removes a key. A callable takes the spawner and returns the value or an awaitable.
        - ``allowed_users``, ``allowed_groups``: users and groups that are offered the profile. Default: everyone.
        - ``profile_options``: a dict of options within the profile. Each has a ``display_name``, and

          - ``choices``: a dict of dicts with ``display_name``, ``default``, ``yarnspawner_override``,
            ``allowed_users`` and ``allowed_groups``;
          - ``unlisted_choice``: a dict that lets users type another value: ``enabled``, ``display_name``,
            ``display_name_in_choices``, ``validation_regex`` (which must match the whole text), ``validation_message``, and
            ``yarnspawner_override`` with ``{value}`` for the text.

        Default: no profiles. Example::

            c.YarnSpawner.profile_list = [
                {"display_name": "Small", "yarnspawner_override": {"mem_limit": "2 G"}},
                {
                    "display_name": "Large",
                    "description": "May have to wait",
                    "allowed_groups": ["analysts"],
                    "yarnspawner_override": {"mem_limit": "16 G", "cpu_limit": 4, "queue": "large"},
                },
            ]

        .. versionadded:: 1.0
        """,
    )

    additional_profile_form_template_paths = List(
        Unicode(),
        config=True,
        help="""
        Folders with Jinja templates for the options page.

        A ``form.html`` in one of them replaces yarnspawner's page. It can extend that page as ``yarnspawner/form.html``.
        Default: none. Example: ``["/etc/jupyterhub/templates"]``.

        .. versionadded:: 1.0
        """,
    )

    mem_limit_choices = _choices("mem_limit", '{"minimum": "1 G", "maximum": "16 G"}', number=True)
    cpu_limit_choices = _choices("cpu_limit", "[1, 2, 4]", number=True)
    gpus_choices = _choices("gpus", '{"maximum": 2}', number=True)
    queue_choices = _choices("queue", '["default", "root.users.{queue_username}"]', number=False)
    node_label_choices = _choices("node_label", '["", "gpu"]', number=False)

    group_queues = Union(
        [Dict(value_trait=Union([Unicode(), Callable()]), key_trait=Unicode()), Callable()],
        default_value={},
        config=True,
        help="""
        Queues for the members of the hub's groups; they replace :attr:`queue`.

        If a user is in several groups, the first one in this dict counts. The values are templates or callables, as for
        :attr:`queue`. A callable that takes the spawner can return the dict, or an awaitable. Profiles and users' choices
        override it. Default: no group has a queue. Example:
        ``{"analysts": "root.analysts", "students": "root.teaching.{queue_username}"}``.

        .. versionadded:: 1.0
        """,
    )

    kernel_profiles = List(
        Dict(),
        config=True,
        help="""
        Sizes of kernels that users can start in containers of their own.

        JupyterLab's launcher shows one entry for each profile, with its size in the name. Such a kernel runs in its own YARN
        container within the server's application, as the same user. A list of dicts with these keys:

        - ``memory``: memory of the container, in bytes or with a suffix, such as ``"8 G"``.
        - ``vcores``: YARN's virtual cores. Default: 1.
        - ``gpus``: number of GPUs. Default: 0.
        - ``node_label``: YARN node label expression. Default: the server's.
        - ``kernel``: name of the kernelspec to run. Default: ``python3``.
        - ``environment``: another Python environment for the kernel: an archive that YARN unpacks, or a folder that exists
          on every node. It must contain yarnspawner. Default: the server's environment.
        - ``display_name``: name in the launcher, without the size. Default: the kernelspec's.
        - ``warm_kernels``: number of spare containers that each server keeps ready for its next kernels of this size.
          Default: 0. The first such kernel makes the server request them. So users who open no such kernel hold nothing.
          A spare container uses the user's share of the queue like a kernel, until 30 minutes pass without a kernel for it.
        - ``slug``: identifier. Default: derived from the name and the size.
        - ``allowed_users``, ``allowed_groups``: users and groups that are offered the profile. Default: everyone.

        See `kernels.md` for what users see, and for the limits. Default: no profiles. Example::

            c.YarnSpawner.kernel_profiles = [
                {"memory": "8 G", "vcores": 4, "warm_kernels": 1},
                {"memory": "64 G", "vcores": 16, "allowed_groups": ["analysts"]},
            ]

        .. versionadded:: 1.0
        """,
    )

    kernel_limit = Dict(
        config=True,
        help="""
        Most kernels in containers that a server runs at the same time.

        A dict with ``containers``, their number, and ``memory``, their total size. The user's own server checks it, so it
        protects against mistakes. Only the limits of the queue bind a user who wants to exceed it. Default: no limit. Example:
        ``{"containers": 4, "memory": "64 G"}``.

        .. versionadded:: 1.0
        """,
    )

    @validate("kernel_profiles", "kernel_limit")
    def _validate_kernels(self, proposal: dict[str, Any]) -> object:
        read = read_kernel_profiles if proposal["trait"].name == "kernel_profiles" else read_kernel_limit
        try:
            read(proposal["value"])
        except ProfileError as error:
            raise TraitError(str(error)) from None
        return proposal["value"]

    @validate("profile_list")
    def _validate_profile_list(self, proposal: dict[str, Any]) -> object:
        if not callable(proposal["value"]):
            try:
                _check_values(self, profiles_of(type(self), proposal["value"]))
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


def profiles_of(settings_class: type[ProfileSettings], written: object) -> list[Profile]:
    """Return the profiles of a ``profile_list`` for a class of spawners.

    Args:
        settings_class: the spawner's class, which says which settings a profile may change.
        written: the setting's value, or what its callable returned.

    Raises:
        ProfileError: the list cannot be used.
    """
    overridable = settings_class.class_traits(config=True).keys() - FIXED
    return read_profiles(written, overridable, free=overridable - _NOT_FREE)


def _check_values(settings: HasTraits, profiles: Sequence[Profile]) -> None:
    """Check that each setting accepts the values that profiles and their choices have for it.

    The values of callables and what users type are checked at a start.

    Raises:
        ProfileError: a setting does not accept a value.
    """
    for index, profile in enumerate(profiles):
        where = f"profile_list[{index}]"
        _check_override(settings, where, profile.yarnspawner_override)
        for key, option in profile.profile_options.items():
            for slug, choice in option.choices.items():
                _check_override(settings, f"{where}, option {key!r}, choice {slug!r}", choice.yarnspawner_override)


def _check_override(settings: HasTraits, where: str, override: Mapping[str, Any]) -> None:
    for name, value in override.items():
        try:
            if not callable(value):
                _check_value(settings, name, value)
        except TraitError as error:
            raise ProfileError(f"{where}: {name}: {error}") from None


def _check_value(settings: HasTraits, name: str, value: Any) -> None:
    trait: Any = settings.traits()[name]
    if isinstance(value, Mapping):  # it is merged, and None removes a key
        value = {key: one for key, one in value.items() if one is not None}
    try:
        value = trait._validate(settings, value)  # noqa: SLF001 - the public methods also set the value
    except TraitError:
        # A start reads a number from a text as well.
        try:
            number = trait.from_string(value) if isinstance(value, str) else None
        except (TraitError, ValueError):
            number = None
        if number is None:
            raise
        value = trait._validate(settings, number)  # noqa: SLF001
    trait._cross_validate(settings, value)  # noqa: SLF001
