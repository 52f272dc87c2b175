"""Generate the page of all findings from their rules: ``python docs/findings.py``."""

from pathlib import Path

from vinix_async.flows import RULES, Rule

PAGE = Path(__file__).parent / "findings.md"

GROUPS = {
    "R": "References",
    "J": "Jumps",
    "E": "Endings",
    "B": "Branches",
    "N": "Numbers",
    "P": "Patterns",
    "M": "Modules",
    "S": "Security",
}

HEAD = """# Findings

`vinix callflows check` and `vinix_async.flows.findings` look for these faults in the callflows of an account. If a code
has two severities, its section says which findings have the lower one. **error**: calls fail, or somebody else can make
them. **warning**: probably a mistake. **info**: worth knowing, and often intended. `select` and `ignore` take
codes or beginnings of codes: `R` stands for all references. A child of a module is a branch of the callflow; the
default branch is the child `_`. `vinix callflows check --explain E302` prints a section of this page.

`docs/findings.py` generates this page from `vinix_async.flows.RULES`. The sources are files of
[Kazoo](https://github.com/2600hz/kazoo).
"""


def page() -> str:
    """Return the page: a table of all codes, then each group with its rules."""
    parts = [HEAD, "| code | severity | finding |", "| --- | --- | --- |"]
    parts += [f"| [{rule.code}](#{anchor(rule)}) | {rule.severities} | {rule.title} |" for rule in RULES.values()]
    for letter, title in GROUPS.items():
        parts += ["", f"## {title}"]
        for rule in RULES.values():
            if rule.code.startswith(letter):
                parts += [
                    "",
                    f"### {rule.code} {rule.title}",
                    "",
                    f"{rule.severities.capitalize()}. {rule.explanation}",
                ]
                parts += ["", f"Source: {rule.source}."]
    return "\n".join(parts) + "\n"


def anchor(rule: Rule) -> str:
    """Return the anchor of a rule's heading, as GitHub makes it."""
    kept = "".join(letter for letter in f"{rule.code} {rule.title}".lower() if letter.isalnum() or letter in "-_ ")
    return kept.replace(" ", "-")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
