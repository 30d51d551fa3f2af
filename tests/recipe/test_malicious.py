"""Recipes that mean harm: each is refused with a coded error at a place, before anything of it is used."""

import pytest

from spatialrun.errors import RecipeErrors
from spatialrun.recipe import load

HEAD = "spatialrun: 1\nstore: x\nsamples: {a: p}\nsteps:\n"
STEP = "- uses: cluster.leiden\n"
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 30)
)
MERGES = "a0: &a0 {k: x}\n" + "".join(
    f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}, *a{n - 1}], k{n}: *a{n - 1}}}\n" for n in range(1, 30)
)

MALICIOUS = {
    "alias bomb": (BOMB, "recipe.limits"),
    "merge bomb": (MERGES, "recipe.limits"),
    "alias of itself": ("a: &a {b: *a}", "recipe.syntax"),
    "deep nesting": ("[" * 100_000, "recipe.limits"),
    "deep mappings": ("{a: " * 10_000, "recipe.limits"),
    "deep indentation": ("".join(f"{' ' * n}a:\n" for n in range(500)), "recipe.limits"),
    "many keys": ("\n".join(f"k{n}: 1" for n in range(60_000)), "recipe.limits"),
    "huge int": (HEAD + STEP + f"  with: {{seed: {'9' * 100_000}}}", "recipe.limits"),
    "huge hex": (HEAD + STEP + f"  with: {{seed: 0x{'f' * 100_000}}}", "recipe.limits"),
    "huge float": (HEAD + STEP + "  with: {seed: 1e999999}", "recipe.wrong-type"),
    "tag that calls": ("a: !!python/object/apply:os.system [id]", "recipe.syntax"),
    "tag that names": ("a: !!python/name:os.system ''", "recipe.syntax"),
    "tag of a module": ("a: !!python/module:os ''", "recipe.syntax"),
    "tag by its address": ("a: !<tag:yaml.org,2002:python/object/new:os.system> [id]", "recipe.syntax"),
    "tag by a handle": ("%TAG ! tag:yaml.org,2002:python/\n---\na: !name:os.system x", "recipe.syntax"),
    "tag of a key": ("!!python/name:os.system a: b", "recipe.syntax"),
    "binary": ("a: !!binary aGk=", "recipe.syntax"),
    "NUL byte": (HEAD + STEP + "  id: a\0b", "recipe.syntax"),
    "NUL escape": (HEAD + STEP + '  id: "a\\0b"', "recipe.syntax"),
    "half a character": (HEAD + STEP + '  id: "a\\ud800"', "recipe.syntax"),
    "sample out of its folder": (HEAD.replace("{a: p}", "{../a: p}") + STEP, "recipe.bad-name"),
    "sample of a device": (HEAD.replace("{a: p}", "{NUL: p}") + STEP, "recipe.bad-name"),
    "step out of its folder": (HEAD + STEP + "  id: ../../x", "recipe.bad-name"),
    "step with a backslash": (HEAD + STEP + "  id: a\\b", "recipe.bad-name"),
    "step with a line break": (HEAD + STEP + '  id: "a\\nb"', "recipe.bad-name"),
    "slot out of its folder": (HEAD + STEP + "  with: {key_added: ../../../x}", "recipe.bad-name"),
    "slot that is read elsewhere": (HEAD + STEP + "  with: {graph: ../../x}", "recipe.bad-name"),
    "slot through a default": ("defaults: {key_added: a/b}\n" + HEAD + STEP, "recipe.bad-name"),
    "slot through a matrix": (HEAD + STEP + "  matrix: {key_added: [a, /b]}", "recipe.bad-name"),
    "slot of a given name": (
        HEAD + "- uses: annotate.obs\n  with: {columns: {a: ../../b}}",
        "recipe.bad-name",
    ),
    "matrix explosion": (
        HEAD + STEP + f"  matrix: {{seed: &m [{', '.join(map(str, range(1, 5000)))}], resolution: *m}}",
        "recipe.limits",
    ),
    "profile name": (HEAD + STEP + "profiles: {../x: {}}", "recipe.bad-name"),
    "path with a line break": (HEAD.replace("p}", '"p\\nq"}') + STEP, "recipe.bad-name"),
    "include of a device": ("include: /dev/zero\n" + HEAD + STEP, "recipe.include"),
    "include from the net": ("include: http://evil/x.yaml\n" + HEAD + STEP, "recipe.include"),
    "include of secrets": ("include: link.yaml\n" + HEAD + STEP, "recipe.include"),
    "include of itself": ("include: r.yaml\n" + HEAD + STEP, "recipe.include"),
    "10 MB": ("# " + "x" * 10_000_000, "recipe.limits"),
    "10 MB on a line": ("a: [" + "x, " * 3_000_000 + "]", "recipe.limits"),
}


@pytest.mark.parametrize("name", MALICIOUS)
def test_refused(tmp_path, catalogue, name):
    text, code = MALICIOUS[name]
    (tmp_path / "secret.yaml").write_text("token: hunter2")
    lab = tmp_path / "lab"
    lab.mkdir()
    (lab / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    (lab / "r.yaml").write_text(text)
    with pytest.raises(RecipeErrors) as caught:
        load(lab / "r.yaml", environ={}, catalogue=catalogue)
    assert {problem.code for problem in caught.value.problems} == {code}
    assert "hunter2" not in str(caught.value)
    assert len(str(caught.value)) < 5000, "an error shows no more than its place"


def test_a_sound_recipe_is_not(tmp_path, catalogue):
    (tmp_path / "r.yaml").write_text(HEAD + STEP)
    assert load(tmp_path / "r.yaml", environ={}, catalogue=catalogue).complete


def test_variables_bring_in_nothing_odd(problem):
    text = HEAD.replace("{a: p}", "{a: '${P}'}") + STEP
    for value in ("a\0b", "a\nb", "a\udc80b"):
        assert problem(text, P=value).code == "recipe.bad-name"
