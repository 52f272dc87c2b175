"""Draw the pictures of this folder from the sandbox; needs Chromium, its driver and Liberation Sans."""

import argparse
import re
import sys
import tempfile
from io import StringIO
from pathlib import Path

from rich.console import Console

from vinix_async import Account, Callflow, PermissionDeniedError, structure
from vinix_async.cli.drawing.diagram import diagram
from vinix_async.cli.drawing.page import account_block, callflow_page, report
from vinix_async.cli.drawing.svg import svg
from vinix_async.cli.drawing.tree import tree
from vinix_async.flows import names_of
from vinix_async.sandbox import Sandbox

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent / "tests"))

from webdriver import Browser  # noqa: E402  # the tests' browser

COMPANIES = ("Sandbox Telecom", "Cedar Garage", "Elm Music", "Fjord Optics", "Harbour Foods", "Linden Works")


def main() -> None:
    """Write every picture."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    sandbox = Sandbox(accounts=len(COMPANIES) - 1, callflows=40, findings=True)
    accounts = [Account(id=each, name=name) for each, name in zip(sandbox.account_ids, COMPANIES, strict=True)]
    flows = {
        account.id: tuple(
            structure(sandbox.document(account.id, each), Callflow) for each in sandbox.callflow_ids(account.id)
        )
        for account in accounts
    }
    root, shut = sandbox.root_id, accounts[1]
    after_hours = next(flow for flow in flows[root] if flow.name == "After hours")
    (DOCS / "flow.svg").write_text(svg(after_hours), encoding="utf-8")
    (DOCS / "tree.svg").write_text(terminal(after_hours), encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        refused = PermissionDeniedError("forbidden", status=403, request_id="5d41402abc4b2a76", attempts=1)
        retry = "vinix report --resume report.html.checkpoint"
        blocks = [account_block(account, flows[account.id]) for account in accounts if account is not shut]
        blocks.append(account_block(shut, complete=False, error=refused, retry=retry))
        path.write_text("".join(report("Sandbox Telecom", blocks, complete=True)), encoding="utf-8")
        page = Path(folder) / "page.html"
        page.write_text(callflow_page(after_hours, names_of([after_hours])), encoding="utf-8")
        group = next(place for place, box in enumerate(diagram(after_hours)) if box.module == "ring_group")
        with Browser() as browser:
            for name, source, fragment, size, dark in (
                ("report-light", path, "", (1200, 720), False),
                ("report-details", path, f"#{root}/{after_hours.id}/{group}", (1440, 860), False),
                ("report-dark", path, f"#{shut.id}", (1200, 720), True),
                ("report-phone", path, f"#{root}/{after_hours.id}", (390, 844), False),
                ("page-dark", page, "", (1200, 720), True),
            ):
                browser.look(*size, dark=dark)
                browser.open(source, fragment)
                (DOCS / f"{name}.png").write_bytes(browser.picture())


def terminal(flow: Callflow) -> str:
    """Return the tree as a terminal shows it, in the fonts of whoever looks at it."""
    console = Console(record=True, width=72, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print(tree(flow))
    picture = console.export_svg(title="a callflow, as a tree", unique_id="tree")
    return re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL).replace("Fira Code,", "")


if __name__ == "__main__":
    main()
