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


def test_a_relative_path_in_a_variable_is_relative_to_where_one_is(tmp_path, monkeypatch):
    """``DATA=outs spatialrun apply recipes/r.yaml``: a shell completes ``outs`` here, not in ``recipes``."""
    monkeypatch.chdir(tmp_path)
    environ = {"DATA": "outs/../a", "URL": "s3://b/c", "HERE": "~/x", "PART": "p1"}
    assert fill_variables("${DATA}/b", environ) == f"{tmp_path}/a/b"
    assert fill_variables("${DATA:-x}", environ) == f"{tmp_path}/a"
    assert fill_variables("${NO:-x}", environ) == "x", "what the recipe says is the recipe's"
    assert fill_variables("data/${PART}", environ) == "data/p1"
    assert fill_variables("${URL}/d", environ) == "s3://b/c/d"
    assert fill_variables("${HERE}", environ) == "~/x"


def test_values_are_not_filled_again():
    assert fill_variables("${A}", {"A": "${B}"}) == "${B}"
