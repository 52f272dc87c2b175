"""Inputs that pictures, tables and pages once showed wrongly; each test begins with the id of its report."""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_support import Command, served
from flows import Kind, callflow, deep, node, render, wide
from rich.console import Console
from webdriver import CHROMEDRIVER, CHROMIUM, Browser

from vinix_async import Account, Callflow, structure
from vinix_async._columns import cells
from vinix_async.cli.drawing.diagram import diagram
from vinix_async.cli.drawing.page import account_block
from vinix_async.cli.drawing.page import report as report_page
from vinix_async.cli.drawing.text_width import TEXT_STYLES, fit
from vinix_async.cli.names import display, feature_code, numbers, title
from vinix_async.cli.show import tables
from vinix_async.cli.table import callflow_columns, callflow_table
from vinix_async.cli.text import printable, printable_json
from vinix_async.flows import label
from vinix_async.sandbox import Sandbox

KINDS: tuple[Kind, ...] = ("tree", "mermaid", "svg", "html")

in_chromium = pytest.mark.skipif(
    not (CHROMIUM and CHROMEDRIVER), reason="Chromium is not installed: apt-get install chromium chromium-driver"
)


def printed(*what: Any) -> str:
    console = Console(file=io.StringIO(), width=300, color_system=None)
    console.print(*what)
    return str(console.file.getvalue())  # type: ignore[attr-defined]  # it is the StringIO


def listed(flow: Callflow) -> str:
    table = callflow_table([flow], callflow_columns(300, [flow]), header=True)
    return printed(table)


def report(*flows: Callflow) -> str:
    return "".join(report_page("Callflows", [account_block(Account(id="a"), flows)], complete=True))


def every_output(flow: Callflow) -> dict[str, str]:
    """What people look at; exports have the data as it came."""
    pictures: dict[str, str] = {kind: render(flow, kind) for kind in KINDS}
    return {**pictures, "table": listed(flow), "show": printed(*tables(flow)), "report": report(flow)}


def first_name(flow: Callflow) -> str:
    return " · ".join(diagram(flow)[1].lines)


# --- P1: secrets in URLs -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "data", "shown"),
    [
        ("play", {"id": "http_cache://bob:s3cret@media.example.com"}, "media.example.com"),
        ("play", {"id": "https://h.example/a.wav;token=s3cret"}, "a.wav"),
        ("play", {"id": "https://h.example/a%20b.wav%3Ftoken%3Ds3cret"}, "a b.wav"),
        ("play", {"id": "/account/a.wav?token=s3cret"}, "a.wav"),
        ("transfer", {"target": "sip:bob:s3cret@pbx.example.com"}, "sip:pbx.example.com"),
        ("transfer", {"target": "sip:1001@pbx.example.com;token=s3cret"}, "sip:1001@pbx.example.com"),
        ("transfer", {"target": "bob:s3cret@pbx.example.com"}, "pbx.example.com"),
        ("pivot", {"name": "https://bob:s3cret@h.example/x?key=s3cret"}, "https://h.example/x"),
        ("tts", {"text": ["Hello", "wss://bob:s3cret@h.example/x"]}, "Hello, wss://h.example/x"),
    ],
)
def test_p1_no_output_shows_a_secret_of_a_url(module: str, data: dict[str, Any], shown: str) -> None:
    flow = callflow(node(module, data))
    assert first_name(flow) == shown
    assert [kind for kind, text in every_output(flow).items() if "s3cret" in text] == []


def test_p1_nor_in_a_name_a_number_a_label_a_module_or_metadata() -> None:
    url = "ftp://bob:s3cret@h.example"
    flow = callflow(
        node(url, {"id": "b" * 32}, **{url: node("callflow", {"id": url}), "_": node("user")}),
        name=url,
        numbers=[url + "/1"],
        patterns=[url + "/2"],
        type=url,
        featurecode={"name": url, "number": url + "/3"},
        metadata={"b" * 32: {"name": url}},
    )
    assert [kind for kind, text in every_output(flow).items() if "s3cret" in text] == []
    assert "h.example/1" in render(flow, "tree")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("HTTPS://BOB:s3cret@H.example/x", "HTTPS://H.example/x"),
        ("https://s3cret@h.example/x", "https://h.example/x"),
        ("https://:s3cret@h.example:8443/x", "https://h.example:8443/x"),
        ("https://bob:s3cret@[::1]:80/x#s3cret", "https://[::1]:80/x"),
        ("//bob:s3cret@h.example/x", "//h.example/x"),
        ("http:bob:s3cret@h.example", "http:h.example"),
        ("mailto:bob@h.example", "mailto:h.example"),
        ("sips:1001@pbx.example.com", "sips:1001@pbx.example.com"),
        ("sip:1001;phone-context=s3cret@gw", "sip:1001@gw"),
        ("sip:bob%3As3cret@gw", "sip:gw"),
        ("tel:+15550001111;ext=s3cret", "tel:+15550001111"),
        ('"Bob" <sip:bob:s3cret@gw;x=s3cret>', '"Bob" <sip:gw>'),
        ("see https://h/x and sip:5@h;a=s3cret now", "see https://h/x and sip:5@h now"),
        ("https://h/x?t=s3 cret", "https://h/x…"),
        ("https://h/x y?s3 cret", "https://h/x y…"),
        ("https://s3?cret@h/x", "https://…"),
        ("https://s3 cret@h/x", "https://…"),
        ("://s3cret@h/x", "://h/x"),
        ('sip:"bob:s3cret@h"', "sip:…"),
        ("https://h/a;key=s3cret/b.wav", "https://h/a/b.wav"),
        ("https://h/a%253Ftoken=s3cret", "https://h/a"),
        ("https://h/a&token=s3cret", "https://h/a"),
        ("https://proxy/https://bob:s3cret@h/x", "https://proxy/…"),
        ("https://proxy/https%3A%2F%2Fbob%3As3cret%40h", "https://proxy/…"),
        ("file_string://https://bob:s3cret@h/a.wav!https://eve:s3cret@h/b.wav", "file_string://…"),
        ("https%3A%2F%2Fbob%3As3cret%40h%2Fa.wav", "https%3A%2F%2F…"),
        ("see ftp%253a%252f%252fbob%253as3cret%2540h", "see ftp%253a%252f%252f…"),
        ("sip%3Abob%3As3cret%40h", "sip%3A…"),
        ("bob%3As3cret%40h", "…"),
        ("<sip_auth_password=s3cret>sofia/gateway/gw/1001", "sofia/gateway/gw/1001"),
        ("<a=s3cret>[b=s3cret]user/1001", "user/1001"),
        ("{sip_auth_password=s3cret}sofia/gateway/gw/1001", "sofia/gateway/gw/1001"),
        ("http_cache://{password=s3cret}http://h/a.wav", "http_cache://http://h/a.wav"),
        ("sofia/internal/bob:s3cret@h.example", "sofia/internal/h.example"),
        ("user/1001|bob:s3cret@h.example", "user/1001|h.example"),
        ("https://bob:s3/cret@h", "https://…"),
        ("https://bob:12?cret@h", "https://…"),
        ("https://bob:s3 cret@h/x", "https://…"),
        ("https://bob:p@s3cret/x@h", "https://…"),
    ],
)
def test_p1_siblings(text: str, shown: str) -> None:
    assert display(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        *(
            "Open 9:00-17:30",
            "Sales: day & night; 5",
            "What? Who!",
            "R&B; a?",
            "a@b.example",
            "voicemail[action=check]",
            "a%3Ab",
            "50%40 off",
            '<speak version="1.0">Hello</speak>',
            "x<y=z>w",
        ),
        *("sip:*97@pbx", "tel:(555)123-456", "sip:pbx.example.com:5060", "https://h.example:8080/a/b.wav", "Hotel: #1"),
    ],
)
def test_p1_what_has_no_secret_stays(text: str) -> None:
    assert display(text) == text


@pytest.mark.parametrize(
    "part", ["a", "a:", "/a:", "[a=", "http://h ", "?a=", "|a", "a%3a", "a%25", "<a=", "sip:a@b ", "%25", "//a"]
)
def test_p1_long_texts_take_no_long_time(part: str) -> None:
    assert len(display(part * 20_000)) <= len(part) * 20_000  # it must end: the test's timeout is the measure


# --- P2: feature codes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "code", "dialled"),
    [
        ({"patterns": ["^\\*\\*([0-9]*)$"], "featurecode": {"name": "direct", "number": "\\*"}}, "**", 2),
        ({"numbers": ["6683"], "featurecode": {"name": "move", "number": "6683"}}, "6683", 1),
        ({"featurecode": {"name": "forward"}}, "", 0),
        ({"featurecode": {"number": "72"}}, "72", 1),
        ({"numbers": ["*72"], "featurecode": {"name": "on", "number": "72"}}, "*72", 1),
        ({"numbers": ["72"], "featurecode": {"name": "on", "number": "*72"}}, "*72", 2),
        ({"patterns": ["^\\*3([0-9]*)$"], "featurecode": {"name": "park", "number": "3"}}, "*3", 2),
        ({"patterns": ["^(\\*3)$"], "featurecode": {"name": "park", "number": "3"}}, "*3", 2),
        ({"patterns": ["^[*]3$"], "featurecode": {"name": "park", "number": "3"}}, "*3", 2),
        ({"patterns": ["^\\*?3$"], "featurecode": {"name": "park", "number": "3"}}, "3", 2),
        ({"patterns": ["^3$"], "featurecode": {"name": "park", "number": "3"}}, "3", 2),
        ({"patterns": ["^\\*(\\d+$"], "featurecode": {"name": "odd", "number": "("}}, "*(", 2),
    ],
)
def test_p2_a_feature_code_is_what_is_dialled(fields: dict[str, Any], code: str, dialled: int) -> None:
    flow = structure({"id": "i", **fields}, Callflow)
    assert feature_code(flow) == code
    assert len(numbers(flow)) == dialled
    assert title(flow) == (fields["featurecode"].get("name") or code)
    for kind, text in every_output(flow).items():
        assert "None" not in text.replace("'none'", ""), kind
        assert code in text or kind == "mermaid"  # where a star has joiners
    assert re.search(
        rf"feature code +{re.escape(' '.join(filter(None, (code, fields['featurecode'].get('name')))))} *\n",
        printed(*tables(flow)),
    )


# --- P3 and P11: what a node says of itself ----------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "data", "name"),
    [
        pytest.param("branch_variable", {"variable": ["call", "priority"]}, "call.priority", id="P3"),
        pytest.param("branch_variable", {"variable": "priority"}, "priority", id="P3-text"),
        pytest.param("tts", {"text": ["Hello", 5]}, "Hello, 5", id="P3-other-list"),
        pytest.param("transfer", {"target": [["1", "2"], None, {}]}, "1, 2", id="P3-nested"),
        pytest.param("sleep", {"duration": 1.5}, "1.5", id="P3-number"),
        pytest.param("sleep", {"duration": True}, "", id="P3-switch"),
        pytest.param("play", {"id": "tone_stream://v=-7;%(100,0,440)"}, "tone", id="P11"),
        pytest.param("play", {"id": "{loops=3}tone_stream://%(100,0,440)/x"}, "tone", id="P11-variables"),
        pytest.param("play", {"id": "TONE_STREAM://x"}, "tone", id="P11-upper"),
        pytest.param("play", {"id": "%(2000,4000,440,480)"}, "tone", id="P11-bare"),
        pytest.param("play", {"id": "silence_stream://250"}, "silence", id="P11-silence"),
        pytest.param("play", {"id": "local_stream://moh"}, "moh", id="P11-other-stream"),
    ],
)
def test_p3_p11_names(module: str, data: dict[str, Any], name: str) -> None:
    flow = callflow(node(module, data))
    assert first_name(flow) == name
    assert f">{name}</text>" in render(flow, "svg") or not name
    assert name in printed(*tables(flow))


# --- P4: escapes -------------------------------------------------------------------------------------

SHOWN = (
    "\u3000\u00a0\u2009\u1680\u00ad\u200b\u200c\u200d\u200e\u200f\u061c\u2060\ufeff\u0600\U000e0067"
    "\U0001f469\U0001fae8\ufe0f\u0301"
)
ESCAPED = (
    "\x1b\t\n\r\x00\x7f\x85\x9b\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u206a"
    "\ufff9\ufffe\uffff\ufdd0\ue000\U000e0001\ud800"
)


def test_p4_one_rule_for_what_is_an_escape() -> None:
    assert printable(SHOWN) == SHOWN
    for letter in ESCAPED:
        assert printable(letter) == letter.encode("unicode_escape").decode()
    assert printable("a\n\tb", lines=True) == "a\n\\tb"
    text = json.dumps(SHOWN + ESCAPED, ensure_ascii=False)
    escaped = printable_json(text)
    assert SHOWN in escaped
    assert not set(ESCAPED) & set(escaped)
    assert json.loads(escaped) == SHOWN + ESCAPED


@pytest.mark.parametrize(
    "name",
    [
        "東京\u3000本社",
        "\U0001f469\u200d\U0001f469\u200d\U0001f467 family",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "12\u00a0h",
    ],
)
def test_p4_names_are_shown_as_they_are(name: str) -> None:
    texts = every_output(callflow(node("user", {"name": name}), name=name))
    texts.pop("mermaid")  # which has its own escapes
    assert [kind for kind, text in texts.items() if name not in text] == []
    escaped = every_output(callflow(node("user", {"name": name + "\x1b\u202e"}), name="\x1b\u202e" + name))
    assert [kind for kind, text in escaped.items() if "\x1b" in text or "\u202e" in text] == []


# --- P5 and P6: Mermaid ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("1. Main line", "\u20601. Main line"),
        ("2) Main line", "\u20602) Main line"),
        ("- Night -", "\u2060- Night -"),
        ("+ Night", "\u2060+ Night"),
        ("# Night", "\u2060#35;\u2060 Night"),
        ("http://h.example", "http:\u2060//h.example"),
        ("WWW.h.example", "WWW\u2060.h.example"),
        ("a@h.example", "a\u2060#64;h.example"),
        (
            "**a** __b__",
            "\u2060"
            + "\ufeff#42;\ufeff" * 2
            + "a"
            + "\ufeff#42;\ufeff" * 2
            + " "
            + "\u2060_\u2060" * 2
            + "b"
            + "\u2060_\u2060" * 2,
        ),
        ("~~a~~", "\u2060" + "\ufeff#126;\ufeff" * 2 + "a" + "\ufeff#126;\ufeff" * 2),
        ("`a`", "\u2060\u02cba\u02cb"),
        ("[a](b)", "\u2060#91;a#93;\u2060(b)"),
        (r"^\*5$", "\u2060#94;#92;\u2060\ufeff#42;\ufeff5#36;\u2060"),
        ("fa:fa-phone", "fa:\u2060fa-phone"),
        ("Sales, day 2", "Sales, day 2"),
    ],
)
def test_p5_mermaid_11_finds_no_markdown(name: str, label: str) -> None:
    flow = callflow(node("x", {"name": name}, **{name: node("hangup")}), name=name, numbers=[])
    text = render(flow, "mermaid")
    assert f'n0(["{label}"])' in text
    assert f'n1["x<br/>{label}"]' in text
    assert f'-->|"{label}"| n2' in text


@pytest.mark.parametrize(
    "name", ["Jump & number # with @ a long name |", "\U0001f600&#" * 20, "\u0301" * 1_000, "\U00020000" * 40]
)
def test_p6_the_fold_counts_characters(name: str) -> None:
    ids = [f"{place:032x}" for place in range(249)]
    jumps = {each: node("callflow", {"id": each}) for each in ids}
    flow = callflow(
        node("temporal_route", {"rules": ids}, **jumps), name=name, metadata={each: {"name": name} for each in ids}
    )
    text = render(flow, "mermaid")
    assert len(text.encode("utf-16-le")) // 2 <= 50_000
    shown = len(re.findall(r"^  n\d+\[", text, re.MULTILINE))
    more = [int(number) for number in re.findall(r"\+ (\d+) more", text)]
    assert shown - len(more) + sum(more) == 250
    assert shown > 20


def test_p6_a_target_is_linked_if_it_can_be_an_id() -> None:
    text = render(callflow(node("callflow", {"id": "x" * 100_000})), "mermaid")
    assert len(text) < 1000
    assert "click" not in text


# --- P7: the room for texts --------------------------------------------------------------------------

LABELS = (
    *("CHRISTMAS AND NEW YEAR", "THANKSGIVING WEEKEND CLOSED", "W" * 30, "MMMM MMMM", "日本語の祝日とお正月の営業時間"),
    *(
        "\U0001f469\u200d\U0001f469\u200d\U0001f467 family \U0001f600\U0001f1ec\U0001f1e7",
        "Ελληνικά Кириллица",
        "مرحبا بالعالم",
        "हिन्दी नाम",
    ),
    *("ﷺﷺﷺﷺ", "i" * 40, "1\ufe0f\u20e3 x", "a\u0301" * 20),
)

FITS = """
const box = (element) => element.getBoundingClientRect(), wrong = [];
const inside = (inner, outer) => inner.left > outer.left - 1 && inner.right < outer.right + 1;
const labels = [...document.querySelectorAll(".flow .pill")];
for (const group of document.querySelectorAll(".flow .pill, .flow .box, .flow .more")) {
  for (const text of group.querySelectorAll("text:not(.mark *)")) {
    if (!inside(box(text), box(group.querySelector("rect")))) wrong.push(text.textContent);
  }
}
for (const [place, label] of labels.entries()) for (const other of labels.slice(0, place)) {
  const [one, two] = [box(label), box(other)];
  const over = one.left < two.right && two.left < one.right && one.top < two.bottom && two.top < one.bottom;
  if (over) wrong.push([label.textContent, other.textContent]);
}
return [labels.length, wrong];
"""


def labelled() -> Callflow:
    branches = {f"{place:032x}": node("user", {"name": name}) for place, name in enumerate(LABELS)}
    names = {f"{place:032x}": {"name": name} for place, name in enumerate(LABELS)}
    return callflow(
        node("temporal_route", {"rules": list(branches)}, **branches), name="M" * 60, numbers=["W" * 60], metadata=names
    )


@in_chromium
@pytest.mark.parametrize("font", ["Arial", "DejaVu Sans", "monospace", "serif"])
@pytest.mark.parametrize(("kind", "width"), [("svg", 1440), ("html", 1440), ("html", 390)])
def test_p7_texts_keep_to_their_boxes_in_any_font(
    browser: Browser, tmp_path: Path, font: str, kind: Kind, width: int
) -> None:
    path = tmp_path / f"flow.{kind}"
    path.write_text(render(labelled(), kind), encoding="utf-8")
    browser.look(width, 900)
    browser.open(path)
    style = "for (const text of document.querySelectorAll('.flow text')) text.style.fontFamily = arguments[0]"
    browser.run(style, font)
    count, wrong = browser.run(FITS)
    assert count >= 11
    assert wrong == []


@in_chromium
def test_p7_the_page_measures_as_the_svg_does(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "flow.html"
    path.write_text(render(labelled(), "html"), encoding="utf-8")
    browser.open(path)
    cases = [(text, style, room) for text in LABELS for style in TEXT_STYLES for room in (60, 130, 1000)]
    measured = browser.run("return arguments[0].map((each) => fit(...each))", cases)
    for (text, style, room), (shown, width) in zip(cases, measured, strict=True):
        assert shown == fit(text, style, room)[0]
        assert width == pytest.approx(fit(text, style, room)[1], abs=0.06)
        assert width <= room + 0.1


@in_chromium
@pytest.mark.skipif(not Path("/usr/share/fonts/truetype/liberation").exists(), reason="needs fonts-liberation")
def test_p7_the_table_has_the_widths_of_the_font(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "flow.svg"
    path.write_text(render(labelled(), "svg"), encoding="utf-8")
    browser.open(path)
    script = """
        const text = document.createElementNS("http://www.w3.org/2000/svg", "text");
        text.setAttribute("style", "font-family: 'Liberation Sans'; font-kerning: none");
        text.setAttribute("font-size", arguments[1]), text.setAttribute("font-weight", arguments[2] ? 700 : 400);
        text.textContent = arguments[0], document.querySelector("svg").append(text);
        return text.getComputedTextLength();
    """
    for text in ("CHRISTMAS AND NEW YEAR", "Ünïcode WAVE, (1.5) …", "Ελληνικά Кириллица", "iiii|||'''", "€ ↑ “x”"):
        for style, (size, bold) in TEXT_STYLES.items():
            assert fit(text, style, 1000)[1] == pytest.approx(browser.run(script, text, size, bold), rel=0.01)


# --- P8: one place for names -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "data", "name"),
    [
        ("ring_group", {"name": "Sales", "endpoints": []}, "Sales"),
        ("play", {"id": "/system_media/en-us%2Fuser-busy"}, "en-us/user-busy"),
        ("user", {"id": "b" * 32}, "Ann Ash"),
        ("callflow", {"id": "d" * 32}, "dddddddd"),
        ("group_pickup", {"user_id": "b" * 32}, "Ann Ash"),
        ("branch_variable", {"variable": ["a", "b"]}, "a.b"),
    ],
)
def test_p8_the_table_names_what_the_tree_names(module: str, data: dict[str, Any], name: str) -> None:
    flow = callflow(
        node("menu", **{"_": node("hangup"), "1": node(module, data)}), metadata={"b" * 32: {"name": "Ann Ash"}}
    )
    assert f"key 1 → {label(module)}  {name}  {module}" in render(flow, "tree").replace("↗ ", "")
    assert re.search(rf"key 1 +{label(module)} +{re.escape(name)} +{module} *\n", printed(*tables(flow)))
    assert f">{name}</text>" in render(flow, "svg")


def test_p8_a_callflow_has_the_same_name_everywhere() -> None:
    flow = structure(
        {"id": "i", "featurecode": {"name": "park", "number": "3"}, "numbers": ["*3"], "flow": {}}, Callflow
    )
    assert render(flow, "tree") == "park  *3\n"
    assert re.search(r"park +\*3 ", listed(flow))
    assert '["i","park","",["*3"],1,' in report(flow)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with served(accounts=1, callflows=2) as running:
        yield running


def test_p8_in_a_terminal_too_the_account_s_names_are_known(vinix: Command, sandbox: Sandbox) -> None:
    other = sandbox.put(sandbox.root_id, {"name": "Night desk", "numbers": ["7001"], "flow": node("hangup")})
    jump = sandbox.put(sandbox.root_id, {"name": "Jump", "numbers": ["7002"], "flow": node("callflow", {"id": other})})
    for output in ("tree", "table", "mermaid", "svg"):
        assert "Night desk" in vinix("callflows", "show", "ROOT", jump, "--output", output).stdout, output


def test_l35_a_callflow_is_shown_although_its_listing_cannot_be_read(vinix: Command, sandbox: Sandbox) -> None:
    good = sandbox.put(sandbox.root_id, {"name": "Good", "numbers": ["7003"], "flow": node("hangup")})
    odd = sandbox.put(sandbox.root_id, {"name": 5, "numbers": ["7004"]})
    try:
        for output in ("tree", "table", "mermaid", "svg", "html"):
            done = vinix("callflows", "show", "ROOT", good, "--output", output)
            assert (done.returncode, "Good" in done.stdout) == (0, True), output
    finally:
        sandbox.remove(sandbox.root_id, odd)


# --- P9 and P10: the report ---------------------------------------------------------------------------


@in_chromium
def test_p9_a_picture_opens_as_wide_as_the_window_and_readable(browser: Browser, tmp_path: Path) -> None:
    sandbox = Sandbox(accounts=1, callflows=4)
    documents = [sandbox.document(sandbox.root_id, each) for each in sandbox.callflow_ids(sandbox.root_id)]
    after_hours = next(structure(each, Callflow) for each in documents if each["name"] == "After hours")
    metaflow = {"numbers": {str(each): node("hangup") for each in range(5)}}
    path = tmp_path / "report.html"
    flows = [after_hours, wide(300, id="1" * 32), deep(300, id="2" * 32, metaflow=metaflow), labelled()]
    path.write_text(report(*flows), encoding="utf-8")
    for width in (1440, 1024, 390):
        for flow in flows:
            browser.look(width, 900)
            browser.open(path, f"#a/{flow.id}")
            shown, whole, least = browser.run("""
                const host = document.getElementById("picture"), texts = [...host.querySelectorAll("text")];
                const sizes = texts.map((text) => text.getAttribute("font-size") * picture.scale);
                return [host.clientWidth, host.scrollWidth, Math.min(...sizes)];
            """)
            assert whole <= shown, (width, flow.id)
            assert least >= 8.8, (width, flow.id)
            assert browser.run(FITS)[1] == []


@in_chromium
def test_p10_the_search_prefers_whole_words(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    people = node("menu", _=node("hangup"), **{"1": node("user", {"name": "Ed Eads"})})
    blocks = []
    for account in range(40):
        flows = [
            callflow(node("conference"), id=f"{account}-{room}", name=f"Room {room}", numbers=[f"100{7 - room}"])
            for room in (0, 4, 7)
        ]
        day = callflow(people, id=f"{account}-day", name="Edited Day", numbers=[])
        blocks.append(account_block(Account(id=f"{account}", name=f"Cedar Reads {account}"), [*flows, day]))
    path.write_text("".join(report_page("Callflows", blocks, complete=True)), encoding="utf-8")
    browser.look(1440, 900)
    browser.open(path)
    browser.press("/", "room 7")
    titles = "return [...document.querySelectorAll('#rows .row:not(.account) .title')].map((each) => each.textContent)"
    assert set(browser.run(titles)) == {"Room 7"}
    assert browser.run("return found.callflows.filter((each) => each.title === 'Room 0').length") == 40  # 1007
    for strokes in ([], ["Down"], ["Down"], ["Up"]):
        browser.press(*strokes)
        assert not browser.run("return document.querySelector('.cursor').classList.contains('account')")
    browser.press("Escape", "eads ed")
    marked = "return [...document.querySelectorAll('#rows mark')].map((each) => each.textContent)"
    assert set(browser.run(marked)) == {"Ed", "Eads"}
    browser.press("Enter")
    assert browser.run("return document.querySelector('.found').getAttribute('aria-label')").startswith("key 1, User")
    assert browser.run("return document.querySelectorAll('.found').length") == 1


# --- P12: modules ------------------------------------------------------------------------------------


def test_p12_modules_follow_the_rule_of_the_listing() -> None:
    below = node("voicemail", _=node("menu"))
    flow = {
        **node(
            "menu",
            {},
            **{"2": node("hangup", {"skip_module": True}, _=below), "1": node("play", {"skip_module": "true"})},
        ),
    }
    flow["children"] |= {
        "3": {"module": "no_data"},
        "4": {"module": "null", "data": None},
        "6": {},
    }
    whole = structure({"id": "i", "flow": flow}, Callflow)
    expected = ["menu", "voicemail", "play"]
    assert list(whole.modules) == expected
    assert cells(Account(id="a"), whole, details=True)[10] == expected
    assert ", ".join(expected) in listed(whole)
    assert ", ".join(expected) in printed(*tables(whole))


def test_p12_a_sandbox_s_documents_have_the_modules_of_their_rows() -> None:
    sandbox = Sandbox(accounts=1, callflows=60)
    for callflow_id in sandbox.callflow_ids(sandbox.root_id):
        whole = structure(sandbox.document(sandbox.root_id, callflow_id), Callflow)
        row = structure(sandbox.row(sandbox.root_id, callflow_id), Callflow)
        assert whole.modules == row.modules
