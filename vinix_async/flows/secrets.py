"""Find passwords and tokens in documents, and hide them."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

MASK: Final = "(hidden)"

_SECRET: Final = re.compile(
    r"(?:pass(?:word|wd|code)?|(?:client_)?secret|(?:\w+_)?token|api_?key|auth(?:orization)?|credential"
    r"|private_?key|access_?key)s?",
    re.IGNORECASE,
)

_SIP_PASSWORD: Final = re.compile(r"\b(sips?:[^\s:@]*):[^\s@]*@", re.IGNORECASE)
_HIDDEN: Final = re.compile(
    r"pass(?:word|wd|code|phrase)|secret|credential|(?:api|private|access)_?key|token(?!_type)"
    r"|(?:^|[_-])(?:pins?|auth|authorization|cookie)$",
    re.IGNORECASE,
)


@lru_cache(4096)
def is_secret(key: str) -> bool:
    """Whether a key names a password or a token. The whole key must match, so ``token_type`` does not."""
    return _SECRET.fullmatch(key) is not None


@lru_cache(4096)
def _is_hidden(key: str) -> bool:
    """Whether the value of a key is hidden. This includes keys that are less certain than those of ``is_secret``."""
    return _HIDDEN.search(key) is not None


def find_secrets(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the field of each secret in a node's ``data``, and what kind of secret it is. The secret is left out."""
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

    Secrets are the values of keys such as ``password`` and ``pin``, and the user information and query of URLs. ``key``
    is the key or field that holds the value.
    """
    top: list[Any] = [None]
    waiting: list[tuple[Any, Any, Any, str]] = [(top, 0, value, re.split(r"[.\[\]]", key.rstrip("]"))[-1])]
    while waiting:
        target, place, item, name = waiting.pop()
        if item not in (None, "", False) and _is_hidden(name):  # any JSON value
            target[place] = MASK
        elif isinstance(item, str):
            target[place] = mask_url(item) if "://" in item else _SIP_PASSWORD.sub(rf"\1:{MASK}@", item)
        elif isinstance(item, Mapping):
            copy: dict[str, Any] = dict.fromkeys(item)
            target[place] = copy
            waiting.extend((copy, each, inner, each) for each, inner in item.items())
        elif isinstance(item, list | tuple):
            target[place] = [None] * len(item)
            waiting.extend((target[place], position, inner, "") for position, inner in enumerate(item))
        else:
            target[place] = item
    return top[0]


def mask_url(text: str) -> str:
    """Return a URL without its user information and its query."""
    scheme, _, rest = text.partition("://")
    authority, slash, path = rest.partition("/")
    if "@" in authority:
        authority = f"{MASK}@{authority.rpartition('@')[2]}"
    whole = f"{scheme}://{authority}{slash}{path}"
    before, query, _ = whole.partition("?")
    return f"{before}?{MASK}" if query else whole
