"""Generates synthetic callflow documents. A document depends only on the seed, its account and its index.

The first callflows of an account are those of a Monster UI installation: a main menu, a callflow with office hours and
holidays, a ring group, the code that checks voicemail, four users, and outgoing calls. After them, every fourth
callflow is a feature code, until all feature codes exist. All other callflows are of random kinds.
"""

import random
from typing import Final

from .dates import gregorian_seconds
from .ids import IdSequence, digest
from .quirks import QUIRKS, Json

_FIRST_CREATED: Final = 1_700_000_000
"""Unix time at which an account's first callflow was created. One more callflow was created every hour after that."""

_QUIRK_SHARE: Final = 1 / 6
"""The probability that a generated document has a quirk. The first four callflows of an account have none."""

_PEOPLE: Final = (
    ("Ann", "Ash"),
    ("Bo", "Bell"),
    ("Cy", "Cole"),
    ("Di", "Dorn"),
    ("Ed", "Eads"),
    ("Flo", "Ford"),
    ("Gus", "Gray"),
    ("Hal", "Holt"),
    ("Ida", "Ives"),
    ("Jo", "Jett"),
    ("Kit", "Kerr"),
    ("Lou", "Lane"),
    ("Max", "Marsh"),
    ("Nell", "North"),
    ("Otto", "Oaks"),
    ("Pia", "Park"),
)
_TEAMS: Final = ("Sales", "Support", "Billing", "Dispatch", "Reception", "Service", "Warehouse", "Night desk")

_MAIN_MENU: Final = 0
"""The index of the main menu. Other callflows jump to it."""

_STAFF: Final = range(4, 8)
"""The indexes of the first users' callflows. These users are the members of ring groups and the choices of menus."""

_CODES: Final[tuple[tuple[str, str, str, Json], ...]] = (
    ("voicemail[action=direct]", "*", "voicemail", {"action": "compose"}),
    ("park_and_retrieve", "3", "park", {"action": "auto", "slot": "1"}),
    ("call_forward[action=activate]", "72", "call_forward", {"action": "activate"}),
    ("call_forward[action=deactivate]", "73", "call_forward", {"action": "deactivate"}),
    ("do_not_disturb[action=enable]", "78", "do_not_disturb", {"action": "activate", "id": ""}),
    ("do_not_disturb[action=disable]", "79", "do_not_disturb", {"action": "deactivate", "id": ""}),
    ("hotdesk[action=login]", "11", "hotdesk", {"action": "login"}),
    ("hotdesk[action=logout]", "12", "hotdesk", {"action": "logout"}),
    ("privacy[mode=full]", "67", "privacy", {"privacy_mode": "full", "endpoint_strategy": "overridden"}),
    ("intercom", "0", "intercom", {}),
)
"""Feature codes as Monster UI creates them: name, number, module and data. An empty ``id`` means the caller."""

_FIRST_CODE: Final = 9
_CODE_INTERVAL: Final = 4


class CallflowGenerator:
    """Generates one document.

    After ``document()``, the dict ``referenced`` contains the entities that the document refers to. It maps the id of
    an entity to the entity's metadata.

    Args:
        seed: the seed of the random data.
        account_id: the account.
        ids: the ids of the account's callflows.
        index: the index of the document among the account's callflows.
    """

    def __init__(self, seed: int, account_id: str, ids: IdSequence, index: int) -> None:
        self._namespace = (seed, account_id)
        self._random = random.Random(f"{seed} {account_id} {index}")
        self._ids = ids
        self._index = index
        self.referenced: dict[str, Json] = {}

    def document(self) -> Json:
        """Return the stored document, with its private fields."""
        document: Json = {"id": self._ids[self._index], "numbers": [], "patterns": [], "flags": [], **self._fields()}
        if self._index >= _STAFF.start and self._random.random() < _QUIRK_SHARE:
            self._random.choice(QUIRKS)(document)
        created = gregorian_seconds(_FIRST_CREATED + self._index * 3_600)
        document |= {"pvt_type": "callflow", "pvt_created": created, "pvt_modified": created + 60}
        return document

    def _fields(self) -> Json:
        """Return the fields of the document. The index decides whether the kind of the callflow is fixed or random."""
        first_kinds = (
            self._main_menu,
            self._after_hours,
            self._ring_group,
            self._voicemail_code,
            *(self._user for _ in _STAFF),
            self._outgoing,
        )
        if self._index < len(first_kinds):
            return first_kinds[self._index]()
        code, remainder = divmod(self._index - _FIRST_CODE, _CODE_INTERVAL)
        if not remainder and code < len(_CODES):
            return self._code()
        return self._random.choice(
            (
                self._user,
                self._user,
                self._user,
                self._user,
                self._number_only,
                self._conference,
                self._fax,
                self._page_group,
                self._by_caller,
                self._queue,
                self._reported_calls,
                self._announcement,
            )
        )()

    # --- parts ---

    def _reference(self, kind: str, name: str) -> str:
        """Return the id of an entity, and add the entity to ``referenced``."""
        entity = digest(*self._namespace, kind, name)
        self.referenced[entity] = {"name": name, "pvt_type": kind}
        return entity

    def _owner(self, index: int) -> tuple[str, str]:
        """Return the id and the name of the user of a callflow. The first 256 indexes give different names."""
        position = int(digest(*self._namespace, "people", size=2), 16) + index
        first, _ = _PEOPLE[position % len(_PEOPLE)]
        _, last = _PEOPLE[(position + index // len(_PEOPLE)) % len(_PEOPLE)]
        name = f"{first} {last}"
        return self._reference("user", name), name

    def _staff(self, count: int) -> list[int]:
        """Return ``count`` different indexes out of ``_STAFF``, chosen at random."""
        return self._random.sample(_STAFF, count)

    def _extension(self) -> str:
        return str(1000 + self._index)

    def _outside_number(self, index: int | None = None) -> str:
        index = self._index if index is None else index
        return f"+1555{int(digest(*self._namespace, 'number', index, size=4), 16) % 10**7:07d}"

    @staticmethod
    def _node(module: str, data: Json, children: Json | None = None) -> Json:
        return {"module": module, "data": data, "children": children or {}}

    def _voicemail(self, name: str) -> Json:
        return self._node("voicemail", {"id": self._reference("vmbox", name), "action": "compose", "timeout": "20"})

    def _ring_user(self, index: int, timeout: int | str = 20) -> Json:
        user, name = self._owner(index)
        fallback = {"_": self._voicemail(name)}
        return self._node("user", {"id": user, "timeout": timeout, "can_call_self": False}, fallback)

    def _ring_team(self, team: str) -> Json:
        endpoints = [
            {"endpoint_type": "user", "id": self._owner(index)[0], "delay": str(5 * position), "timeout": "20"}
            for position, index in enumerate(self._staff(self._random.randint(2, 4)))
        ]
        data = {"name": team, "strategy": "simultaneous", "timeout": 20, "endpoints": endpoints, "repeats": 1}
        busy = self._node("play", {"id": "/system_media/en-us%2Fuser-busy", "answer": True})
        return self._node("ring_group", data, {"_": self._voicemail(team), "sip:486": busy})

    def _menu(self, name: str) -> Json:
        keys = enumerate(self._staff(self._random.randint(2, 4)), start=1)
        routes = {str(key): self._ring_user(index) for key, index in keys}
        routes["0"] = self._ring_team("Reception")
        routes["timeout"] = self._ring_team("Support")
        routes["_"] = self._node("hangup", {})
        return self._node("menu", {"id": self._reference("menu", name)}, routes)

    def _jump_to_main_menu(self) -> Json:
        callflow_id = self._ids[_MAIN_MENU]
        self.referenced[callflow_id] = {
            "name": "Main menu",
            "numbers": [self._outside_number(_MAIN_MENU)],
            "pvt_type": "callflow",
        }
        return self._node("callflow", {"id": callflow_id})

    # --- documents ---

    def _main_menu(self) -> Json:
        return {
            "name": "Main menu",
            "type": "main",
            "numbers": [self._outside_number()],
            "flow": self._menu("Main menu"),
        }

    def _after_hours(self) -> Json:
        hours, holidays = self._reference("temporal_rule", "Office hours"), self._reference("temporal_rule", "Holidays")
        closed = self._node("play", {"id": self._reference("media", "We are closed")}, {"_": self._voicemail("Office")})
        menu = self._menu("Day menu")
        menu["children"]["9"] = self._jump_to_main_menu()
        routes = {holidays: closed, hours: menu, "_": self._voicemail("Office")}
        flow = self._node("temporal_route", {"timezone": "America/New_York", "rules": [holidays, hours]}, routes)
        return {
            "name": "After hours",
            "numbers": [self._outside_number(), "2000"],
            "flow": flow,
            "ringback": {"early": digest("tone")},
        }

    def _ring_group(self) -> Json:
        team = self._random.choice(_TEAMS)
        group = self._reference("group", team)
        return {
            "name": f"{team} group",
            "type": "userGroup",
            "group_id": group,
            "numbers": [self._extension()],
            "flow": self._ring_team(team),
        }

    def _voicemail_code(self) -> Json:
        return {
            "name": None,
            "numbers": [],
            "patterns": ["^\\*97$"],
            "featurecode": {"name": "voicemail[action=check]", "number": "97"},
            "flow": self._node("voicemail", {"action": "check"}),
        }

    def _user(self) -> Json:
        user, name = self._owner(self._index)
        flow = self._node("user", {"id": user, "timeout": 20}, {"_": self._voicemail(name)})
        metaflow = {
            "binding_digit": "*",
            "digit_timeout": 800,
            "listen_on": "self",
            "numbers": {"2": {"module": "transfer", "data": {"takeback_dtmf": "*1"}}},
        }
        return {
            "name": name,
            "type": "mainUserCallflow",
            "owner_id": user,
            "numbers": [self._extension()],
            "flow": flow,
            **({"metaflow": metaflow} if self._random.random() < 0.3 else {}),
        }

    def _code(self) -> Json:
        name, code, module, data = _CODES[(self._index - _FIRST_CODE) // _CODE_INTERVAL]
        children = {"MAX_SLOT_EXCEEDED": self._ring_team("Reception")} if module == "park" else {}
        return {
            "patterns": ["^\\*" + code.replace("*", "\\*") + "([0-9]*)$"],
            "featurecode": {"name": name, "number": code},
            "flow": self._node(module, dict(data), children),
        }

    def _outgoing(self) -> Json:
        return {"name": "Outgoing calls", "numbers": ["no_match"], "flow": self._node("offnet", {})}

    def _number_only(self) -> Json:
        return {"numbers": [self._outside_number()], "flow": self._ring_user(self._staff(1)[0], "20")}

    def _conference(self) -> Json:
        room = self._reference("conference", f"Room {self._index}")
        return {
            "name": f"Room {self._index}",
            "type": "conference",
            "numbers": [self._extension()],
            "flow": self._node("conference", {"id": room, "welcome_prompt": {"play": True}}),
        }

    def _fax(self) -> Json:
        voice = self._ring_user(self._staff(1)[0])
        fax = self._node("faxbox", {"id": self._reference("faxbox", "Office fax")})
        detect = self._node("fax_detect", {"duration": 3}, {"ON_FAX": fax, "ON_VOICE": voice})
        return {"name": "Fax", "type": "faxing", "numbers": [self._outside_number()], "flow": detect}

    def _page_group(self) -> Json:
        endpoints = [{"endpoint_type": "device", "id": self._reference("device", f"Phone {each}")} for each in range(3)]
        return {
            "name": "Paging",
            "numbers": [self._extension()],
            "flow": self._node("page_group", {"name": "Paging", "endpoints": endpoints, "audio": "one-way"}),
        }

    def _by_caller(self) -> Json:
        routes = {"+14155550100": self._ring_user(self._staff(1)[0]), "_": self._ring_team("Sales")}
        return {
            "name": "By caller",
            "numbers": [self._extension()],
            "flow": self._node("check_cid", {"use_absolute_mode": True}, routes),
        }

    def _queue(self) -> Json:
        team = self._random.choice(_TEAMS)
        queue = {"id": self._reference("queue", team)}
        wait = self._node("acdc_member", queue, {"_": self._voicemail(team)})
        flow = self._node("acdc_wait_time", queue, {"60": self._voicemail(team), "_": wait})
        return {"name": f"{team} queue", "numbers": [self._extension()], "flow": flow, "flags": ["queue"]}

    def _reported_calls(self) -> Json:
        team = self._random.choice(_TEAMS)
        recorded = self._node(
            "record_call", {"action": "start", "format": "mp3", "time_limit": 600}, {"_": self._ring_team(team)}
        )
        report = {
            "uri": "https://crm.example.com/calls",
            "http_verb": "post",
            "retries": 2,
            "custom_data": {"to": team},
        }
        return {
            "name": f"{team} line",
            "numbers": [self._outside_number()],
            "flow": self._node("webhook", report, {"_": recorded}),
        }

    def _announcement(self) -> Json:
        speech = {"text": "We are open from nine to five, Monday to Friday.", "voice": "female", "language": "en-US"}
        return {
            "name": "Opening hours",
            "numbers": [self._extension()],
            "flow": self._node("tts", speech, {"_": self._jump_to_main_menu()}),
        }
