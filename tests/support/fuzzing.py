"""How many inputs a fuzz test gets, and what they are made of.

`pytest --hypothesis-profile full` gives each ten thousand; so does `scripts/test --full`.
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

# Anything that JSON can say, with the numbers and texts that programs trip over.
TRAPS: list[Any] = [
    "",
    "{0.__class__}",
    "{username}",
    "{{}}",
    "$(id)`id`",
    "'\"",
    "\x00",
    "\ud800",
    "\u202e",
    "a\r\nb",
    "1e999",
    "__class__",
    "۴",
    2**63,
    -1,
    10**400,
    10**4000,
    1e308,
    float("nan"),
    float("inf"),
    True,
]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40) | st.sampled_from(TRAPS)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
)


def many(examples: int = 200) -> Any:
    """So many inputs in the fast tier, ten thousand in the full one, and a tenth for a mutant.

    On a busy machine one input has taken 32 s to make, so no time of Hypothesis is a limit.
    """
    full = settings.default.max_examples if settings.default is not None else 0
    number = examples // 10 if "YARNSPAWNER_MUTANT" in os.environ else max(examples, full)
    return settings(max_examples=number, deadline=None, suppress_health_check=[HealthCheck.too_slow])
