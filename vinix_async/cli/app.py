"""Define the commands of ``vinix``, and run a command line.

Most commands are registered by an import path, such as ``sandbox:demo``. The module of such a command is imported when
a command line names the command. Therefore ``vinix --help`` does not import the client. The library itself imports a
public name when the name is first used. Therefore modules do not import names such as ``VinixClient``, whose import is
slow, but write ``vinix_async.VinixClient``.
"""

from collections.abc import Sequence
from typing import Annotated, Final, Literal, get_args, get_origin

from cyclopts import (
    App,
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    Parameter,
    UnusedCliTokensError,
    ValidationError,
)

from .. import __version__
from .console import PipeConsole, discard_unwritten, note, open_missing_streams, write_data
from .exit_codes import ExitCode, report_error

app: App = App(
    name="vinix",
    help="Read the callflows of the Vinix telephony API. `vinix demo` works without an account.",
    help_format="plaintext",  # importing the Markdown renderer would double the start-up time
    version=__version__,
    result_action="return_value",
    suppress_keyboard_interrupt=False,  # run() reports the interrupt
    console=PipeConsole(),
)
for _path, _name, _text in (
    ("sandbox:demo", "demo", "List a few synthetic accounts from an embedded sandbox."),
    ("accounts:accounts", "accounts", "List the accounts below an account."),
    ("callflows:callflows", "callflows", "List, show, export, trace, check and compare callflows."),
    ("mirror:mirror", "mirror", "Keep a copy of callflows and their history in a database."),
    ("auth:auth", "auth", "Store and check credentials."),
    ("sandbox:sandbox", "sandbox", "Run a sandbox server until Ctrl-C."),
):
    app.command(f"vinix_async.cli.{_path}", name=_name, help=_text)
app.command(
    "vinix_async.cli.report:report",
    name="report",
    help="Write one HTML page about the callflows of many accounts.",
    usage="Usage: vinix report [OPTIONS] [ACCOUNT]...",
)


@app.command
def completion(shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(help="The shell.")], /) -> None:
    """Print the completion script for a shell.

    In Bash, run `source <(vinix completion bash)`.
    """
    _have_plain_help(app)
    write_data(app.generate_completion(shell=shell).encode(), escape=str)


def _have_plain_help(group: App) -> None:
    """Set the help format of all commands to that of ``app``.

    When cyclopts writes a completion script, it ignores the format that a command inherits.
    """
    for name in group:
        if not name.startswith("-"):
            group[name].help_format = app.help_format
            _have_plain_help(group[name])


_KINDS: Final[dict[object, str]] = {int: "a whole number", float: "a number"}


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    try:
        open_missing_streams()
        code = app(list(arguments), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        note(f"vinix: {_wrong_arguments(error)}")
        return ExitCode.USAGE
    except KeyboardInterrupt:
        note("interrupted")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        return ExitCode.READER_GONE
    except Exception as error:  # noqa: BLE001  # report_error raises unexpected errors again
        return report_error(error)
    finally:
        discard_unwritten()
    return code if isinstance(code, int) else ExitCode.OK


def _wrong_arguments(error: CycloptsError) -> str:
    """Return what is wrong with the command line, in the style of the command's other messages."""
    error.verbose = False
    argument = error.argument
    name = next((token.keyword for token in argument.tokens if token.keyword), argument.name) if argument else ""
    if isinstance(error, MissingArgumentError):
        return f"{error.keyword} needs a value" if error.keyword else f"{name} is required"
    if isinstance(error, ValidationError):
        return f"{name} {error.exception_message}"
    if isinstance(error, CoercionError) and error.token:
        name = error.token.keyword or name
        if get_origin(error.target_type) is Literal:
            return f"{name} must be one of {', '.join(get_args(error.target_type))}, not {error.token.value!r}"
        if error.target_type in _KINDS:
            return f"{name} must be {_KINDS[error.target_type]}, not {error.token.value!r}"
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        return f"unexpected argument {error.unused_tokens[0]!r}"
    message = str(error).removesuffix(".")
    return message[:1].lower() + message[1:]
