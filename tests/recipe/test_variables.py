import pytest

from spatialrun.recipe.variables import VariableError, fill_variables

ENVIRON = {"DATA": "/d", "EMPTY": "", "_x1": "y"}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("plain $HOME {}", "plain $HOME {}"),
        ("${DATA}/a/${_x1}", "/d/a/y"),
        ("${DATA:-x}", "/d"),
        ("${NO:-x/y z}", "x/y z"),
        ("${NO:-}", ""),
        ("${EMPTY}", ""),
        ("${EMPTY:-x}", "x"),
        ("$${DATA}", "${DATA}"),
        ("$$${DATA}", "$${DATA}"),
    ],
)
def test_fill(text, filled):
    assert fill_variables(text, ENVIRON) == filled


@pytest.mark.parametrize("text", ["${NO}", "${", "${}", "${1}", "${a b}", "${NO-x}", "a${DATA"])
def test_refused(text):
    with pytest.raises(VariableError) as caught:
        fill_variables(text, ENVIRON)
    assert "${" in caught.value.hint


def test_values_are_not_filled_again():
    assert fill_variables("${A}", {"A": "${B}"}) == "${B}"
