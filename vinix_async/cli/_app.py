"""The commands by name, and how a command line ends. What a command needs is imported when it runs."""

from collections.abc import Sequence

from cyclopts import App, CycloptsError

from .. import __version__
from ._errors import CommandError, ExitCode, UsageError, explain
from ._output import discard_stdout, note

app = App(
    name="vinix",
    help="Callflows of the Vinix telephony API. `vinix demo` shows it without an account.",
    help_format="plaintext",  # Markdown would take as long to import as all the rest
    version=__version__,
    result_action="return_value",
)
_HERE = "vinix_async.cli"
app.command(f"{_HERE}._demo:demo", name="demo", help="See it run: a few synthetic accounts in an embedded sandbox.")
app.command(f"{_HERE}._accounts:accounts", name="accounts", help="The accounts below an account.")
app.command(f"{_HERE}._callflows:callflows", name="callflows", help="List, show and export callflows.")
app.command(f"{_HERE}._callflows:report", name="report", help="Write one HTML page about many accounts.")
app.command(f"{_HERE}._auth:auth", name="auth", help="Keep credentials, and try them.")
app.command(f"{_HERE}._sandbox:serve", name="sandbox", help="Run a sandbox server until Ctrl-C.")
app.command(f"{_HERE}._completion:completion", name="completion", help="Print a shell's completion script.")


def run(arguments: Sequence[str]) -> int:
    """Run one command line; the exit code."""
    try:
        code = app(list(arguments), exit_on_error=False, print_error=True)
    except CycloptsError:
        return ExitCode.USAGE
    except KeyboardInterrupt:
        note("interrupted")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        discard_stdout()
        return ExitCode.READER_GONE
    except Exception as error:  # noqa: BLE001  # what nobody expects is raised again
        return _failed(error)
    return code if isinstance(code, int) else ExitCode.OK


def _failed(error: Exception) -> int:
    from .. import VinixError  # noqa: PLC0415  # --help does without

    if isinstance(error, VinixError):
        return explain(error)
    if not isinstance(error, UsageError | CommandError | OSError):
        raise error
    note(f"vinix: {error}")
    return ExitCode.USAGE if isinstance(error, UsageError) else ExitCode.ERROR
