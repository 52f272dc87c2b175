"""Make text from the server safe to show: escape control characters, and remove secrets from URLs."""

import re
import unicodedata
from functools import partial
from typing import Final

SHOWN: Final = {
    "\u00ad": "a soft hyphen only allows a line break",
    "\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd": "these format characters are visible signs",
    "\u061c\u200e\u200f": "direction marks affect only their neighbours",
    "\u200b-\u200d\u2060\ufeff": "joiners and breaks shape words and emoji",
    "\U000e0020-\U000e007f": "tags spell the region of a flag emoji",
    "\U0001f000-\U0001faff": "this block is reserved for emoji, also those newer than Python's Unicode tables",
}
"""Ranges of characters that are shown although their category is escaped, each with the reason."""

_ESCAPED_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
# Controls and line separators move the cursor. Some format characters (bidirectional embeddings, overrides and
# isolates) reorder the text around them. Lone surrogates and noncharacters are not allowed in UTF-8 and XML.
_EXCEPTIONS: Final = re.compile(f"[{''.join(SHOWN)}]")


def is_shown(letter: str) -> bool:
    """Whether every output shows the character itself, and not an escape."""
    return unicodedata.category(letter) not in _ESCAPED_CATEGORIES or _EXCEPTIONS.match(letter) is not None


def printable(text: str, *, lines: bool = False) -> str:
    """Return ``text`` with unsafe characters replaced by Python's escapes. With ``lines``, newlines are kept."""
    if text.isprintable():
        return text
    return "".join(
        letter if is_shown(letter) or (lines and letter == "\n") else letter.encode("unicode_escape").decode()
        for letter in text
    )


printable_lines: Final = partial(printable, lines=True)


def printable_json(text: str) -> str:
    """Return JSON text with unsafe characters replaced by JSON's escapes, so that it decodes to the same value."""
    return "".join(letter if letter == "\n" or is_shown(letter) else _json_escape(letter) for letter in text)


def _json_escape(letter: str) -> str:
    units = letter.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def display(text: str) -> str:
    """Return ``text`` for tables, pictures and pages, without secrets in URLs and without unsafe characters."""
    return printable(without_secrets(text))


# --- URLs ---

_URL: Final = re.compile(
    r"""
    (?P<scheme>
        (?<! [\w.+-] ) [\w.+-]+ (?: :// | %(?:25)*3a (?: %(?:25)*2f ){2} )
        | \b (?: sips? | tel | h323 | xmpp | mailto | https? | ftps? ) (?: : | %(?:25)*3a )
        | (?<! [:/] ) // (?= [^\s/]{0,500} @ )  # //user:password@host
        | (?<! [^\s<>"'(/,|!\]}] ) (?= [^\s:/@<>"'(,|!\]}]+ : [^\s@]{0,500} @ )  # user:password@host
        | (?<! [^\s<>"'(/,|!\]}] ) (?= [^\s:/@<>"'(,|!\]}%]+ %(?:25)*3a [^\s@]{0,500} %(?:25)*40 )  # the same, encoded
    )
    (?P<authority> [^\s<>"/?\#]* ) (?P<path> [^\s<>"]* )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SUSPECT: Final = re.compile("[:@=]|%(?:25)*3a", re.IGNORECASE)  # every secret needs one of these, few texts have one
_KEEP_USER: Final = ("sip:", "sips:", "tel:")  # their user part is an extension or a number
_HOST: Final = re.compile(r"(?:[\w.*+()-]*|\[[\da-f:.]+\])(?::\d*)?", re.IGNORECASE)
_COLON: Final = re.compile(r":|%(?:25)*3a", re.IGNORECASE)
_AT: Final = re.compile(r"@|%(?:25)*40", re.IGNORECASE)
_PATH_END: Final = re.compile(r"[?#]|%(?:25)*(?:3f|23)", re.IGNORECASE)
_PATH_PARAMETERS: Final = re.compile(r"(?:;|%(?:25)*3b)[^/]*", re.IGNORECASE)
_PARAMETERS: Final = re.compile(r"[?;&#][\w.~-]+=\S*")
_VARIABLES: Final = re.compile(r"(?<![^\s|,!/:}\]])[\[{][^][}{\s=]+=[^][}{]*[]}](?=[\w{\[])")  # {name=value}dial-string
_VARIABLES_OF_ALL: Final = re.compile(r"^<[^<>\s=]+=[^<>]*>(?=[\w{\[])")  # <name=value>dial-string


def without_secrets(text: str) -> str:
    """Return ``text`` with every URL reduced to scheme, host and path.

    User, password, parameters, query and fragment are removed for every scheme. Only the user of a ``sip:``, ``sips:``
    or ``tel:`` address without a password is kept. If it is not certain which part is a password, ``…`` replaces the
    address and the rest of the text.
    """
    if not _SUSPECT.search(text):
        return text
    text = _VARIABLES.sub("", _VARIABLES_OF_ALL.sub("", text))
    last_at = text.rfind("@")
    shown, end = "", 0
    for found in _URL.finditer(text):
        shown += text[end : found.end("scheme")]
        end = found.end()
        host = _shown_host(found["scheme"], found["authority"])
        if host is None or (":" in found["authority"] and last_at >= found.start("path")):
            return f"{shown}…"  # a password may contain a slash, a space or another reserved character
        shown += host + _shown_path(found["path"])
    return _PARAMETERS.sub("", shown + text[end:])


def _shown_host(scheme: str, authority: str) -> str | None:
    """Return the host, with the user if that may be shown, or None if a part may be a password."""
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
