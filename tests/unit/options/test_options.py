"""What users choose, on the spawner's side: the page, what is posted, and what becomes of it at a start.

The users, groups and stored options are JupyterHub's own; see conftest.py.
"""

import json

import pytest
from traitlets import TraitError

from yarnspawner import YarnSpawner
from yarnspawner.launch.errors import OptionsRefused

GIB = 2**30

PROFILES = [
    {"display_name": "Small", "description": "To look <at> data", "yarnspawner_override": {"mem_limit": "1 G"}},
    {
        "display_name": "Spark",
        "yarnspawner_override": {"mem_limit": "4 G", "cpu_limit": 2, "queue": "busy", "environment": {"A": "1"}},
        "profile_options": {
            "version": {
                "display_name": "Version",
                "choices": {"3.4": {"display_name": "3.4"}, "3.5": {"display_name": "3.5", "default": True}},
                "unlisted_choice": {
                    "enabled": True,
                    "display_name": "Other version",
                    "validation_regex": r"\d\.\d",
                    "yarnspawner_override": {"environment": {"SPARK": "{value}"}, "cpu_limit": 3},
                },
            }
        },
    },
    {"display_name": "Large", "allowed_groups": ["analysts"], "yarnspawner_override": {"mem_limit": "7 G"}},
]


async def start(spawner, options=None):
    """What JupyterHub does with options before it calls start()."""
    if options is None:
        options = spawner.orm_spawner.user_options or {}
    else:
        spawner.orm_spawner.user_options = options
    spawner.user_options = options
    spawner.clear_state()
    await spawner.apply_group_overrides()
    await spawner._run_apply_user_options(options)


# -- At a start


async def test_choice_holds_for_one_start(spawner_of):
    """A choice changes the settings of one start, and the next start begins with the admin's settings."""
    spawner = spawner_of(profile_list=PROFILES, environment={"B": "2"})
    await start(spawner, {"profile": "spark", "version--unlisted-choice": "9.9"})
    assert (spawner.mem_limit, spawner.cpu_limit, spawner.queue) == (4 * GIB, 3, "busy")
    assert spawner.environment == {"A": "1", "B": "2", "SPARK": "9.9"}
    await start(spawner, {"profile": "small"})
    assert (spawner.mem_limit, spawner.cpu_limit, spawner.queue) == (GIB, 1, "default")
    assert spawner.environment == {"B": "2"}


async def test_choice_outlives_the_hub(spawner_of):
    """A running server keeps its choice on a new hub, whatever that offers; the next start has the admin's settings."""
    chosen = {
        "mem_limit": "4 G",
        "stop_timeout": 60,
        "environment": {"A": "1"},
        "port_range": (4000, 4009),
        "tags": ["x"],
    }
    before = spawner_of(profile_list=[{"display_name": "Spark", "yarnspawner_override": chosen}])
    await start(before, {"profile": "spark"})
    kept = json.loads(json.dumps(before.user_choices.chosen))

    after = spawner_of("bob", environment={"B": "2"})
    after.user_choices.restore(kept)
    assert (after.mem_limit, after.stop_timeout, after.port_range, after.tags) == (4 * GIB, 60, (4000, 4009), ["x"])
    assert after.environment == {"A": "1"}
    after.clear_state()
    assert (after.mem_limit, after.stop_timeout, after.environment) == (2 * GIB, 10, {"B": "2"})


async def test_stale_value_is_ignored(spawner_of):
    """A stored value that a setting no longer accepts is ignored, and the others are restored."""
    spawner = spawner_of()
    spawner.user_choices.restore({"stop_timeout": "soon", "gone_by_now": 1, "principal": "hdfs", "cpu_limit": 3})
    assert (spawner.stop_timeout, spawner.principal, spawner.cpu_limit) == (10, None, 3)


async def test_state_names_the_profile(spawner_of):
    """The server's state has the profile's name for admins, and the stored options do not change."""
    spawner = spawner_of(profile_list=PROFILES)
    await start(spawner, {"profile": "spark"})
    assert spawner.get_state()["profile"] == "Spark"
    await start(spawner, {})
    assert spawner.get_state()["profile"] == "Small"
    assert spawner.user_options == {"profile": "small"}
    assert spawner.orm_spawner.user_options == {}
    spawner.clear_state()
    assert "profile" not in spawner.get_state()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"profile": "large"}, "large"),
        ({"profile": "small", "mem_limit": "100 G"}, "mem_limit"),
        ({"keytab": "/etc/passwd"}, "keytab"),
        ({"profile": "spark", "version--unlisted-choice": "x"}, "Other version"),
    ],
)
async def test_what_is_refused_is_not_kept(spawner_of, options, named):
    """A refused choice changes neither the stored options nor the settings."""
    spawner = spawner_of(profile_list=PROFILES, stored={"profile": "spark"})
    for _ in range(2):
        with pytest.raises(OptionsRefused, match=named) as refused:
            await start(spawner, options)
        assert refused.value.status_code == 400
        assert refused.value.jupyterhub_message
        assert spawner.orm_spawner.user_options == {"profile": "spark"}
        assert (spawner.mem_limit, spawner.queue) == (2 * GIB, "default")
    await start(spawner)
    assert spawner.queue == "busy"


@pytest.mark.parametrize(
    "stored", [{"profile": "gone"}, {"profile": "small", "mem_limit": "2 G"}, {"profile": "large"}]
)
async def test_stale_choice_at_a_start(spawner_of, stored):
    """The default replaces a stored choice that is no longer offered, and a notice tells the user."""
    spawner = spawner_of(profile_list=PROFILES, stored=stored)
    await start(spawner)
    assert spawner.mem_limit == GIB
    assert spawner.user_choices.notice.startswith("Your last choice is no longer offered, so this is Small. ")
    await start(spawner, {"profile": "spark"})
    assert spawner.user_choices.notice == ""


async def test_default_to_fill_in(spawner_of):
    """A start without a choice is refused if the default is a text that the user must fill in."""
    unlisted = {"enabled": True, "display_name": "Cores", "yarnspawner_override": {"cpu_limit": "{value}"}}
    profiles = [{"display_name": "P", "profile_options": {"c": {"display_name": "C", "unlisted_choice": unlisted}}}]
    with pytest.raises(OptionsRefused, match="C: fill in Cores"):
        await start(spawner_of(profile_list=profiles, stored={"profile": "gone"}))


async def test_invalid_text_is_refused(spawner_of):
    """A text that is no valid value of the setting is refused, and the setting does not change."""
    unlisted = {"enabled": True, "display_name": "Cores", "yarnspawner_override": {"cpu_limit": "{value}"}}
    profiles = [{"display_name": "P", "profile_options": {"c": {"display_name": "C", "unlisted_choice": unlisted}}}]
    spawner = spawner_of(profile_list=profiles)
    await start(spawner, {"c--unlisted-choice": "3"})
    assert spawner.cpu_limit == 3
    with pytest.raises(OptionsRefused, match="cpu_limit"):
        await start(spawner, {"c--unlisted-choice": "three"})
    assert spawner.cpu_limit == 1


async def test_text_over_cluster_maximum(spawner_of):
    """A text that requests more than the cluster's maximum is refused."""
    unlisted = {"enabled": True, "display_name": "Cores", "yarnspawner_override": {"cpu_limit": "{value}"}}
    profiles = [{"display_name": "P", "profile_options": {"c": {"display_name": "C", "unlisted_choice": unlisted}}}]
    with pytest.raises(OptionsRefused, match="5 cores is more than the 4 cores that the cluster gives to one server"):
        await start(spawner_of(profile_list=profiles), {"c--unlisted-choice": "5"})


async def test_room_for_application_master(spawner_of):
    """The largest server leaves room for its application master, and a larger one is refused."""
    spawner = spawner_of(mem_limit_choices={"minimum": "1 G"})
    await start(spawner, {"mem_limit": "7.75 G"})
    assert spawner.mem_limit == 7 * GIB + 3 * GIB // 4
    with pytest.raises(OptionsRefused, match=r"8 GiB is more than the 7.75 GiB that the cluster gives to one server"):
        await start(spawner, {"mem_limit": "8 G"})


async def test_queue_with_smaller_maximum(spawner_of):
    """A queue can have a smaller maximum than the cluster, and a larger server is refused."""
    spawner = spawner_of(queue="small")
    with pytest.raises(OptionsRefused, match="2 GiB is more than the 768 MiB"):
        await start(spawner)


async def test_start_without_web_service(spawner_of):
    """A start does not need the ResourceManager's web service."""
    spawner = spawner_of(resource_manager_url="http://127.0.0.1:1", mem_limit_choices={"maximum": "64 G"})
    await start(spawner, {"mem_limit": "64 G"})
    assert spawner.mem_limit == 64 * GIB


async def test_options_without_choices(spawner_of):
    """If there is nothing to choose, the spawner passes on any options without a check."""
    spawner = spawner_of()
    assert spawner.options_form == ""
    await start(spawner, {"anything": ["x"]})
    assert await spawner.options_from_form({"anything": ["x"]}) == {"anything": ["x"]}


async def test_callable_override_values(spawner_of):
    """Values of an override can be functions and coroutines that get the spawner."""

    async def queue(spawner):
        return f"root.{spawner.user.name}"

    override = {"queue": queue, "cpu_limit": lambda spawner: spawner.cpu_limit + 1}
    spawner = spawner_of(profile_list=[{"display_name": "P", "yarnspawner_override": override}])
    await start(spawner, {})
    assert (spawner.queue, spawner.cpu_limit) == ("root.alice", 2)


# -- Who


async def test_profile_list_for_each_user(spawner_of):
    """A coroutine can make the profile list for each user."""

    async def profiles(spawner):
        return [{"display_name": f"For {spawner.user.name}"}]

    assert "For alice" in await spawner_of(profile_list=profiles).get_options_form()


async def test_lists_by_group(spawner_of):
    """Users of different groups see different profiles, and can start what they see."""
    analyst, intern = (
        spawner_of(name, [group], profile_list=PROFILES) for name, group in [("a", "analysts"), ("b", "interns")]
    )
    assert "Large" in await analyst.get_options_form()
    assert "Large" not in await intern.get_options_form()
    await start(analyst, {"profile": "large"})
    assert analyst.mem_limit == 7 * GIB


async def test_user_without_profiles(spawner_of):
    """A user to whom no profile is offered gets the admin's settings and cannot choose."""
    spawner = spawner_of(profile_list=PROFILES[2:])
    assert await spawner.get_options_form() == ""
    await start(spawner, {})
    assert spawner.mem_limit == 2 * GIB
    with pytest.raises(OptionsRefused, match=r"The profile large is not offered to you\."):
        await start(spawner, {"profile": "large"})
    with pytest.raises(OptionsRefused, match="There is no anything to choose"):
        await spawner.options_from_form({"anything": ["x"]})


async def test_group_queues(spawner_of):
    """A user's server runs in the queue of the user's group, and in the default queue without a group."""
    queues = {"analysts": "root.default", "interns": "busy"}
    spawner = spawner_of(groups=["interns"], group_queues=queues, profile_list=PROFILES[:2])
    await start(spawner, {"profile": "small"})
    assert spawner.queue == "busy"
    other = spawner_of("bob", group_queues=queues)
    await start(other)
    assert other.queue == "default"


async def test_choice_over_group_override(spawner_of):
    """JupyterHub's group overrides apply before the choice, so the choice wins."""
    overrides = {"one": {"groups": ["analysts"], "spawner_override": {"mem_limit": "3 G", "cpu_limit": 4}}}
    spawner = spawner_of(groups=["analysts"], group_overrides=overrides, profile_list=PROFILES)
    await start(spawner, {"profile": "small"})
    assert (spawner.mem_limit, spawner.cpu_limit) == (GIB, 4)


async def test_merged_group_overrides(spawner_of):
    """Of two groups' overrides, the one with the later key counts, and dictionaries are merged."""
    overrides = {
        "2": {"groups": ["interns"], "spawner_override": {"queue": "busy", "environment": {"A": "2", "B": None}}},
        "1": {"groups": ["analysts"], "spawner_override": {"queue": "small", "environment": {"A": "1", "D": "1"}}},
        "3": {"groups": ["others"], "spawner_override": {"queue": "closed"}},
    }

    async def overrides_of(spawner):
        return overrides

    groups = ["analysts", "interns", "staff"]
    first = spawner_of("a", groups, group_overrides=overrides, environment={"B": "0", "C": "0"})
    second = spawner_of("b", group_overrides=overrides_of, environment={"B": "0", "C": "0"})
    second.user.groups = list(first.user.groups)
    for spawner in (first, second):
        await start(spawner)
        assert spawner.queue == "busy"
        assert spawner.environment == {"A": "2", "C": "0", "D": "1"}


async def test_group_override_of_one_server(spawner_of):
    """A group's override holds until the server ends, also on a restarted hub that does not read groups again."""
    overrides = {"1": {"groups": ["analysts"], "spawner_override": {"stop_timeout": 60, "mem_limit": "3 G"}}}
    before = spawner_of(groups=["analysts"], group_overrides=overrides)
    await start(before)
    after = spawner_of("bob", group_overrides=overrides)
    after.user_choices.restore(json.loads(json.dumps(before.user_choices.chosen)))
    assert (after.stop_timeout, after.mem_limit) == (60, 3 * GIB)
    before.user.groups = []
    for spawner in (before, after):
        await start(spawner)
        assert (spawner.stop_timeout, spawner.mem_limit) == (10, 2 * GIB)


# -- What an admin may get wrong


@pytest.mark.parametrize(
    "settings",
    [
        {"profile_list": [{"display_name": "P", "yarnspawner_override": {"keytab": "x"}}]},
        {"profile_list": [{"display_name": "P", "yarnspawner_override": {"hub_id": "x"}}]},
        {"profile_list": [{"display_name": "P", "yarnspawner_override": {"mem_limt": "1 G"}}]},
        {"mem_limit_choices": {"maximum": "lots"}},
        {"queue_choices": {"minimum": 1}},
    ],
)
def test_invalid_configuration(settings):
    """A configuration with a mistake is refused when the spawner is created."""
    with pytest.raises(TraitError):
        YarnSpawner(**settings)


async def test_invalid_result_of_callable(spawner_of, caplog):
    """If the admin's function returns an invalid profile list, the user's message points to the administrator."""
    spawner = spawner_of(profile_list=lambda _spawner: [{"name": "P"}])
    with pytest.raises(OptionsRefused, match="Please tell your administrator"):
        await spawner.get_options_form()


# -- The page


async def test_page_describes_profiles(spawner_of):
    """The page shows each profile's description, size, queue and the queue's load."""
    page = await spawner_of(profile_list=PROFILES).get_options_form()
    assert "To look &lt;at&gt; data" in page
    assert "1 GiB, 1 core, queue default. The queue: 80 % free, no application waits" in page
    assert "4 GiB, 2 cores, queue busy. The queue: 20 % free, 3 applications wait" in page


async def test_page_shows_stopped_queue(spawner_of):
    """The page says that a stopped queue takes no new servers."""
    page = await spawner_of(queue="closed", cpu_limit_choices=[1, 2]).get_options_form()
    assert "The queue: stopped, takes no new servers" in page


async def test_page_does_not_wait_for_yarn(spawner_of):
    """The page shows the profiles even if YARN does not answer."""
    page = await spawner_of(resource_manager_url="http://127.0.0.1:1", profile_list=PROFILES).get_options_form()
    assert "4 GiB, 2 cores, queue busy" in page


def selected(page):
    """The values that are chosen beforehand."""
    tags = [tag for tag in page.replace("\n", " ").split("<") if tag.startswith(("input", "option"))]
    chosen = [tag for tag in tags if " checked" in tag or " selected" in tag]
    return [tag.split('value="')[1].split('"')[0] for tag in chosen]


async def test_default_is_preselected(spawner_of):
    """The page preselects the default profile and the default of its option."""
    page = await spawner_of(profile_list=PROFILES).get_options_form()
    assert selected(page) == ["small", "3.5"]


async def test_last_choice_is_preselected(spawner_of):
    """The page preselects the user's last choice."""
    spawner = spawner_of(profile_list=PROFILES, stored={"profile": "spark", "version": "3.4"})
    assert selected(await spawner.get_options_form()) == ["spark", "3.4"]


async def test_last_text_is_prefilled(spawner_of):
    """The page fills in the text that the user sent last."""
    spawner = spawner_of(profile_list=PROFILES, stored={"profile": "spark", "version--unlisted-choice": "3.1"})
    page = await spawner.get_options_form()
    assert selected(page) == ["spark", "unlisted-choice"]
    assert 'value="3.1"' in page


async def test_stale_choice_on_the_page(spawner_of):
    """The page does not preselect a last choice that is no longer offered, and says so."""
    page = await spawner_of(profile_list=PROFILES, stored={"profile": "large"}).get_options_form()
    assert selected(page)[0] == "small"
    assert "Your last choice is no longer offered. The profile large is not offered to you" in page


async def test_ranges_and_lists_of_numbers(spawner_of):
    """A number's field has its range, and a list leaves out what the cluster cannot give."""
    spawner = spawner_of(mem_limit_choices={"minimum": "512 M"}, cpu_limit_choices=[1, 2, 64])
    page = await spawner.get_options_form()
    assert 'name="mem_limit--gib"' in page
    assert 'min="0.5" max="7.75"' in " ".join(page.split())
    assert "2 cores" in page
    assert "64" not in page


async def test_page_applies_groups(spawner_of):
    """The page shows the queue and size that the user's groups get, and does not change the settings."""
    settings = {
        "profile_list": [*PROFILES[:1], {"display_name": "Usual"}],
        "group_queues": {"interns": "busy"},
        "group_overrides": {
            "1": {"groups": ["interns"], "spawner_override": {"mem_limit": "3 G", "cpu_limit": 2, "queue": "small"}},
            "2": {"groups": ["interns"], "spawner_override": {"cpu_limit": lambda _spawner: 4}},
        },
    }
    spawner = spawner_of(groups=["interns"], **settings)
    page = await spawner.get_options_form()
    assert "1 GiB, queue busy. The queue: 20 % free, 3 applications wait" in page
    assert "3 GiB, queue busy. The queue: 20 % free, 3 applications wait" in page
    assert (spawner.mem_limit, spawner.queue) == (2 * GIB, "default")
    assert "2 GiB, 1 core, queue default" in await spawner_of("bob", **settings).get_options_form()


async def test_queue_list_shows_load(spawner_of):
    """The list of queues shows the load of each known queue."""
    page = await spawner_of(queue_choices=["default", "busy", "elsewhere"], maximum_lifetime=5400).get_options_form()
    assert ">default: 80 % free, no application waits<" in page
    assert ">busy: 20 % free, 3 applications wait<" in page
    assert ">elsewhere<" in page
    assert "2 GiB, 1 core, ends after 1 h 30 min" in page


async def test_page_escapes_markup(spawner_of):
    """The page escapes markup in the texts of users and admins."""
    evil = '<script>alert(1)</script>"'
    profiles = [
        {"display_name": evil, "slug": "p", "profile_options": {"v": PROFILES[1]["profile_options"]["version"]}}
    ]
    spawner = spawner_of(profile_list=profiles, stored={"profile": evil})
    page = await spawner.get_options_form()
    assert "<script>alert" not in page


async def test_template_of_a_site(spawner_of, tmp_path):
    """A site's template can extend the page and set its variables."""
    (tmp_path / "form.html").write_text(
        '{% extends "yarnspawner/form.html" %}{% block notice %}{{ profile_list[0].slug }} by us{% endblock %}'
    )
    spawner = spawner_of(profile_list=PROFILES, additional_profile_form_template_paths=[str(tmp_path)])
    page = await spawner.get_options_form()
    assert "small by us" in page
    assert 'value="spark"' in page


KUBESPAWNERS = """
{% for profile in profile_list %}
{{ profile.slug }}{{ "*" if user_options.profile == profile.slug or not user_options.profile and profile.default }}
{% for key, option in profile.profile_options.items() %}
{{ option['choices'].keys() | join(" ") }}
{% if option['unlisted_choice']['enabled'] %}
{{ option['unlisted_choice']['display_name'] }}
{% endif %}
{% endfor %}
{% endfor %}
{{ user_options | tojson }}
"""


async def test_template_for_kubespawner(spawner_of, tmp_path):
    """A template that was written for KubeSpawner works with the same variables."""
    (tmp_path / "form.html").write_text(KUBESPAWNERS)
    version = PROFILES[1]["profile_options"]["version"]
    fixed = {"display_name": "Fixed", "choices": version["choices"]}
    settings = {
        "profile_list": [*PROFILES, {"display_name": "P", "profile_options": {"v": fixed}}],
        "additional_profile_form_template_paths": [str(tmp_path)],
    }
    page = (await spawner_of(**settings).get_options_form()).split("\n")
    assert [line for line in page if line.strip()] == [
        "small*",
        "spark",
        "3.4 3.5",
        "Other version",
        "p",
        "3.4 3.5",
        "{}",
    ]
    page = await spawner_of("bob", stored={"profile": "spark", "version": "3.4"}, **settings).get_options_form()
    assert "small\nspark*" in page
    assert '{"profile": "spark", "version": "3.4"}' in page


async def test_options_form_of_an_admin(spawner_of):
    """An admin's own options form replaces the page, and its options are read in the same way."""
    spawner = spawner_of(profile_list=PROFILES, options_form='<input name="profile">')
    assert await spawner.get_options_form() == '<input name="profile">'
    assert await spawner.options_from_form({"profile": ["small"]}) == {"profile": "small"}


# -- What is posted


async def test_posted_form_is_checked(spawner_of):
    """A posted form becomes options, and one that requests too much is refused."""
    spawner = spawner_of(profile_list=PROFILES, cpu_limit_choices={"maximum": 2})
    form = {"profile": ["spark"], "profile-option-spark--version": ["3.4"], "profile-option-spark--cpu_limit": ["2"]}
    options = await spawner.options_from_form(form)
    assert options == {"profile": "spark", "version": "3.4", "cpu_limit": "2"}
    assert json.dumps(options)
    form["profile-option-spark--cpu_limit"] = ["64"]
    with pytest.raises(OptionsRefused, match="64 cores is more than the 2 cores that you may have"):
        await spawner.options_from_form(form)


async def test_a_link_may_choose(spawner_of):
    """The query of a link can choose a profile and its options."""
    spawner = spawner_of(profile_list=PROFILES)
    assert await spawner.options_from_query({"profile": ["spark"], "version": ["3.4"]}) == {
        "profile": "spark",
        "version": "3.4",
    }
