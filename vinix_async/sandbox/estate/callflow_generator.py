"""Generates synthetic callflow documents. Each one depends only on the seed, its account and its own number."""

import random

from .dates import gregorian_seconds
from .ids import digest
from .quirks import QUIRKS, Json

_FIRST_CREATED = 1_700_000_000
"""Unix time at which the first callflow of an account was created. One more was created every hour after it."""

_QUIRK_SHARE = 1 / 6
"""The probability that a generated document has a quirk."""

_PEOPLE = (
    "Ann Ash",
    "Bo Bell",
    "Cy Cole",
    "Di Dorn",
    "Ed Eads",
    "Flo Ford",
    "Gus Gray",
    "Hal Holt",
    "Ida Ives",
    "Jo Jett",
    "Kit Kerr",
    "Lou Lane",
    "Max Marsh",
    "Nell North",
    "Otto Oaks",
    "Pia Park",
)
_TEAMS = ("Sales", "Support", "Billing", "Dispatch", "Reception", "Service", "Warehouse", "Night desk")


class CallflowGenerator:
    """Generates one document.

    Afterwards ``referenced`` contains the metadata of each entity that the document's nodes refer to, by entity id.
    """

    def __init__(self, seed: int, account_id: str, number: int) -> None:
        self._namespace = (seed, account_id)
        self._random = random.Random(f"{seed} {account_id} {number}")
        self._number = number
        self.referenced: dict[str, Json] = {}

    def document(self, callflow_id: str) -> Json:
        """Return the stored document, with its private fields."""
        first_kinds = (self._main_menu, self._after_hours, self._ring_group, self._voicemail_code)
        other_kinds = (
            self._user,
            self._user,
            self._user,
            self._number_only,
            self._park_code,
            self._conference,
            self._fax,
            self._page_group,
            self._by_caller,
            self._queue_menu,
        )
        make = first_kinds[self._number] if self._number < len(first_kinds) else self._random.choice(other_kinds)
        document: Json = {"id": callflow_id, "numbers": [], "patterns": [], "flags": [], **make()}
        if self._number >= len(first_kinds) and self._random.random() < _QUIRK_SHARE:
            self._random.choice(QUIRKS)(document)
        created = gregorian_seconds(_FIRST_CREATED + self._number * 3_600)
        document |= {"pvt_type": "callflow", "pvt_created": created, "pvt_modified": created + 60}
        return document

    # --- parts ---

    def _reference(self, kind: str, name: str) -> str:
        """Return the id of an entity, and add the entity to ``referenced``."""
        entity = digest(*self._namespace, kind, name)
        self.referenced[entity] = {"name": name, "pvt_type": kind}
        return entity

    def _person(self) -> tuple[str, str]:
        name = self._random.choice(_PEOPLE)
        return self._reference("user", name), name

    def _extension(self) -> str:
        return str(1000 + self._number)

    def _outside(self) -> str:
        return f"+1555{int(digest(*self._namespace, 'number', self._number, size=4), 16) % 10**7:07d}"

    @staticmethod
    def _node(module: str, data: Json, children: Json | None = None) -> Json:
        return {"module": module, "data": data, "children": children or {}}

    def _voicemail(self, name: str) -> Json:
        return self._node("voicemail", {"id": self._reference("vmbox", name), "action": "compose", "timeout": "20"})

    def _ring_user(self, timeout: int | str = 20) -> Json:
        user, name = self._person()
        fallback = {"_": self._voicemail(name)}
        return self._node("user", {"id": user, "timeout": timeout, "can_call_self": False}, fallback)

    def _ring_team(self, team: str) -> Json:
        endpoints = [
            {"endpoint_type": "user", "id": self._person()[0], "delay": str(5 * place), "timeout": "20"}
            for place in range(self._random.randint(2, 4))
        ]
        data = {"name": team, "strategy": "simultaneous", "timeout": 20, "endpoints": endpoints, "repeats": 1}
        busy = self._node("play", {"id": "/system_media/en-us%2Fuser-busy", "answer": True})
        return self._node("ring_group", data, {"_": self._voicemail(team), "sip:486": busy})

    def _menu(self, name: str) -> Json:
        routes = {str(digit): self._ring_user() for digit in range(1, self._random.randint(3, 5))}
        routes["0"] = self._ring_team("Reception")
        routes["timeout"] = self._ring_team("Support")
        routes["_"] = self._node("hangup", {})
        return self._node("menu", {"id": self._reference("menu", name)}, routes)

    # --- documents ---

    def _main_menu(self) -> Json:
        return {"name": "Main menu", "type": "main", "numbers": [self._outside()], "flow": self._menu("Main menu")}

    def _after_hours(self) -> Json:
        hours, holidays = self._reference("temporal_rule", "Office hours"), self._reference("temporal_rule", "Holidays")
        closed = self._node("play", {"id": self._reference("media", "We are closed")}, {"_": self._voicemail("Office")})
        routes = {hours: self._menu("Day menu"), holidays: closed, "_": self._voicemail("Office")}
        flow = self._node("temporal_route", {"timezone": "America/New_York", "rules": [hours, holidays]}, routes)
        return {
            "name": "After hours",
            "numbers": [self._outside(), "2000"],
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

    def _queue_menu(self) -> Json:
        team = self._random.choice(_TEAMS)
        waiting = self._node(
            "acdc_wait_time", {"id": self._reference("queue", team)}, {"60": self._voicemail(team), "_": {}}
        )
        return {"name": f"{team} queue", "numbers": [self._extension()], "flow": waiting, "flags": ["queue"]}

    def _voicemail_code(self) -> Json:
        return {
            "name": None,
            "numbers": [],
            "patterns": ["^\\*97$"],
            "featurecode": {"name": "voicemail[action=check]", "number": "97"},
            "flow": self._node("voicemail", {"action": "check"}),
        }

    def _user(self) -> Json:
        user, name = self._person()
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

    def _number_only(self) -> Json:
        return {"numbers": [self._outside()], "flow": self._ring_user("20")}

    def _park_code(self) -> Json:
        code = f"*{300 + self._number}"
        return {
            "patterns": [f"^\\{code}([0-9]*)$"],
            "featurecode": {"name": "park_and_retrieve", "number": code[1:]},
            "flow": self._node("park", {"slot": "1"}, {"MAX_SLOT_EXCEEDED": self._ring_team("Reception")}),
        }

    def _conference(self) -> Json:
        room = self._reference("conference", f"Room {self._number}")
        return {
            "name": f"Room {self._number}",
            "type": "conference",
            "numbers": [self._extension()],
            "flow": self._node("conference", {"id": room, "welcome_prompt": {"play": True}}),
        }

    def _fax(self) -> Json:
        box = self._reference("faxbox", "Office fax")
        detect = self._node(
            "fax_detect", {"duration": 3}, {"ON_FAX": self._node("faxbox", {"id": box}), "ON_VOICE": self._ring_user()}
        )
        return {"name": "Fax", "type": "faxing", "numbers": [self._outside()], "flow": detect}

    def _page_group(self) -> Json:
        endpoints = [{"endpoint_type": "device", "id": self._reference("device", f"Phone {each}")} for each in range(3)]
        return {
            "name": "Paging",
            "numbers": [self._extension()],
            "flow": self._node("page_group", {"name": "Paging", "endpoints": endpoints, "audio": "one-way"}),
        }

    def _by_caller(self) -> Json:
        routes = {"+14155550100": self._ring_user(), "nomatch": self._ring_team("Sales")}
        return {
            "name": "By caller",
            "numbers": [self._extension()],
            "flow": self._node("check_cid", {"use_absolute_mode": True}, routes),
        }
