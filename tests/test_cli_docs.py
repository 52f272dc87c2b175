"""Every command of the README and of docs/ runs as it stands there.

A ``text`` block directly below a ``console`` block of one command is what it prints, where ``…`` stands for anything.
"""

import re
import shlex
import signal
import subprocess
from pathlib import Path

import pytest
from cli_support import Command, Done, environment
from fonts import needs_a_font

import vinix_async

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```console\n(.*?)^```$(?:\n+```text\n(.*?)^```$)?", re.DOTALL | re.MULTILINE)
BLOCKS = [
    (block.replace("&&\n    ", "&& ").splitlines(), text)  # a command may have several lines
    for page in PAGES
    for block, text in BLOCK.findall(page.read_text(encoding="utf-8"))
]
COMMANDS = list(dict.fromkeys(line for lines, _ in BLOCKS for line in lines))
PRINTED = [(lines, text) for lines, text in BLOCKS if text]
RUN = [line for line in COMMANDS if line.startswith("vinix ")]
# They fetch packages or build the site, which .ci/run does, or run an example, which test_examples.py does.
OTHERS = [line for line in COMMANDS if line not in RUN]


def in_a_shell(line: str, folder: Path) -> tuple[int, str, str]:
    with subprocess.Popen(  # noqa: S602  # the lines are for a shell
        line,
        shell=True,
        executable="/bin/bash",
        cwd=folder,
        env=environment(folder, COLUMNS="80"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        out, errors = process.communicate(timeout=60)
    return process.returncode, out, errors


def until_interrupted(line: str, folder: Path) -> tuple[int, str, str]:
    with Command(folder).started(*shlex.split(line)[1:]) as process:
        told = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, errors = process.stdout.read(), told + process.stderr.read()
    return process.wait(), out, errors


def in_this_process(line: str, folder: Path) -> tuple[int, str, str]:
    """Run commands of which each reads what the one before it prints."""
    done = Done((), 0, "", "")
    for command in line.split(" | "):
        name, *arguments = shlex.split(command)
        assert name == "vinix"
        done = Command(folder, COLUMNS="80")(*arguments, stdin=done.stdout)
    return done.returncode, done.stdout, done.stderr


def run(line: str, folder: Path) -> str:
    """Run a line, in this process if it needs no shell but for how it ends; what is wrong with it."""
    first, and_then, second = line.partition(" && ")
    if and_then:
        return run(first, folder) or run(second, folder)
    command, _, failing = line.partition(" || test $? = ")
    plain, _, file = command.partition(" > ")
    if line.startswith("vinix sandbox"):
        code, out, errors = until_interrupted(line, folder)
    elif re.search("[|&;<>$]", plain.replace(" | vinix ", "") + file):
        code, out, errors = in_a_shell(line, folder)
    else:
        code, out, errors = in_this_process(plain, folder)
        code -= int(failing or 0)
        if file:
            (folder / file).write_bytes(out.encode(errors="surrogateescape"))
            out = ""
    told = out or errors or any(folder.glob("*.*"))
    good = (
        code == (130 if line.startswith("vinix sandbox") else 0) and told and not re.search("Traceback|vinix: ", errors)
    )
    return "" if good else f"{line}: {code}\n{out}{errors}"


@pytest.mark.parametrize(
    "line", [pytest.param(line, marks=needs_a_font) if "--output png" in line else line for line in RUN]
)
def test_every_command_of_the_documents_runs(tmp_path: Path, line: str) -> None:
    assert run(line, tmp_path) == ""


@pytest.mark.parametrize(("lines", "text"), PRINTED)
def test_a_command_prints_what_the_page_shows(tmp_path: Path, lines: list[str], text: str) -> None:
    (line,) = lines
    _, out, _ = (in_a_shell if " && " in line else in_this_process)(line, tmp_path)
    assert re.fullmatch(re.escape(text.strip()).replace("…", ".*"), out.strip(), re.DOTALL), out


@pytest.mark.parametrize(
    "word",
    [
        *("accounts list", "callflows list", "callflows show", "callflows export", "report"),
        *("callflows trace", "callflows uses", "callflows check", "callflows diff"),
    ],
)
def test_every_command_has_a_line(word: str) -> None:
    assert any(f"vinix {word}" in line for line in RUN)


@pytest.mark.parametrize("line", OTHERS)
def test_a_line_that_is_not_run_is_one_of_four_kinds(line: str) -> None:
    assert re.search(
        r"pip install|sphinx-build -W --keep-going docs|python3 examples/\w+\.py|uvicorn --app-dir examples ", line
    )


def test_exit_codes_and_settings_are_those_of_the_code() -> None:
    from vinix_async.cli.exit_codes import ExitCode  # noqa: PLC0415  # only here
    from vinix_async.cli.settings import VARIABLES  # noqa: PLC0415  # only here

    codes = (ROOT / "docs" / "exit-codes.md").read_text()
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", codes, re.MULTILINE)] == sorted(ExitCode)
    text = (ROOT / "docs" / "environment.md").read_text()
    for name, variable in VARIABLES.items():
        assert f"`{variable}`" in text
        assert f"`{name}`" in text
    sources = "".join(each.read_text(encoding="utf-8") for each in Path(vinix_async.__file__).parent.rglob("*.py"))
    assert set(re.findall(r"\bVINIX_[A-Z_]+", sources)) == set(re.findall(r"\bVINIX_[A-Z_]+", text))


def test_every_command_is_in_the_table() -> None:
    from vinix_async.cli.app import app  # noqa: PLC0415  # only here

    names = re.findall(r"^#+ (vinix .+)$", app.generate_docs(output_format="markdown"), re.MULTILINE)
    rows = re.findall(r"^\| (`vinix .+`) \|", (ROOT / "docs" / "cli.md").read_text(), re.MULTILINE)
    groups = {name.rpartition(" ")[0] for name in names}
    in_the_table = set(re.findall(r"`(vinix [\w ]+)`", "".join(rows)))
    assert in_the_table >= set(names) - groups
    assert in_the_table <= set(names)
