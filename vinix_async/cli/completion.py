"""``vinix completion`` prints the script with which a shell completes the command."""

from typing import Annotated, Literal

from cyclopts import Parameter

from .console import write_data


def completion(shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(help="The shell.")], /) -> None:
    """Print the completion script for a shell.

    Bash reads it with `source <(vinix completion bash)`.
    """
    from .app import app  # noqa: PLC0415  # app imports this module by its name

    write_data(app.generate_completion(shell=shell).encode(), escape=str)
