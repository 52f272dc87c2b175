"""Where the address and the credentials come from, and that a secret stays where it belongs."""

import asyncio
import errno
import json
import os
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keyring
import pytest
from cli_support import Command, served, variables
from keyring.backend import KeyringBackend
from keyring.backends import fail
from simulated import SimulatedServer, virtual

from vinix_async import ServerError, TokenAuth
from vinix_async.cli import auth
from vinix_async.cli.connection import Server
from vinix_async.sandbox import Sandbox


class Ring(KeyringBackend):
    """A keyring in memory."""

    priority = 1.0

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # keyring's
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password


@pytest.fixture(autouse=True)
def no_keyring() -> Iterator[None]:
    """As on a machine without a desktop."""
    before = keyring.get_keyring()
    keyring.set_keyring(fail.Keyring())  # type: ignore[no-untyped-call]  # keyring's
    yield
    keyring.set_keyring(before)


@pytest.fixture
def ring(no_keyring: None) -> Ring:
    ring = Ring()
    keyring.set_keyring(ring)
    return ring


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with served(accounts=2, callflows=2) as running:
        yield running


@pytest.fixture
def vinix(tmp_path: Path) -> Command:
    """No variable is set."""
    return Command(tmp_path)


def write(vinix: Command, text: str, mode: int = 0o600) -> Path:
    path = vinix.home / "config" / "vinix" / "config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def profile(name: str, **settings: str) -> str:
    return f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())


def stored(sandbox: Sandbox) -> dict[str, str]:
    return {name.removeprefix("VINIX_").lower(): value for name, value in variables(sandbox).items()}


def test_option_then_environment_then_profile(vinix: Command, sandbox: Sandbox) -> None:
    known = stored(sandbox)
    write(vinix, profile("default", **known) + profile("wrong", **{**known, "base": f"{sandbox.url}/wrong"}))
    assert vinix("callflows", "list").returncode == 0
    assert vinix("callflows", "list", "--profile", "wrong").returncode == 4  # no login is at this address
    assert vinix("callflows", "list", VINIX_PROFILE="wrong").returncode == 4
    assert vinix("callflows", "list", "--profile", "wrong", VINIX_BASE=sandbox.url).returncode == 0
    refused = vinix("callflows", "list", "--base", f"{sandbox.url}/wrong", VINIX_BASE=sandbox.url)
    assert "AuthenticationError: 404" in refused.stderr
    assert refused.returncode == 4
    assert vinix("callflows", "list", VINIX_PASSWORD="planted-1").returncode == 4
    assert vinix("callflows", "list", VINIX_API_KEY=sandbox.api_key_auth().api_key).returncode == 0
    # The account's name in the environment goes with it, not with the profile's.
    realm = vinix("callflows", "list", VINIX_ACCOUNT_REALM="nobody.example.com")
    assert realm.returncode == 4


def test_a_file_elsewhere(vinix: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(profile("lab", **stored(sandbox)))
    path.chmod(0o400)
    assert vinix("callflows", "list", VINIX_CONFIG=str(path), VINIX_PROFILE="lab").returncode == 0


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        ('[default]\npassword = "planted-2"\n', 0o644, "chmod 600"),
        ('[default]\npassword = "planted-2"\n', 0o620, "chmod 600"),
        ("[default\n", 0o600, "not valid TOML"),
        ('password = "planted-2"\n', 0o600, "[default]"),
        ('[default]\npasword = "planted-2"\n', 0o600, "'pasword' is not a setting"),
        ("[default]\nusername = 7\n", 0o600, "string in quotes"),
        ('[default]\nkeyring = "all"\n', 0o600, "keyring must be one of"),
        ('[default]\npassword = "planted-2"\n', 0o600, "VINIX_USERNAME"),
        ('[other]\nusername = "ann"\n', 0o600, "no credentials"),
        ('[default]\nusername = "a"\nkeyring = "password"\n', 0o600, "NoKeyringError"),
    ],
)
def test_a_profile_that_must_not_be_used(vinix: Command, text: str, mode: int, words: str) -> None:
    write(vinix, text, mode)
    done = vinix("callflows", "list", "x")
    assert done.returncode == 2
    assert words in done.stderr
    assert "planted" not in done.stderr


def test_an_unknown_profile_names_those_that_there_are(vinix: Command) -> None:
    write(vinix, profile("work", username="ann") + profile("lab", username="ann"))
    done = vinix("callflows", "list", "--profile", "wrk")
    assert done.returncode == 2
    assert "lab, work" in done.stderr


def test_check_says_whose_the_credentials_are(vinix: Command, sandbox: Sandbox) -> None:
    known = variables(sandbox) | {"VINIX_ACCOUNT_ID": ""}
    done = vinix("auth", "check", **known)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["account_id"] == sandbox.root_id
    assert said["source"] == "environment"
    assert said["credentials"] == "password"
    assert said["base"] == sandbox.url
    assert said["owner_id"]
    table = vinix("auth", "check", "--output", "table", **known)
    assert sandbox.root_id in table.stdout
    assert known["VINIX_PASSWORD"] not in done.stdout + done.stderr + table.stdout
    static = {"VINIX_BASE": sandbox.url, "VINIX_AUTH_TOKEN": "planted-3"}
    assert vinix("auth", "check", **static).returncode == 4
    assert vinix("auth", "check", **static, VINIX_ACCOUNT_ID=sandbox.root_id).returncode == 4


@virtual
async def test_check_waits_no_longer_than_a_single_call() -> None:
    server = SimulatedServer()
    server.fate = lambda target, _: "ok" if target.endswith("_auth") else 503
    async with server.client(auth=TokenAuth("a-token")) as client:
        with pytest.raises(ServerError, match="503"):
            await auth._check(Server(client, TokenAuth("a-token"), "root", "", "environment"))
        assert 60 <= asyncio.get_running_loop().time() < 61


def login(vinix: Command, sandbox: Sandbox, *more: str, secret: str | None = None, **environment: str) -> int:
    auth = sandbox.user_auth()
    user = ["--username", auth.username, "--account-name", auth.account_name or ""]
    done = vinix(
        *("auth", "login", "--base", sandbox.url, *user, *more),
        stdin=f"{auth.password if secret is None else secret}\n",
        **environment,
    )
    assert auth.password not in done.stdout + done.stderr
    return done.returncode


def test_login_keeps_what_it_has_tried(vinix: Command, sandbox: Sandbox) -> None:
    others = '# mine\n[lab]  # keep\nusername = "x" # as it is\n\n[default]\nusername = "old"\n\n[z]\nbase = "b"\n'
    path = write(vinix, others)
    assert login(vinix, sandbox, secret="planted-4") == 4  # wrong on purpose
    assert path.read_text() == others
    assert login(vinix, sandbox) == 0
    text = path.read_text()
    assert '# mine\n[lab]  # keep\nusername = "x" # as it is\n' in text
    assert tomllib.loads(text)["z"] == {"base": "b"}
    assert tomllib.loads(text)["default"] == stored(sandbox)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(vinix("callflows", "list").stdout.splitlines()) == 2
    assert login(vinix, sandbox, "--profile", "new") == 0
    assert tomllib.loads(path.read_text())["new"] == stored(sandbox)
    assert login(vinix, sandbox, "--profile", "no good") == 2


def test_login_makes_the_file_and_takes_keys_and_tokens(vinix: Command, sandbox: Sandbox) -> None:
    key = sandbox.api_key_auth().api_key
    done = vinix("auth", "login", "--kind", "api-key", "--base", sandbox.url, stdin=f"{key}\n")
    assert done.returncode == 0, done.stderr
    path = vinix.home / "config" / "vinix" / "config.toml"
    assert tomllib.loads(path.read_text())["default"]["api_key"] == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert vinix("callflows", "list").returncode == 0
    token = ("auth", "login", "--kind", "token", "--base", sandbox.url)
    assert vinix(*token, stdin="planted-5\n").returncode == 4
    assert vinix(*token, "--account-id", sandbox.root_id, stdin="planted-5\n").returncode == 4
    assert vinix(*token, "--account-id", sandbox.root_id, stdin="\n").returncode == 2
    assert vinix("auth", "login", stdin="x\n").returncode == 2


def test_a_new_secret_goes_to_the_server_of_the_profile(vinix: Command, sandbox: Sandbox) -> None:
    path = write(vinix, f'[lab]\nbase = "{sandbox.url}"\nusername = "old"\npassword = "planted-6"\n')
    key = ("auth", "login", "--kind", "api-key", "--profile", "lab")
    done = vinix(*key, stdin=f"{sandbox.api_key_auth().api_key}\n")
    assert done.returncode == 0, done.stderr
    lab = {"base": sandbox.url, "account_id": sandbox.root_id, "api_key": sandbox.api_key_auth().api_key}
    assert tomllib.loads(path.read_text()) == {"lab": lab}
    done = vinix(*key, "--base", "http://elsewhere.example", stdin=f"{sandbox.api_key_auth().api_key}\n")
    assert (done.returncode, "--allow-http" in done.stderr) == (2, True)


def test_login_asks_on_a_terminal_and_shows_no_secret(vinix: Command, sandbox: Sandbox) -> None:
    auth = sandbox.user_auth()
    answers = {"User name:": auth.username, "Account name:": auth.account_name, "Password:": auth.password}

    def keys(seen: str) -> str | None:
        prompt = next((prompt for prompt in answers if prompt in seen), None)
        return f"{answers.pop(prompt)}\n" if prompt else None

    seen = vinix.on_a_terminal("auth", "login", "--base", sandbox.url, keys=keys)
    assert "Logged in" in seen
    assert auth.password not in seen
    assert not answers
    assert len(vinix("callflows", "list").stdout.splitlines()) == 2

    text = "".join(line for line in _config(vinix).splitlines(keepends=True) if "password" not in line)
    write(vinix, text)
    prompts = {"Password:": auth.password}
    seen = vinix.on_a_terminal(
        "callflows",
        "list",
        keys=lambda seen: f"{prompts.pop('Password:')}\n" if prompts and "Password:" in seen else None,
    )
    assert "2 callflows" in seen
    assert auth.password not in seen


@pytest.mark.parametrize(
    ("arguments", "prompt", "message"),
    [
        ((), "User name:", "--username is required"),
        (("--kind", "token"), "Token:", "no secret was entered"),
    ],
)
def test_login_without_an_answer(
    vinix: Command, sandbox: Sandbox, arguments: tuple[str, ...], prompt: str, message: str
) -> None:
    ends = ["\x04"]  # Ctrl-D
    seen = vinix.on_a_terminal(
        *("auth", "login", "--base", sandbox.url, *arguments),
        keys=lambda seen: ends.pop() if ends and prompt in seen else None,
        code=2,
    )
    assert f"vinix: {message}" in seen
    assert "Traceback" not in seen


@pytest.mark.parametrize(
    ("arguments", "prompt"),
    [
        ("auth login", "User name:"),
        ("auth login --kind token", "Token:"),
        ("callflows list", "Password:"),
    ],
)
def test_one_ctrl_c_ends_a_prompt(vinix: Command, sandbox: Sandbox, arguments: str, prompt: str) -> None:
    known = {**variables(sandbox), "VINIX_PASSWORD": ""} if prompt == "Password:" else {"VINIX_BASE": sandbox.url}
    typed = ["\x03\n"]  # Ctrl-C may also discard what is being printed
    seen = Command(vinix.home, **known).on_a_terminal(
        *arguments.split(), keys=lambda seen: typed.pop() if typed and prompt in seen else None, code=130
    )
    assert "Traceback" not in seen


def test_a_home_that_cannot_be_entered_has_no_profile(
    vinix: Command, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: Any, **__: Any) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied")

    known = Command(vinix.home, **variables(sandbox))
    write(known, "")
    monkeypatch.setattr(Path, "open", closed)
    done = known("auth", "check")  # the file is there, but cannot be read
    assert (done.returncode, done.stderr.partition("config.toml")[2]) == (2, ": Permission denied\n")
    monkeypatch.setattr(os.path, "exists", lambda _: False)  # as in a folder that cannot be entered
    assert known("auth", "check").returncode == 0
    done = known("auth", "check", VINIX_CONFIG="file")
    assert (done.returncode, done.stderr) == (2, "vinix: cannot read file: Permission denied\n")


@pytest.mark.parametrize("section", ["[ default ]", '["default"]'])
def test_a_profile_that_is_written_in_another_way_stays_as_it_is(
    vinix: Command, sandbox: Sandbox, section: str
) -> None:
    path = vinix.home / "config" / "vinix" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(f'{section}\nusername = "ann"\n')
    path.chmod(0o600)
    auth = sandbox.api_key_auth()
    done = vinix("auth", "login", "--base", sandbox.url, "--kind", "api-key", stdin=f"{auth.api_key}\n")
    assert done.returncode == 2
    assert "edit the file by hand" in done.stderr
    assert path.read_text() == f'{section}\nusername = "ann"\n'


def _config(vinix: Command) -> str:
    return (vinix.home / "config" / "vinix" / "config.toml").read_text()


def test_the_keyring_has_the_secret_and_the_profile_the_rest(vinix: Command, sandbox: Sandbox, ring: Ring) -> None:
    password = sandbox.user_auth().password
    assert login(vinix, sandbox, "--keyring") == 0
    assert password not in _config(vinix)
    assert ring.kept == {("vinix", "default"): password}
    assert len(vinix("callflows", "list").stdout.splitlines()) == 2
    ring.kept.clear()
    emptied = vinix("callflows", "list")
    assert emptied.returncode == 2
    assert "vinix auth login --profile default" in emptied.stderr


def test_the_keyring_gets_no_secret_for_a_profile_that_cannot_be_written(
    vinix: Command, sandbox: Sandbox, ring: Ring
) -> None:
    sandbox.requests.clear()
    assert login(vinix, sandbox, "--keyring", "--profile", "no good") == 2
    assert ring.kept == {}
    assert not sandbox.requests


def test_without_a_keyring_login_says_what_else_there_is(vinix: Command, sandbox: Sandbox) -> None:
    assert login(vinix, sandbox, "--keyring") == 2
    assert not (vinix.home / "config").exists()


def test_plain_http_only_if_told(vinix: Command) -> None:
    done = vinix("callflows", "list", "x", VINIX_BASE="http://example.com/v2", VINIX_AUTH_TOKEN="planted-6")
    assert done.returncode == 2
    assert "--allow-http" in done.stderr
