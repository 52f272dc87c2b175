"""The report: what is in the file, and what a person does with it in a browser."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from flows import ANN, HOSTILE, callflow, deep, everything, hostile, node, render, wide
from webdriver import CHROMEDRIVER, CHROMIUM, Browser

from vinix_async import (
    Account,
    AccountPage,
    BadItem,
    BadRequestError,
    Callflow,
    DecodeError,
    PermissionDeniedError,
    ServerError,
    VinixError,
    structure,
)
from vinix_async.cli.drawing.page import account_block, data_block, page_row, report, write_report
from vinix_async.cli.export import Ending
from vinix_async.sandbox import Sandbox

in_chromium = pytest.mark.skipif(
    not (CHROMIUM and CHROMEDRIVER), reason="Chromium is not installed: apt-get install chromium chromium-driver"
)


def page_of(*accounts: str, title: str = "Callflows", complete: bool = True) -> str:
    return "".join(report(title, accounts, complete=complete))


def blocks(text: str) -> list[Any]:
    return [json.loads(data) for data in re.findall(r"class=account>(.*?)</script>", text)]


def test_each_account_is_written_when_it_comes() -> None:
    come: list[str] = []

    def accounts() -> Iterator[str]:
        for place in range(3):
            come.append(str(place))
            yield account_block(Account(id=str(place), name=f"Account {place}"), [everything()])

    parts = report("All & <more>", accounts(), complete=True)
    text = next(parts)
    for place in range(3):
        assert len(come) == place
        text += next(parts)
        assert len(blocks(text)) == place + 1
    text += "".join(parts)
    assert "<title>All &amp; &lt;more&gt;</title>" in text
    assert '{"complete":true}' in text
    assert text.count("</html>") == 1


def test_an_incomplete_report_is_a_whole_page_that_says_so() -> None:
    text = page_of(account_block(Account(id="1")), complete=False)
    assert '{"complete":false}' in text
    assert text.endswith("</html>\n")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ServerError("down", status=503, detail="later"), "503 down - later"),
        (BadRequestError("no", status=400, problems=("a: required",)), "400 no\na: required"),
        (DecodeError("odd", problems=("$.data: expected str",)), "odd\n$.data: expected str"),
        (VinixError("plain"), "plain"),
    ],
)
def test_what_failed_and_why(error: VinixError, reason: str) -> None:
    error.request_id, error.attempts, error.start_key = "req-7", 5, "key"
    (account,) = blocks(account_block(Account(id="a b"), error=error, retry="vinix report 'a b'"))
    assert account[4] == {
        "kind": type(error).__name__,
        "reason": reason,
        "request_id": "req-7",
        "attempts": 5,
        "next": "key",
        "retry": "vinix report 'a b'",
    }


def test_data_in_a_page_has_no_letter_of_markup() -> None:
    value = ["</script ", "<!--<script>", "&lt;", "\u2028"]
    text = data_block(value, "class=account").removeprefix('<script type="application/json" class=account>')
    inside = text.removesuffix("</script>\n")
    assert json.loads(inside) == value
    assert not set("<>&") & set(inside)


def test_a_listing_without_flows_names_its_modules() -> None:
    text = account_block(Account(id="1"), [structure({"id": "x", "modules": ["menu"]}, Callflow)])
    assert blocks(text)[0][7][0][5:] == [None, ["menu"], []]


def test_findings_are_of_whole_accounts(tmp_path: Path) -> None:
    jumps = [callflow(node("callflow", {"id": each * 32}, _=node("hangup")), id=each * 32) for each in "abcd"]
    gone = callflow(node("callflow", {"id": "e" * 32}, _=node("hangup")), id="f" * 32)
    whole, begun, broken = (Account(id=each, name=each.title()) for each in ("whole", "begun", "broken"))
    pages = [
        AccountPage(account=whole, items=tuple(jumps[:2]), next_start_key="next"),
        AccountPage(account=begun, items=(gone,), next_start_key="next"),
        AccountPage(account=broken, items=(gone,)),
        AccountPage(account=whole, items=(*jumps[2:], gone)),
        AccountPage(account=Account(id="empty")),
    ]
    rows, to = tmp_path / "rows", tmp_path / "page.html"
    rows.write_bytes(b"".join(map(page_row, pages)))
    bad = BadItem(account_id="broken", id=None, index=1, error=DecodeError("odd"))
    problem = AccountPage(account=broken, bad_items=(bad,))
    shut = AccountPage(account=Account(id="shut"), error=ServerError("down", status=503))

    def codes(*, filtered: bool) -> dict[str, tuple[int, bool]]:
        ending = Ending(problems=[problem, shut])
        write_report(to, rows, None, filtered=filtered, ending=ending, retry=str)
        return {
            account_id: (len(flows), "J201" in {code for flow in flows for code, *_ in flow[7]})
            for account_id, *_, flows in blocks(to.read_text(encoding="utf-8"))
        }

    expected = {"broken": (1, False), "shut": (0, False), "whole": (5, True), "begun": (1, False), "empty": (0, False)}
    assert codes(filtered=False) == expected
    assert codes(filtered=True) == {**expected, "whole": (5, False)}
    assert [name for _, name, *_ in blocks(to.read_text(encoding="utf-8"))] == ["Broken", "", "Whole", "Begun", ""]


# --- in Chromium -------------------------------------------------------------------------------------


JUMPER, FLAWED, ANN_S = "1" * 32, "6" * 32, "7" * 32


def flawed() -> Callflow:
    """Findings of each severity, secrets, members and a metaflow."""
    members = [{"id": ANN, "endpoint_type": "user", "delay": "5", "timeout": "20"}, {"id": "phone-7"}]
    ring = node("ring_group", {"name": "Sales", "endpoints": members, "timeout": 20}, **{"486": node("hangup")})
    conference = node(
        "conference", {"name": "Weekly", "config": {"member": {"pins": ["planted-7788"]}, "a": [[1], {}]}}
    )
    menu = node("menu", {"id": "m"}, **{"1": ring, "2": node("disa", {"pin": "planted-4711"}, _=conference)})
    hook = "https://bob:planted-url@example.com/hook?token=planted-query"
    metaflow = {"numbers": {"3": node("webhook", {"uri": hook}), "4": node("callflow", {"id": "c" * 32})}}
    return callflow(
        menu, id=FLAWED, name="Flawed", numbers=["7001"], metaflow=metaflow, metadata={ANN: {"name": "Ann Ash"}}
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    sandbox = Sandbox(accounts=3, callflows=30)
    jump = node("callflow", {"id": "c" * 32}, _=node("callflow", {"id": "elsewhere"}))
    odd = (
        hostile(),
        callflow(jump, id=JUMPER, name="Jumper"),
        callflow(None, id="2" * 32, name="No flow"),
        wide(9, id="3" * 32, name="Wide"),
        deep(20, id="4" * 32, name="Deep"),
        structure({"id": "5" * 32, "name": "A row", "modules": ["menu", "user"]}, Callflow),
        flawed(),
        callflow(node("user", {"id": ANN}), id=ANN_S, name="Ann's own", numbers=["7002"], owner_id=ANN),
    )
    found = []
    for place, account_id in enumerate(sandbox.account_ids):
        documents = (sandbox.document(account_id, each) for each in sandbox.callflow_ids(account_id))
        flows = [structure(each, Callflow) for each in documents]
        found.append(account_block(Account(id=account_id, name=f"Cedar {place}"), flows))
    found.append(account_block(Account(id="odd", name="Oddities"), odd))
    error = PermissionDeniedError("forbidden", status=403, request_id="req-403", attempts=1)
    shut = Account(id="shut", name="Shut out")
    bad = BadItem(account_id="shut", id="b" * 32, index=3, error=DecodeError("numbers is wrong"))
    retry = "vinix report --resume x"
    found.append(account_block(shut, [everything()], complete=False, bad_items=[bad], error=error, retry=retry))
    text = page_of(*found, title="Nightly")
    assert "planted-" not in text
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def shown(browser: Browser, page: Path) -> Iterator[Browser]:
    """The report, in a window of a laptop's size; nothing may have gone wrong when the test is over."""
    browser.look(1280, 800)
    browser.open(page)
    yield browser
    quiet(browser, page)


def quiet(browser: Browser, page: Path) -> None:
    assert browser.log("browser") == []
    assert set(browser.requests()) == {page.as_uri()}


def listed(browser: Browser) -> list[str]:
    found: list[str] = browser.run(
        "return [...document.querySelectorAll('#rows .row .title')].map((each) => each.textContent)"
    )
    return found


def tabs(browser: Browser) -> dict[str, str]:
    found: dict[str, str] = browser.run(
        "return Object.fromEntries([...document.querySelectorAll('[role=tab]:not([hidden])')]"
        ".map((each) => [each.dataset.tab, each.querySelector('b').textContent]))"
    )
    return found


def heading(browser: Browser) -> str:
    return str(browser.run("return document.querySelector('#about h1').textContent"))


def modules(browser: Browser) -> list[str]:
    found: list[str] = browser.run(
        "return [...document.querySelectorAll('#picture .label, #picture .more text')].map((each) => each.textContent)"
    )
    return found


def focused(browser: Browser) -> str:
    return str(browser.run("return document.activeElement.getAttribute('aria-label') || document.activeElement.id"))


def text_of(browser: Browser, element: str) -> str:
    return str(browser.run("return document.getElementById(arguments[0]).innerText", element))


def tick(browser: Browser) -> None:
    """Let the page handle a change of its address."""
    browser.run("return new Promise((done) => setTimeout(done))")


@in_chromium
def test_it_opens_with_everything_counted(shown: Browser) -> None:
    counts = tabs(shown)
    assert int(counts["callflows"]) + int(counts["codes"]) == 99
    assert (counts["accounts"], counts["failed"]) == ("5", "1")
    assert int(counts["codes"]) >= 3
    assert heading(shown) == "Nightly"
    tiles = shown.run("return [...document.querySelectorAll('.tiles a')].map((each) => each.textContent)")
    assert tiles[:2] == ["5Accounts", f"{counts['callflows']}Callflows"]
    assert "PermissionDeniedError: 403 forbidden" in text_of(shown, "about")
    rows = shown.run("return [...document.querySelectorAll('.codes b')].map((each) => each.textContent)")
    assert sum(int(each.replace(",", "")) for each in rows) == int(counts["findings"].replace(",", ""))


@in_chromium
def test_findings_are_filtered_and_lead_to_their_box(shown: Browser, page: Path) -> None:
    shown.run("[...document.querySelectorAll('.codes a')].find((each) => /^B401/.test(each.textContent)).click()")
    tick(shown)
    shown.run(
        "const every = document.querySelector('[name=account]');"
        "every.value = 'odd'; every.dispatchEvent(new Event('change'))"
    )
    assert listed(shown) == ["Flawed"]
    assert shown.run("return location.hash") == "#?tab=findings&code=B401&account=odd"
    shown.run("document.querySelector('#rows .row').click()")
    assert heading(shown) == "Flawed"
    assert (
        focused(shown)
        == "key 1, Ring Group · ring_group · Sales · 20 s · Ann Ash after 5 s · phone-7, has a finding: warning"
    )
    marks = "return [...document.querySelectorAll('.mark')].map((each) => each.getAttribute('class'))"
    assert "mark warning" in shown.run(marks)
    details = text_of(shown, "details")
    explanation = "Hangup causes are in upper case"
    for said in ("Ring Group", "B401", "sip:486", explanation, "endpoints", "Ann Ash", "delay 5", "timeout 20"):
        assert said in details, said
    assert "Ann Ash is also used in" in details
    for said in ("Ann's own", "the callflow itself", "User"):
        assert said in details.partition("is also used in")[2]
    shown.press("Escape")
    assert not shown.run("return document.getElementById('details').offsetParent")
    assert "Flawed" in heading(shown)


@in_chromium
def test_details_of_boxes_by_keyboard(shown: Browser, page: Path) -> None:
    shown.open(page, f"#odd/{FLAWED}/0")
    assert "7001" in text_of(shown, "about")
    shown.press("Down", "Down", "Right")
    details = text_of(shown, "details")
    assert details.splitlines()[1] == "DISA"
    assert "(hidden)" in details
    shown.press("Down")
    assert "(hidden)" in text_of(shown, "details")
    shown.press("End")
    assert "Leads to" in text_of(shown, "details")
    shown.press("Enter")
    assert heading(shown) == HOSTILE
    assert "Flawed" in text_of(shown, "about").partition("Reached from")[2]


@in_chromium
def test_jumps_in_and_out(shown: Browser, page: Path) -> None:
    shown.open(page, f"#odd/{JUMPER}")
    assert HOSTILE in text_of(shown, "about").partition("Leads to")[2]
    shown.run("document.querySelector('.jumps a').click()")
    tick(shown)
    assert heading(shown) == HOSTILE
    assert "Jumper" in text_of(shown, "about").partition("Reached from")[2]


@in_chromium
def test_search_open_and_back_by_keyboard(shown: Browser) -> None:
    shown.press("/", "jumper")
    assert listed(shown) == ["Oddities", "Jumper"]
    shown.press("Enter")
    assert heading(shown) == "Jumper"
    assert modules(shown) == ["Callflow", "Callflow"]
    assert focused(shown) == "Jumper · +15550001111"
    shown.press("Down", "Enter")
    assert heading(shown) == "Jumper"  # the first Enter shows the details
    shown.press("Down", "Enter")
    assert heading(shown) == "Jumper"  # the other callflow is not in this file
    shown.press("Up", "Enter")
    assert heading(shown) == HOSTILE
    shown.press("Escape")
    assert (heading(shown), focused(shown)) == ("Nightly", "Results")
    shown.press("/", "Escape")
    assert len(listed(shown)) > 2
    shown.press("Escape", "Home", "Enter")
    assert heading(shown) == listed(shown)[1]  # headings of accounts are left out
    shown.press("Escape", "Down", "Up", "Up", "Enter")
    assert heading(shown) == listed(shown)[1]


@in_chromium
def test_search_finds_people_numbers_and_nothing(shown: Browser) -> None:
    for query, least in (("ann ash", 3), ("+1 (555) 000-1111", 2), ("ODDITIES wide", 2), ("\u00f3ddities wide", 2)):
        shown.run("document.getElementById('search').value = ''")
        shown.press("/", query)
        assert len(listed(shown)) >= least, query
        shown.press("Escape", "Escape")
    shown.press("/", "no such thing")
    assert listed(shown) == []
    assert "No matches" in shown.run("return document.getElementById('rows').innerText")
    assert shown.run("return document.getElementById('status').textContent") == "0 found"


@in_chromium
def test_what_failed_is_a_tab_of_its_own(shown: Browser) -> None:
    shown.run("document.querySelector('[data-tab=failed]').click(); document.querySelector('.row').click()")
    shown.run("return new Promise((done) => setTimeout(done))")
    about = shown.run("return document.getElementById('about').innerText")
    for said in (
        "Shut out",
        "PermissionDeniedError",
        "403 forbidden",
        "req-403",
        "vinix report --resume x",
        "1 callflow",
    ):
        assert said in about
    shown.run("document.querySelector('[data-tab=codes]').focus()")
    shown.press("Left")
    assert shown.run("return document.activeElement.dataset.tab") == "callflows"
    shown.run("document.querySelector('[data-tab=codes]').click()")
    assert "voicemail[action=check]" in listed(shown)
    assert "Main menu" not in listed(shown)


@in_chromium
def test_what_could_not_be_read_is_named(shown: Browser, page: Path) -> None:
    assert "1 item could not be read" in shown.run("return document.getElementById('about').innerText")
    shown.open(page, "#shut")
    about = shown.run("return document.getElementById('about').innerText")
    for said in ("1 item could not be read", "b" * 32, "DecodeError: numbers is wrong", "vinix report --resume x"):
        assert said in about
    assert "Read in" not in about


@in_chromium
def test_hostile_names_are_text_in_the_page(shown: Browser) -> None:
    shown.press("/", "alert(1)", "Enter")
    assert heading(shown) == HOSTILE
    assert shown.run("return document.querySelectorAll('img, #about script, #picture script').length") == 0
    assert r"\x1b[31m\u202e" in shown.run("return document.querySelector('#picture').textContent")


@in_chromium
def test_large_flows_open_folded_and_unfold(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "large.html"
    flows = wide(999, id="3" * 32, name="Wide"), deep(2_000, id="4" * 32, name="Deep")
    path.write_text(page_of(account_block(Account(id="odd", name="Oddities"), flows)), encoding="utf-8")
    browser.look(1280, 800)
    browser.open(path)
    browser.press("/", "Wide", "Enter")
    first = modules(browser)
    assert len(first) == 26
    assert first[-1] == "+ 1,974 more"
    browser.press("End", "Enter")
    assert modules(browser)[-1] == "+ 1,950 more"
    assert len(modules(browser)) == 26 + 24
    assert "user" in focused(browser)
    browser.run("document.getElementById('everything').click()")
    assert len(modules(browser)) == 1999
    browser.press("/", "Deep", "Enter")
    assert modules(browser)[-1] == "+ 1,920 more"
    browser.run("document.getElementById('everything').click()")
    assert len(modules(browser)) == 2_000
    quiet(browser, path)


@in_chromium
def test_boxes_close_and_open(shown: Browser, page: Path) -> None:
    shown.open(page, "#shut/" + "c" * 32)
    whole = modules(shown)
    shown.press("Down", "Down", "Right", "Right", "Enter")  # the default of the time of day
    assert focused(shown).startswith("other times, Menu")
    assert modules(shown) == whole
    shown.press("Enter")
    assert modules(shown)[-1] == "+ 10 more"
    shown.press("Enter")
    assert modules(shown) == whole
    sizes = "return document.querySelector('#picture svg').getAttribute('width')"
    before = shown.run(sizes)
    shown.run("document.getElementById('out').click()")
    assert float(shown.run(sizes)) < float(before)
    shown.run("document.getElementById('in').click(); document.getElementById('fit').click()")
    inside = "const p = document.getElementById('picture'); return p.scrollWidth <= p.clientWidth"
    assert shown.run(inside)
    shown.run("document.getElementById('tree').click()")
    assert not shown.run(inside)
    shown.press("Escape")


@in_chromium
def test_what_has_no_picture_says_why(shown: Browser, page: Path) -> None:
    for fragment, said in (("2", "has no flow"), ("5", "listed without its flow. Modules: menu, user.")):
        shown.open(page, "#odd/" + fragment * 32)
        assert said in shown.run("return document.getElementById('about').innerText")
        assert modules(shown) == []
    shown.open(page, "#odd/%E0%A4%A")  # an address that is none
    assert heading(shown) == "Nightly"


@in_chromium
def test_what_is_open_is_in_sight_in_the_list(shown: Browser, page: Path) -> None:
    shown.open(page, "#shut/" + "c" * 32)
    inside = (
        "const [row, list] = ['.row.chosen', '#list']"
        ".map((each) => document.querySelector(each).getBoundingClientRect());"
        "return row.top > list.top - 1 && row.bottom < list.bottom + 1"  # heights are rounded
    )
    assert shown.run(inside)
    assert shown.run("return document.querySelector('.chosen .title').textContent") == "Main"


@in_chromium
def test_at_phone_width_there_is_one_thing_at_a_time(shown: Browser, page: Path) -> None:
    shown.look(390, 844, dark=True)
    shown.open(page)
    visible = "return ['aside', 'main'].filter((each) => document.querySelector(each).offsetParent)"
    assert shown.run(visible) == ["main"]
    assert shown.run("return document.documentElement.scrollWidth") == 390
    shown.run("document.querySelector('.tiles a:nth-child(2)').click()")
    tick(shown)
    assert shown.run(visible) == ["aside"]
    shown.press("/", "Main menu", "Enter")
    assert shown.run(visible) == ["main"]
    assert shown.run("return document.documentElement.scrollWidth") == 390
    shown.run("document.getElementById('back').click()")
    assert shown.run(visible) == ["aside"]
    shown.run("document.getElementById('name').click()")
    tick(shown)
    assert (shown.run(visible), heading(shown)) == (["main"], "Nightly")
    assert shown.run("return getComputedStyle(document.body).backgroundColor") == "rgb(14, 19, 27)"


CONTRAST = """
const value = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map((part) => {
  const share = part / 255; return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4; });
const weights = [0.2126, 0.7152, 0.0722];
const light = (colour) => value(colour).reduce((sum, part, place) => sum + part * weights[place], 0);
const probe = document.body.appendChild(document.createElement("i"));
const shade = (name) => { probe.style.color = `var(--${name})`; return light(getComputedStyle(probe).color); };
const ratio = (...both) => {
  const [low, high] = both.map(shade).sort((a, b) => a - b); return (high + 0.05) / (low + 0.05); };
const pairs = [["head-ink", "head"], ["head-soft", "head"]];
for (const ground of ["ground", "panel", "pill"]) for (const ink of ["ink", "soft", "link"]) pairs.push([ink, ground]);
for (const kind of ["route", "people", "voice", "jump", "end", "other"]) pairs.push([kind, "panel"]);
return pairs.map(([one, other]) => [one, other, ratio(one, other)]);
"""


@in_chromium
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast(shown: Browser, theme: str) -> None:
    shown.look(1280, 800, dark=theme == "dark")
    assert [pair for pair in shown.run(CONTRAST) if pair[2] < 4.5] == []


@in_chromium
def test_the_page_of_one_callflow(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "one.html"
    path.write_text(render(everything(), "html"), encoding="utf-8")
    browser.look(1280, 800)
    browser.open(path)
    assert heading(browser) == "Main"
    assert len(modules(browser)) == 18
    assert browser.run("return document.querySelectorAll('.mark').length") > 0
    assert not browser.run("return document.querySelector('aside').offsetParent")
    assert browser.run("return document.querySelectorAll('#picture .link').length") == 2
    browser.press("Escape", "Down")
    assert focused(browser) == "Time of Day · temporal_route"
    quiet(browser, path)


@in_chromium
def test_ten_thousand_callflows_stay_a_screenful_of_rows(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "large.html"
    one = callflow(node("user", {"name": "Ann"}, _=node("voicemail")))
    flows = (attrs.evolve(one, id=f"account-{each}", name=f"Flow account-{each}") for each in range(50))
    block = account_block(Account(id="account"), flows)
    alike = (block.replace('"account', f'"{each}').replace("Flow account", f"Flow {each}") for each in range(200))
    path.write_text(page_of(*alike), encoding="utf-8")
    assert path.stat().st_size < 15_000_000
    browser.open(path)
    assert tabs(browser)["callflows"] == "10,000"
    assert browser.run("return document.querySelectorAll('.row').length") < 50
    browser.press("/", "flow 199-49")
    assert listed(browser) == ["199", "Flow 199-49"]
    quiet(browser, path)
