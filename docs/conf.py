"""The configuration of the documentation: ``sphinx-build -W --keep-going docs DIR`` builds it without a network."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final

import attrs
from sphinx.domains.python import PythonDomain
from sphinx.util import logging

import vinix_async
from vinix_async.cli.app import app as command

logger = logging.getLogger(__name__)

MODULES: Final = [
    importlib.import_module(f"vinix_async.{each.name}")
    for each in pkgutil.iter_modules(vinix_async.__path__)
    if not each.name.startswith("_") and each.name != "cli"
]
PUBLIC_MODULES: Final = [vinix_async, *(module for module in MODULES if hasattr(module, "__all__"))]

MADE_BY_USERS: Final = {"ApiKeyAuth", "Faults", "Limits", "RetryPolicy", "TokenAuth", "UserAuth"}
MADE_BY_THE_LIBRARY: Final = {"Accounts", "AccountSweep", "Callflows", "Clock", "MirrorRefresh", "Outage", "Pager"}
SHOWN: Final = {
    repr(vinix_async.RetryPolicy()): "RetryPolicy()",
    repr(vinix_async.Limits()): "Limits()",
    repr(vinix_async.VinixClient.from_env): "VinixClient.from_env",
    "<object object>": "...",
    ": Timeout": ": float | aiohttp.ClientTimeout",
    ": AccountIds": (
        ": collections.abc.Iterable[str | vinix_async.Account]"
        " | collections.abc.AsyncIterable[str | vinix_async.Account]"
    ),
}
"""How the signatures show defaults, and types that are imported by type checkers only."""

project = "vinix-async"
author = "the vinix-async developers"
project_copyright = f"2026 {author}"
version = release = vinix_async.__version__

extensions: Final = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
]
exclude_patterns: Final = ["_build"]
smartquotes = False  # quotes and dashes of a command that is pasted from the text must be those of the shell
nitpicky = True  # a reference to a name that does not exist is an error
nitpick_ignore_regex: Final = [
    ("py:class", r"(.*\.)?(T|D|ClientOptions|Document|Request)"),  # type variables, and private types of signatures
    ("py:class", r"(aioresponses|(dask|distributed|opentelemetry)\..*)"),  # their documentation has no inventory here
]

myst_enable_extensions: Final = ["colon_fence"]
myst_heading_anchors = 4

add_module_names = False
autodoc_default_options: Final = {"members": True, "member-order": "bysource"}
napoleon_numpy_docstring = False
napoleon_attr_annotations = True
napoleon_use_ivar = True  # attributes as a compact list
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True

# The inventories are those of Debian's packages python3.11-doc, python-attr-doc and python-aiohttp-doc.
intersphinx_mapping: Final = {
    name: (address, f"inventories/{name}.inv")
    for name, address in {
        "python": "https://docs.python.org/3",
        "aiohttp": "https://docs.aiohttp.org/en/stable",
        "attrs": "https://www.attrs.org/en/stable",
    }.items()
}

html_theme = "furo"
html_title = f"vinix-async {release}"
html_static_path: Final = ["_static"]
html_css_files: Final = ["site.css"]
html_copy_source = False
html_show_sphinx = False


def add_commands(_: Any, page: str, source: list[str]) -> None:
    """Append what the command says of itself to its reference, without the title and the table of contents."""
    if page == "command":
        text = command.generate_docs(output_format="markdown")
        text = text[text.index("**Commands**") :]
        # cyclopts repeats the command in front of a usage of ours.
        text = re.sub(r"^(vinix (.+)) \2 ", r"\1 ", text, flags=re.MULTILINE)
        source[0] += "\n" + re.sub(r"^Example: (.+)$", r"```console\n\1\n```", text, flags=re.MULTILINE)


def shorten_signature(
    _: Any, kind: str, name: str, value: Any, __: Any, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """Hide the signature where it says nothing: of what users do not create, and where the attributes are listed.

    A default such as ``RetryPolicy()`` is shown without all of its settings, and as ``...`` if leaving the argument out
    is not the same as any value.
    """
    short = name.rpartition(".")[2]
    text = value.__doc__ or ""
    is_listed = kind == "exception" or (attrs.has(value) and ("Attributes:" in text or hasattr(value, "extra")))
    if short in MADE_BY_THE_LIBRARY or (is_listed and short not in MADE_BY_USERS):
        return "", returned
    if short.startswith("vinix_"):  # a pytest fixture, whose arguments are other fixtures
        return "()", returned
    for text, shown in SHOWN.items():
        signature = signature and signature.replace(text, shown)
    return signature, returned


def shorten_types(*arguments: Any) -> None:
    """Show a type variable by its name. Napoleon, which has run before, writes it with its private module."""
    lines: list[str] = arguments[-1]
    lines[:] = [re.sub(r"\bvinix_async\._[a-z_.]+\.(?=[A-Z])", "", line) for line in lines]


def use_dashes(_: Any, page: Any) -> None:
    """Put a dash between an argument and its description. Sphinx relies on ``smartquotes`` for this."""
    for text in list(page.findall(lambda node: not node.children and node.astext() == " -- ")):
        text.parent.replace(text, type(text)(" \N{EN DASH} "))


def add_anchors(_: Any, env: Any) -> None:
    """Let ``[text](page.md#vinix_async.Name)`` link to a documented name. MyST knows the headings of a page alone."""
    for name, found in env.get_domain("py").objects.items():
        env.metadata[found.docname].setdefault("myst_slugs", {})[name] = (None, found.node_id, name)


def find_undocumented(_: Any, env: Any) -> None:
    """Warn of each public name, method and property that no page of the reference describes."""
    described = env.get_domain("py").objects
    for module in PUBLIC_MODULES:
        for name in public_names(module):
            if f"{module.__name__}.{name}" not in described:
                logger.warning("undocumented: %s.%s", module.__name__, name)


def public_names(module: ModuleType) -> Iterator[str]:
    """Yield the public names of a module, and ``Class.member`` for what each class adds to its base classes."""
    for name in module.__all__:
        value = getattr(module, name)
        if not name.startswith("_"):
            yield name
        if inspect.isclass(value):
            inherited = {member for base in value.__mro__[1:] for member in vars(base)}
            for member, each in vars(value).items():
                has_text = inspect.isroutine(each) or isinstance(each, property | classmethod)
                if has_text and not member.startswith("_") and member not in inherited:
                    yield f"{name}.{member}"


def setup(app: Any) -> None:
    """Register the hooks."""
    for field in PythonDomain.directives["class"].doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"
    app.connect("doctree-read", use_dashes)
    app.connect("env-updated", add_anchors)
    app.connect("env-check-consistency", find_undocumented)
    app.connect("source-read", add_commands)
    app.connect("autodoc-process-signature", shorten_signature)
    app.connect("autodoc-process-docstring", shorten_types, priority=900)
