"""What runs and plans say in a few words."""

import pytest

from spatialrun.plan.wording import because_words


@pytest.mark.parametrize(
    ("because", "said"), [("read p2", "read p2 failed"), ("interrupted", "the run was interrupted")]
)
def test_why_a_task_was_not_come_to(because, said):
    assert because_words(because) == said
