"""Find passwords and tokens in documents, and hide them."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from .positions import escape, keys_of

MASK: Final = "(hidden)"

_SECRET: Final = re.compile(
    r"(?:pass(?:word|wd|code)?|(?:client_)?secret|(?:\w+_)?token|api_?key|auth(?:orization)?|credential"
    r"|private_?key|access_?key)s?",
    re.IGNORECASE,
)

_HIDDEN: Final = re.compile(
    r"pass(?:word|wd|code|phrase)|secret|credential|(?:api|private|access)_?key|token(?!_type)"
    r"|(?:^|[_-])(?:pins?|auth|authorization|cookie)$",
    re.IGNORECASE,
)


@lru_cache(4096)
def is_secret(key: str) -> bool:
    """Whether a key names a password or a token. The whole key is compared, so that ``token_type`` does not count."""
    return _SECRET.fullmatch(key) is not None


@lru_cache(4096)
def _is_hidden(key: str) -> bool:
    """Whether ``masked`` hides the value of ``key``. It also hides values that ``is_secret`` ignores, such as PINs."""
    return _HIDDEN.search(key) is not None


def find_secrets(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the field of each secret in a node's ``data``, and a description of its kind, but not the secret itself."""
    waiting: list[tuple[str, Any]] = [("", data)]
    while waiting:
        field, value = waiting.pop()
        is_array = isinstance(value, list | tuple)
        inner: list[tuple[str, Any]] = []
        for key, item in enumerate(value) if is_array else value.items():
            if isinstance(item, str):
                if item and not is_array and is_secret(key):
                    yield _field(field, key), "a password or token"
                elif "://" in item and (what := _secret_in_url(item)):
                    yield _field(field, key), what
            elif item and isinstance(item, dict | list | tuple | Mapping):
                inner.append((_field(field, key), item))
        waiting.extend(reversed(inner))


def _field(outer: str, key: str | int) -> str:
    if isinstance(key, int):
        return f"{outer}[{key}]"
    return f"{outer}.{key}" if outer else key


def _secret_in_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        if parts.password:
            return "a password in a URL"
        if any(value and is_secret(key) for key, value in parse_qsl(parts.query)):
            return "a token in a URL"
    except ValueError:
        return ""
    return ""


def masked(value: Any, key: str = "") -> Any:
    """Return a copy of a JSON value in which secrets are hidden.

    The values of keys such as ``password`` and ``pin`` are hidden. In texts, including the keys of objects, URLs are
    reduced to scheme, host and path: their user, password, parameters, query and fragment are left out. The user of a
    ``sip:``, ``sips:`` or ``tel:`` address is kept if the address has no password. If the rest of a text may contain a
    part of a password, ``…`` replaces the rest. If two keys would become equal, a number is added to one of them.

    ``key`` is the key or the field of ``value``. If ``key`` names a secret, the whole value is hidden.
    """
    if isinstance(value, str) and not key:
        return masked_text(value)
    top: list[Any] = [None]
    waiting: list[tuple[Any, Any, Any, str]] = [(top, 0, value, re.split(r"[.\[\]]", key.rstrip("]"))[-1])]
    while waiting:
        target, place, item, name = waiting.pop()
        if item not in (None, "", False) and _is_hidden(name):  # the item may be unhashable
            target[place] = MASK
        elif isinstance(item, str):
            target[place] = masked_text(item)
        elif isinstance(item, Mapping):
            shown = _masked_keys(item)
            copy: dict[str, Any] = dict.fromkeys(shown)
            target[place] = copy
            waiting.extend((copy, *each) for each in zip(shown, item.values(), item, strict=True))
        elif isinstance(item, list | tuple):
            target[place] = [None] * len(item)
            waiting.extend((target[place], position, inner, "") for position, inner in enumerate(item))
        else:
            target[place] = item
    return top[0]


def _masked_keys(item: Mapping[str, Any]) -> list[str]:
    """Return the keys of an object, with secrets hidden. No two of the returned keys are equal."""
    shown: dict[str, None] = {}
    times: Counter[str] = Counter()
    for key in item:
        new = unused = masked_text(key)
        while unused in shown or (unused != key and unused in item):
            times[new] += 1
            unused = f"{new} ({times[new] + 1})"
        shown[unused] = None
    return list(shown)


def masked_path(path: str) -> str:
    """Return a JSON pointer, with secrets in its keys hidden. A pointer without secrets is returned unchanged."""
    return "/".join(escape(masked_text(key)) for key in ("", *keys_of(path))) if path else path


# --- URLs ---

_URL: Final = re.compile(
    r"""
    (?P<scheme>
        (?<! [\w.+-] ) [\w.+-]+ (?: :// | %(?:25)*3a (?: %(?:25)*2f ){2} )
        | \b (?: sips? | tel | h323 | xmpp | mailto | https? | ftps? ) (?: : | %(?:25)*3a )
        | (?: (?<! [\w.+-] ) : | (?<! [:/] ) ) // (?= [^/]{0,500} @ )  # //user:password@host
        | (?<! [^\s<>"'(/,|!\]}] ) (?= [^\s:/@<>"'(,|!\]}]+ : [^\s@]{0,500} @ )  # user:password@host
        | (?<! [^\s<>"'(/,|!\]}] ) (?= [^\s:/@<>"'(,|!\]}%]+ %(?:25)*3a [^\s@]{0,500} %(?:25)*40 )  # the same, encoded
    )
    (?P<authority> [^\s<>"/?\#]* ) (?P<path> [^\s<>"]* )
    """,
    re.VERBOSE | re.IGNORECASE,
)
# Most texts contain none of these characters, and such a text contains no secret.
_SUSPECT: Final = re.compile("[:@=]|%(?:25)*3a", re.IGNORECASE)
_KEEP_USER: Final = ("sip:", "sips:", "tel:")  # in these URIs, the user is an extension or a phone number
_HOST: Final = re.compile(r"(?:[\w.*+()-]*|\[[\da-f:.]+\])(?::\d*)?", re.IGNORECASE)
_COLON: Final = re.compile(r":|%(?:25)*3a", re.IGNORECASE)
_AT: Final = re.compile(r"@|%(?:25)*40", re.IGNORECASE)
_PATH_END: Final = re.compile(r"[?#]|%(?:25)*(?:3f|23)", re.IGNORECASE)
_PATH_PARAMETERS: Final = re.compile(r"(?:;|%(?:25)*3b)[^/]*", re.IGNORECASE)
_PARAMETERS: Final = re.compile(r"[?;&#][\w.~-]+=\S*")
_VARIABLES: Final = re.compile(r"(?<![^\s|,!/:}\]])[\[{][^][}{\s=]+=[^][}{]*[]}](?=[\w{\[])")  # {name=value}dial-string
_LATE_USER: Final = re.compile(r"[^/]*@")
_LATE_SIP_PASSWORD: Final = re.compile(r"[^\s:@]*:[^\s@]*@")
_SPACE: Final = re.compile(r"\s")
_VARIABLES_OF_ALL: Final = re.compile(r"^<[^<>\s=]+=[^<>]*>(?=[\w{\[])")  # <name=value>dial-string


def masked_text(text: str) -> str:
    """Return a text with secrets hidden, as ``masked`` does."""
    if not _SUSPECT.search(text):
        return text
    text = _VARIABLES.sub("", _VARIABLES_OF_ALL.sub("", text))
    last_at = text.rfind("@")
    # The text from the question mark on is left out, because the values in a query may contain spaces.
    query = text.find("?") if "://" in text else -1
    shown, end = "", 0
    for found in _URL.finditer(text):
        if 0 <= query < found.start():
            break
        shown += text[end : found.end("scheme")]
        end = found.end()
        host = _shown_host(found["scheme"], found["authority"])
        if host is None or _continues(found, text, last_at):
            return _PARAMETERS.sub("", shown) + "…"
        shown += host + _shown_path(found["path"])
    shown = _PARAMETERS.sub("", shown + (text[end:query] if query >= 0 else text[end:]))
    return f"{shown}…" if query >= 0 and _SPACE.search(text, query) else shown


def _continues(url: re.Match[str], text: str, last_at: int) -> bool:
    """Whether the text after ``authority`` may belong to the user or the password.

    That is possible if the user or the password contains a slash, a space or another character that ends a URL.
    """
    authority, end = url["authority"], url.start("path")
    if ":" in authority:
        return last_at >= end
    if url["scheme"].endswith("//"):
        return _LATE_USER.match(text, end) is not None
    is_sip = url["scheme"].lower() in {"sip:", "sips:"}
    return is_sip and "@" not in authority and _LATE_SIP_PASSWORD.match(text, end) is not None


def _shown_host(scheme: str, authority: str) -> str | None:
    """Return the host, or ``user@host`` if the user may be shown. Return None if a part may be a password."""
    user, at, host = authority.rpartition("@")
    host = host.partition(";")[0]
    if not _HOST.fullmatch(host):
        return None
    if at and scheme.lower() in _KEEP_USER and not _COLON.search(user):
        return f"{user.partition(';')[0]}@{host}"
    return host


def _shown_path(path: str) -> str:
    colon = _COLON.search(path)
    if colon and _AT.search(path, colon.end()):
        return "/…"  # the path contains another URL with a user
    return _PATH_PARAMETERS.sub("", _PATH_END.split(path, maxsplit=1)[0])
