"""A graph's picture as text: Mermaid and DOT, one node per step, labelled with what its tasks would do."""

from __future__ import annotations

from collections import Counter

from spatialrun.plan.plan import Plan


def mermaid(plan: Plan) -> str:
    """Return the steps of a plan as a Mermaid flow chart."""
    lines = ["flowchart TD"]
    for number, (step, label) in enumerate(_labels(plan).items()):
        uses, counts = label
        lines.append(f'    s{number}["{step}<br/><small>{uses}<br/>{counts}</small>"]')
    numbers = {step: number for number, step in enumerate(_labels(plan))}
    lines += [f"    s{numbers[a]} --> s{numbers[b]}" for a, b in _edges(plan)]
    return "\n".join(lines) + "\n"


def dot(plan: Plan) -> str:
    """Return the steps of a plan as a Graphviz graph."""
    lines = ["digraph recipe {", '    node [shape=box, fontname="sans-serif"];']
    for step, (uses, counts) in _labels(plan).items():
        lines.append(f'    "{step}" [label="{step}\\n{uses}\\n{counts}"];')
    lines += [f'    "{a}" -> "{b}";' for a, b in _edges(plan)]
    return "\n".join([*lines, "}"]) + "\n"


def _labels(plan: Plan) -> dict[str, tuple[str, str]]:
    counts: dict[str, Counter[str]] = {}
    uses: dict[str, str] = {}
    for planned in plan:
        id = planned.task.id
        uses[id.step] = planned.task.entry.uses
        counts.setdefault(id.step, Counter())[planned.decision.status] += 1
    return {
        step: (uses[step], ", ".join(f"{n} {status}" for status, n in counter.items()))
        for step, counter in counts.items()
    }


def _edges(plan: Plan) -> list[tuple[str, str]]:
    edges = dict.fromkeys(
        (producer.step, planned.task.id.step) for planned in plan for producer in planned.task.upstream
    )
    return list(edges)
