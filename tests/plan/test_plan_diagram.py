"""The graph as text, for Mermaid and Graphviz."""

import re
import subprocess
from dataclasses import replace
from shutil import which

import pytest
from lab import Lab

from spatialrun.plan.diagram import dot, mermaid
from spatialrun.plan.plan import Plan
from spatialrun.plan.task import TaskId

EDGES = [("read", "log"), ("read", "svg"), ("read", "chosen"), ("svg", "chosen")]


def strange(plan: Plan) -> Plan:
    """The same plan with a step whose name no recipe can have, but a plugin's program might."""

    def renamed(id: TaskId) -> TaskId:
        return TaskId('s"v<g', id.sample) if id.step == "svg" else id

    tasks = {}
    for id, planned in plan.tasks.items():
        inputs = tuple(replace(i, producer=renamed(i.producer)) for i in planned.task.inputs)
        task = replace(planned.task, id=renamed(id), inputs=inputs)
        tasks[task.id] = replace(planned, task=task)
    return replace(plan, tasks=tasks)


def test_mermaid_has_a_node_per_step_and_an_edge_per_flow(lab):
    first, *lines = mermaid(lab.plan()).splitlines()
    assert first == "flowchart TD"
    names = dict(re.findall(r'(s\d+)\["(\w+)<br/>', "\n".join(lines)))
    assert list(names.values()) == ["read", "log", "svg", "chosen"]
    edges = [(names[a], names[b]) for a, b in re.findall(r"(s\d+) --> (s\d+)", "\n".join(lines))]
    assert edges == EDGES


def test_nodes_are_labelled_with_step_type_and_what_is_to_be_done(lab, sections):
    lab.samples = {"a": sections["a"], "b": sections["b"]}
    plan = lab.plan()
    assert 'svg<br/><small>svg.spatialde<br/>2 pending</small>"' in mermaid(plan)
    assert '"svg" [label="svg\\nsvg.spatialde\\n2 pending"];' in dot(plan)
    assert mermaid(plan).count("-->") == len(EDGES)


def test_dot_has_a_node_per_step_and_an_edge_per_flow(lab):
    text = dot(lab.plan())
    assert re.findall(r'"(\w+)" -> "(\w+)";', text) == EDGES
    assert text.startswith("digraph recipe {")
    assert text.endswith("}\n")


def test_quotes_and_brackets_in_names_do_not_break_the_text(lab):
    plan = strange(lab.plan())
    assert "s#quot;v#lt;g<br/>" in mermaid(plan)
    assert '"s\\"v<g" [label="s\\"v<g\\n' in dot(plan)
    for line in mermaid(plan).splitlines():
        assert line.count('"') in (0, 2)


@pytest.mark.skipif(which("dot") is None, reason="Graphviz is not installed")
def test_graphviz_takes_it(lab: Lab):
    plan = strange(lab.plan())
    subprocess.run(["dot", "-Tsvg"], input=dot(plan), text=True, check=True, capture_output=True)
