"""What a package index, a newcomer and the workflows read is consistent."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import vinix_async

ROOT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
RELATIVE_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
TOP = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")


@pytest.mark.parametrize("page", TOP)
def test_every_relative_link_leads_to_a_file(page: str) -> None:
    links = RELATIVE_LINK.findall((ROOT / page).read_text(encoding="utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_map_of_the_code_has_every_package_and_module() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    code = Path(vinix_async.__file__).parent
    modules = [each.name for each in code.glob("*.py")]
    packages = [f"{each.parent.name}/" for each in code.glob("*/__init__.py")]
    assert len(modules + packages) > 10
    assert [name for name in modules + packages if f"| `vinix_async/{name}" not in text] == []


def test_links_can_be_read_where_the_pages_are_not_built() -> None:
    """Sphinx fills an empty text with the title of the page, and a repository's web page shows nothing."""
    pages = (ROOT / "docs").rglob("*.md")
    assert [
        page.name for page in pages if re.search(r"(?<!!)\[\]\(|\{(class|func|meth)\}`", page.read_text("utf-8"))
    ] == []


def test_the_description_on_a_package_index_has_no_relative_link() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert RELATIVE_LINK.search(text)
    for each in PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(each["pattern"], each["replacement"], text)
    assert RELATIVE_LINK.findall(text) == []
    assert "](https://" in text
    assert "tutorial" in text


def test_the_versions_of_python_are_the_same_everywhere() -> None:
    classifiers = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["project"]["classifiers"]))
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    matrix = re.search(r"^ +python: \[(.*)\]$", workflow, re.MULTILINE)
    assert matrix is not None
    assert classifiers == re.findall(r'"([\d.]+)"', matrix[1])
    assert PROJECT["project"]["requires-python"] == f">={classifiers[0]}"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"Python {classifiers[0]} to {classifiers[-1]}" in readme


def test_each_extra_is_tried_by_itself_and_described() -> None:
    trials = (ROOT / ".ci" / "try_extra.py").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    for extra in PROJECT["project"]["optional-dependencies"].keys() - {"test"}:
        assert f'    "{extra}": ' in trials
        assert f"| `{extra}` |" in page


def test_the_changelog_has_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", changelog, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert re.fullmatch(rf"\[{re.escape(vinix_async.__version__)}\] - \d{{4}}-\d\d-\d\d", headings[1])
