"""Amounts of memory as people write them."""

import pytest

from spatialrun.amounts import parse
from spatialrun.errors import UsageError


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("6GB", 6 * 10**9),
        ("512 MiB", 2**29),
        ("2e9", 2 * 10**9),
        ("1.5g", 1_500_000_000),
        ("7", 7),
        ("1kb", 1000),
    ],
)
def test_amounts_of_memory(text, size):
    assert parse(text) == size


@pytest.mark.parametrize("text", ["", "many", "-1GB", "0", "6 G B", "1PB", "nan", "1e"])
def test_what_is_no_amount_of_memory(text):
    with pytest.raises(UsageError, match="amount of memory"):
        parse(text)
