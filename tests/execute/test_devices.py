"""What a task's process sees of the devices; none of these is there."""

from dataclasses import replace

import pytest
from test_execute_parts import SPEC

from spatialrun.errors import TaskError
from spatialrun.execute.devices import variables

VISIBLE = "CUDA_VISIBLE_DEVICES"


@pytest.fixture
def seen(monkeypatch):
    """A function that returns what CUDA is told of a device, where this process may see some devices."""

    def seen(device: str, visible: str | None) -> str | None:
        if visible is None:
            monkeypatch.delenv(VISIBLE, raising=False)
        else:
            monkeypatch.setenv(VISIBLE, visible)
        return variables(replace(SPEC, uses="domains.deepst", device=device)).get(VISIBLE)

    return seen


@pytest.mark.parametrize(
    ("device", "visible", "told"),
    [
        ("cpu", "2", ""),
        ("mps", None, None),
        ("cuda", "2", None),
        ("cuda:1", None, "1"),
        ("cuda:0", "2", "2"),
        ("cuda:1", "5, GPU-7", "GPU-7"),
        ("cuda:0", "0,-1,1", "0"),
    ],
)
def test_a_number_counts_among_those_that_this_process_may_see(seen, device, visible, told):
    assert seen(device, visible) == told


@pytest.mark.parametrize(
    ("device", "visible", "said"),
    [
        ("cuda:1", "2", "CUDA_VISIBLE_DEVICES=2 shows cuda:0 alone"),
        ("cuda:3", "4,5,6", "CUDA_VISIBLE_DEVICES=4,5,6 shows cuda:0 to cuda:2 alone"),
        ("cuda:0", "", "CUDA_VISIBLE_DEVICES= shows none"),
        ("cuda:0", "-1", "CUDA_VISIBLE_DEVICES=-1 shows none"),
        ("cuda:1", "0,-1,1", "CUDA_VISIBLE_DEVICES=0,-1,1 shows cuda:0 alone"),
    ],
)
def test_one_beyond_these_belongs_to_others(seen, device, visible, said):
    with pytest.raises(TaskError) as raised:
        seen(device, visible)
    assert raised.value.code == "task.device-missing"
    assert raised.value.what == f"domains.deepst is to run on {device}, and {said}"
