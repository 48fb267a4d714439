"""What an admin writes in ``kernel_profiles`` and ``kernel_limit``."""

from __future__ import annotations

from typing import Any

import pytest

from yarnspawner.common.kernel_protocol import KernelSize
from yarnspawner.options.kernel_profiles import read_kernel_limit, read_kernel_profiles
from yarnspawner.options.limits import ProfileError


def test_profile_with_only_memory() -> None:
    """A profile needs only its memory, and the other values have defaults."""
    (profile,) = read_kernel_profiles([{"memory": "8 G"}])
    assert profile.size == KernelSize("python3-8-gb-1-core", "python3", "", 8192, 1)
    assert profile.audience.includes("anyone", ())


def test_profile_with_all_keys() -> None:
    """A profile has all values that the admin sets."""
    (profile,) = read_kernel_profiles(
        [
            {
                "display_name": "Torch",
                "memory": "1.5 G",
                "vcores": 4,
                "gpus": 2,
                "node_label": "gpu",
                "environment": "/opt/torch.tar.gz",
                "kernel": "torch",
                "warm_kernels": 1,
                "allowed_groups": ["analysts"],
            }
        ]
    )
    assert profile.size.warm == 1
    assert profile.size.text == "1.5 GB · 4 cores · 2 GPUs"
    assert profile.size.slug == "torch-1-5-gb-4-cores-2-gpus"
    assert profile.size.service == "kernel-torch-1-5-gb-4-cores-2-gpus"
    assert profile.size.own_environment
    assert (profile.node_label, profile.environment) == ("gpu", "/opt/torch.tar.gz")
    assert profile.audience.includes("alice", ["analysts"])
    assert not profile.audience.includes("bob", ["interns"])


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("8 G", "kernel_profiles is not a list: 8 G."),
        (["8 G"], "kernel_profiles[0] is not a dict: 8 G."),
        ([{"vcores": 1}], "kernel_profiles[0] has no memory."),
        ([{"memory": "much"}], 'kernel_profiles[0]: memory is not a size such as "4 G": much.'),
        ([{"memory": "1 G", "vcores": "many"}], "kernel_profiles[0]: vcores is not a whole number: many."),
        ([{"memory": "1 G", "warm_kernels": "-1"}], "kernel_profiles[0]: warm_kernels is not a whole number: -1."),
        ([{"memory": "1 G", "vcores": 0}], "kernel_profiles[0]: vcores is 0."),
        ([{"memory": "1 G", "cores": 2}], "kernel_profiles[0]: there is no key cores."),
        ([{"memory": "1 G", "kernel": 3}], "kernel_profiles[0]: kernel is not a line of text: 3."),
        ([{"memory": "1 G", "slug": "A B"}], "the slug A B is not made of small letters, digits and '-'."),
        ([{"memory": "1 G"}, {"memory": "1 G"}], "two profiles have the slug 'python3-1-gb-1-core'"),
        ([{"memory": "1 G", "allowed_users": "alice"}], "kernel_profiles[0]: allowed_users is not a list of names"),
    ],
)
def test_errors_say_where_they_are(written: Any, message: str) -> None:
    """The error about a profile says which profile and which key is wrong."""
    with pytest.raises(ProfileError) as raised:
        read_kernel_profiles(written)
    assert message in str(raised.value)


def test_limits() -> None:
    """A kernel limit has a number of containers and an amount of memory, and invalid limits are refused."""
    assert read_kernel_limit({}) == (0, 0)
    assert read_kernel_limit({"containers": 4, "memory": "64 G"}) == (4, 65536)
    for wrong in (4, {"cores": 3}, {"memory": "much"}):
        with pytest.raises(ProfileError, match="kernel_limit"):
            read_kernel_limit(wrong)
