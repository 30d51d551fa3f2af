from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spatialrun.methods.selection import combine

MASK = st.lists(st.booleans(), min_size=5, max_size=5)
MASKS = st.lists(MASK, max_size=3)


@given(all_of=MASKS, any_of=MASKS, none_of=MASKS)
def test_as_the_words_say(
    all_of: list[list[bool]], any_of: list[list[bool]], none_of: list[list[bool]]
) -> None:
    lists = {"all_of": all_of, "any_of": any_of, "none_of": none_of}
    found = combine(5, **{name: [np.array(mask) for mask in masks] for name, masks in lists.items()})
    for i in range(5):
        wanted = (
            all(mask[i] for mask in all_of)
            and (not any_of or any(mask[i] for mask in any_of))
            and not any(mask[i] for mask in none_of)
        )
        assert found[i] == wanted


def test_masks_are_left_as_they_are() -> None:
    mask = np.array([True, True])
    combine(2, all_of=[mask], none_of=[np.array([True, False])])
    assert mask.all()
