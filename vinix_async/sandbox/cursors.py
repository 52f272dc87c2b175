"""Encodes and decodes cursors as Kazoo does.

A cursor is a key of a view. The key is written as an Erlang term, and the term as URL-safe base64 without padding.
"""

import base64

_VERSION = b"\x83"
_BINARY = b"m"
_LIST = b"l"
_NIL = b"j"


def encode_cursor(key: str, account_id: str | None = None) -> str:
    """Return the cursor of ``key``.

    If ``account_id`` is given, the cursor contains a list of the account id and the key, as in Kazoo 5's listings of
    accounts.
    """
    if account_id is None:
        term = _binary(key)
    else:
        term = _LIST + (2).to_bytes(4, "big") + _binary(account_id) + _binary(key) + _NIL
    return base64.urlsafe_b64encode(_VERSION + term).decode().rstrip("=")


class InvalidCursorError(Exception):
    """The cursor is an Erlang term, but not a key of a view.

    On the real server, such a cursor crashes the process that handles the request.
    """


def decode_cursor(cursor: str) -> str:
    """Return the key in a cursor, without the account id. Text that is not an Erlang term is itself the key.

    Raises ``InvalidCursorError``.
    """
    try:
        term = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars="-_", validate=True)
    except ValueError:
        return cursor
    if not term.startswith(_VERSION):
        return cursor
    try:
        if term[1:2] == _BINARY and len(term) == 6 + int.from_bytes(term[2:6], "big"):
            return term[6:].decode()
        if term[1:2] == _LIST:
            account_end = 6 + 5 + int.from_bytes(term[7:11], "big")
            return term[account_end + 5 : -1].decode()
    except UnicodeDecodeError:
        pass
    raise InvalidCursorError


def _binary(key: str) -> bytes:
    raw = key.encode()
    return _BINARY + len(raw).to_bytes(4, "big") + raw
