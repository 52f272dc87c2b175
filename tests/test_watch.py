"""The watch over exchanges, on a clock that is set by hand."""

import math
from types import SimpleNamespace
from typing import Any

from vinix_async._http.watch import Watch


class Loop:
    """A clock, and the timers that were set and not cancelled."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[Any] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Any) -> Any:
        timer = SimpleNamespace(when=lambda: when, ring=callback)
        timer.cancel = lambda: self.timers.remove(timer)
        self.timers.append(timer)
        return timer

    def go_to(self, now: float) -> None:
        self.now = now
        for timer in [timer for timer in self.timers if timer.when() <= now]:
            self.timers.remove(timer)
            timer.ring()


class Connection:
    """One that counts how often it was aborted."""

    def __init__(self) -> None:
        self.aborted = 0
        self.transport: Any = self

    def abort(self) -> None:
        self.aborted += 1


def test_what_is_late_is_aborted_and_nothing_else() -> None:
    loop: Any = Loop()
    early, late, never = Connection(), Connection(), Connection()
    watched = Watch(loop)
    watched.begin(late, 3.0)
    watched.begin(early, 1.0)
    watched.begin(never, math.inf)
    loop.go_to(1.5)
    assert [each.aborted for each in (early, late, never)] == [1, 0, 0]
    loop.go_to(3.0)
    assert [each.aborted for each in (early, late, never)] == [1, 1, 0]
    assert [watched.end(each) for each in (early, late, never)] == [False, False, True]
    assert loop.timers == []


def test_one_timer_serves_all_and_is_not_set_again_for_each() -> None:
    loop: Any = Loop()
    watched = Watch(loop)
    for second in range(100):
        loop.now = float(second) / 10
        connection = Connection()
        watched.begin(connection, loop.now + 30.0)
        assert watched.end(connection)
        assert [timer.when() for timer in loop.timers] == [30.0]
    loop.go_to(30.0)
    assert loop.timers == []


def test_a_connection_that_was_let_go_is_left_alone() -> None:
    loop: Any = Loop()
    connection = Connection()
    watched = Watch(loop)
    watched.begin(connection, 1.0)
    connection.transport = None
    loop.go_to(2.0)
    assert not watched.end(connection)
    assert connection.aborted == 0


def test_nothing_rings_after_the_close() -> None:
    loop: Any = Loop()
    connection = Connection()
    watched = Watch(loop)
    watched.close()
    watched.begin(connection, 1.0)
    watched.close()
    loop.go_to(2.0)
    assert connection.aborted == 0
