"""Write the trace of a call as the text of a Mermaid flowchart."""

from ...flows import TraceNode
from .mermaid import label_text


def trace_chart(head: str, tree: TraceNode) -> str:
    """Return the flowchart. ``head`` is the text of the first box."""
    lines = ["flowchart TD", f'  n0(["{label_text(head)}"])']
    path = [0]
    for index, (depth, step) in enumerate(tree.walk(), 1):
        label = f'|"{label_text(", ".join(step.words))}"|' if step.words else ""
        text = step.label or "the call is cut off"
        lines += [
            f'  n{index}["{label_text(f"{text} ({step.ending})" if step.ending and step.label else text)}"]',
            f"  n{path[depth]} -->{label} n{index}",
        ]
        path[depth + 1 :] = [index]
    return "\n".join(lines) + "\n"
