"""Amounts of memory and time as people write them."""

import pytest

from spatialrun.amounts import duration, parse, seconds
from spatialrun.errors import UsageError


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("6GB", 6 * 10**9),
        ("512 MiB", 2**29),
        ("2e9", 2 * 10**9),
        ("1.5g", 1_500_000_000),
        ("1000000", 10**6),
        ("7B", 7),
        ("1kb", 1000),
    ],
)
def test_amounts_of_memory(text, size):
    assert parse(text) == size


@pytest.mark.parametrize("text", ["", "many", "-1GB", "0", "6 G B", "1PB", "nan", "1e"])
def test_what_is_no_amount_of_memory(text):
    with pytest.raises(UsageError, match="amount of memory"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "meant"), [("6", "6GB"), ("0.5", "0.5GB"), (" 7 ", "7GB"), ("4096", "4096MB"), ("1e3", "1e3MB")]
)
def test_a_unit_that_was_forgotten(text, meant):
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert caught.value.what == f"{text.strip()} what? Write {meant}"


@pytest.mark.parametrize(
    ("text", "length"),
    [("90", 90.0), ("1.5", 1.5), ("90s", 90.0), ("2h", 7200.0), ("1h30m", 5400.0), ("1d", 86400.0)],
)
def test_durations(text, length):
    assert duration(text) == length
    assert seconds(text) == (length if text[-1].isalpha() else None)


@pytest.mark.parametrize("text", ["", "soon", "0", "-1", "0.5", "2x", "30m1h", "nan", "inf", "1e9"])
def test_what_is_no_duration(text):
    with pytest.raises(UsageError, match="is not a duration"):
        duration(text)
