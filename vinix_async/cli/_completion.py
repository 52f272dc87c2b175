"""``vinix completion``: what makes a shell complete the command."""

from typing import Literal

from ._output import write_data


def completion(shell: Literal["bash", "zsh", "fish"]) -> None:
    """Print the completion script of a shell.

    Parameters
    ----------
    shell
        Whose; bash reads it by `source <(vinix completion bash)`.
    """
    from ._app import app  # noqa: PLC0415  # which imports this module by its name

    write_data(app.generate_completion(shell=shell).encode(), escape=str)
