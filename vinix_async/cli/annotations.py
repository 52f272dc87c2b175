"""Convert findings to workflow commands of GitHub Actions, and to SARIF 2.1.0."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from .. import __version__
from ..flows import RULES

_GITHUB: Final = {"error": "error", "warning": "warning", "info": "notice"}
_SARIF: Final = {"error": "error", "warning": "warning", "info": "note"}
_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"

Row = Mapping[str, Any]
"""A finding as ``check --output json`` prints it."""


def github(rows: Iterable[Row]) -> Iterator[str]:
    """Yield a workflow command for each finding. GitHub Actions then shows the finding at its line of the file.

    Source: docs.github.com, "Workflow commands for GitHub Actions"; the escapes are those of @actions/core.
    """
    for row in rows:
        place = {"file": row["file"], "line": row["line"], "title": f"{row['code']} {row['callflow_name']}"}
        properties = ",".join(f"{name}={_property(str(value))}" for name, value in place.items())
        message = f"{row['place']}: {row['message']}" if row["place"] else row["message"]
        yield f"::{_GITHUB[row['severity']]} {properties}::{_data(message)}\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def sarif(rows: Sequence[Row], *, complete: bool) -> dict[str, Any]:
    """Return a SARIF log. ``complete``: whether all accounts and callflows could be read."""
    codes = list(RULES)
    rules = [
        {
            "id": rule.code,
            "shortDescription": {"text": rule.title},
            "fullDescription": {"text": rule.explanation},
            "defaultConfiguration": {"level": _SARIF[rule.severity]},
        }
        for rule in RULES.values()
    ]
    results = [
        {
            "ruleId": row["code"],
            "ruleIndex": codes.index(row["code"]),
            "level": _SARIF[row["severity"]],
            "message": {"text": f"{row['callflow_name']}: {row['message']}"},
            "locations": [_location(row)],
            "partialFingerprints": {"finding/v1": _fingerprint(row)},
        }
        for row in rows
    ]
    run = {
        "tool": {"driver": {"name": "vinix", "version": __version__, "rules": rules}},
        "invocations": [{"executionSuccessful": complete}],
        "results": results,
    }
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _location(row: Row) -> dict[str, Any]:
    name = f"{row['account_id']}/{row['callflow_id']}{row['path']}"
    location: dict[str, Any] = {"logicalLocations": [{"fullyQualifiedName": name, "name": row["callflow_name"]}]}
    if row["file"]:
        path = Path(row["file"])
        uri = path.as_uri() if path.is_absolute() else quote(path.as_posix())
        location["physicalLocation"] = {"artifactLocation": {"uri": uri}, "region": {"startLine": row["line"]}}
    return location


def _fingerprint(row: Row) -> str:
    """Return a hash that identifies the finding. It does not depend on the line, the message or the severity."""
    parts = [row["code"], row["account_id"], row["callflow_id"], row["path"], row["related"]]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
