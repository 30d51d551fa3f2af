"""A graph's picture as text: Mermaid and DOT, one node per step, labelled with what its tasks would do."""

from __future__ import annotations

from collections import Counter

from spatialrun.plan.plan import Plan


def mermaid(plan: Plan) -> str:
    """Return the steps of a plan as a Mermaid flow chart."""
    lines = ["flowchart TD"]
    for number, (step, label) in enumerate(_labels(plan).items()):
        name, uses, counts = map(_entities, (step, *label))
        lines.append(f'    s{number}["{name}<br/><small>{uses}<br/>{counts}</small>"]')
    numbers = {step: number for number, step in enumerate(_labels(plan))}
    lines += [f"    s{numbers[a]} --> s{numbers[b]}" for a, b in _edges(plan)]
    return "\n".join(lines) + "\n"


def dot(plan: Plan) -> str:
    """Return the steps of a plan as a Graphviz graph."""
    lines = ["digraph recipe {", '    node [shape=box, fontname="sans-serif"];']
    for step, label in _labels(plan).items():
        name, uses, counts = map(_escaped, (step, *label))
        lines.append(f'    "{name}" [label="{name}\\n{uses}\\n{counts}"];')
    lines += [f'    "{_escaped(a)}" -> "{_escaped(b)}";' for a, b in _edges(plan)]
    return "\n".join([*lines, "}"]) + "\n"


def _entities(text: str) -> str:
    """Escape a text as Mermaid wants it."""
    for character, name in (("#", "35"), ('"', "quot"), ("<", "lt"), (">", "gt")):
        text = text.replace(character, f"#{name};")
    return text


def _escaped(text: str) -> str:
    """Escape a text as Graphviz wants it."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


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
