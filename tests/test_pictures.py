"""What a picture shows, read back from the picture."""

import json
import math
import re
import struct
import subprocess
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from flows import ANN, BOX, HOSTILE, OTHER, Kind, callflow, deep, everything, hostile, node, render, wide
from fonts import needs_a_font
from resvg_py import svg_to_bytes
from rich.console import Console

from vinix_async import Callflow, structure
from vinix_async.cli.drawing.diagram import diagram, find, fold
from vinix_async.cli.drawing.svg import check_renderer, layout, png
from vinix_async.cli.drawing.tree import tree
from vinix_async.cli.exit_codes import UsageError
from vinix_async.cli.names import numbers, title
from vinix_async.flows import Name
from vinix_async.sandbox import Sandbox

SVG = "{http://www.w3.org/2000/svg}"
KINDS: tuple[Kind, ...] = ("tree", "mermaid", "svg", "html")


def edges(flow: Callflow) -> list[tuple[str, str, str]]:
    """(parent's module, branch, "label lines") of each box below a head."""
    found = diagram(flow)
    return [
        (found[box.parent].module, box.branch, " ".join([box.label, *box.lines])) for box in found if box.parent >= 0
    ]


def drawn(flow: Callflow) -> ET.Element:
    return ET.fromstring(render(flow, "svg"))  # noqa: S314  # of our own making


def of_class(root: ET.Element, name: str) -> list[ET.Element]:
    return [element for element in root.iter() if name in element.get("class", "").split()]


def texts(elements: list[ET.Element]) -> list[str]:
    return ["".join(each.text or "" for each in element.iter(f"{SVG}text")) for element in elements]


class Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == "script":
            self.scripts.append(data)


def test_edges_say_what_the_parent_means_and_nothing_where_it_means_nothing() -> None:
    assert edges(everything()) == [
        ("", "", "Time of Day"),
        ("temporal_route", "Office hours", "Park"),
        ("park", "slot 7", "No Operation"),
        ("noop", "", "TTS Hello"),
        ("temporal_route", "Holidays", "Match Caller ID List"),
        ("cidlistmatch", "callers that match", "Answer"),
        ("cidlistmatch", "other callers", "Callflow Elsewhere"),
        ("temporal_route", "other times", "Menu m"),
        ("menu", "key 1", "Device gone"),
        ("menu", "key 2", "User Ann Ash"),
        ("user", "busy", "Hang Up"),
        ("user", "busy", "Media busy"),
        ("user", "no answer", "Voicemail Ann's box"),
        ("menu", "key *", "Answer"),
        ("menu", "key 10", "Ring Group Toggle Main"),
        ("menu", "no key", "Sleep 5"),
        ("menu", "too many tries", "end"),
        ("menu", "wrong keys", "Hang Up"),
    ]


def test_a_default_is_told_apart_from_its_siblings() -> None:
    found = diagram(callflow(node("unknown", _=node("hangup"), other=node("hangup"))))
    assert [box.branch for box in found[2:]] == ["other", "default"]
    names = {ANN: {"numbers": ["2000"]}, "odd": 7, "nameless": {}}
    found = diagram(callflow(node("temporal_route", **{ANN: node("hangup"), BOX: node("hangup")}), metadata=names))
    assert [box.branch for box in found[2:]] == ["2000", "d4d4d4d4"]


MEMBERS = [{"id": ANN, "endpoint_type": "user"}, *({"id": str(each)} for each in range(5))]


@pytest.mark.parametrize(
    ("module", "data", "lines"),
    [
        ("user", {"id": ANN, "timeout": "20"}, ["Ann Ash · 20 s"]),
        ("group_pickup", {"user_id": ANN}, ["Ann Ash"]),
        ("user", {"id": BOX}, ["d4d4d4d4"]),
        ("ring_group", {"name": "Sales"}, ["Sales"]),
        ("ring_group", {"name": "Sales", "timeout": 9, "endpoints": MEMBERS[:4]}, ["Sales · 9 s", "Ann Ash", *"012"]),
        ("page_group", {"endpoints": MEMBERS}, ["Ann Ash", "0", "1", "and 3 more"]),
        ("call_forward", {"action": "activate"}, ["activate"]),
        ("acdc_queue", {"id": ANN, "action": "login"}, ["Ann Ash · login"]),
        ("tts", {"text": "We are closed"}, ["We are closed"]),
        ("webhook", {"uri": "https://user:secret@example.com/hook?token=secret"}, ["https://example.com/hook"]),
        ("play", {"id": "https://user:secret@example.com/a%20b.wav?token=secret"}, ["a b.wav"]),
        ("play", {"id": "https://[secret/x.wav"}, ["…"]),
        ("play", {"id": "beep"}, ["beep"]),
        ("pivot", {"voice_url": "https://user:secret@example.com/"}, ["https://example.com/"]),
        ("nomorobo", {"username": "bob", "password": "secret"}, []),
        ("disa", {"pin": "secret", "name": "Outside line"}, ["Outside line"]),
        ("response", {"code": 486}, ["486"]),
        ("sleep", {"duration": True}, []),
    ],
)
def test_what_a_box_says_and_no_credentials(module: str, data: dict[str, object], lines: list[str]) -> None:
    assert list(diagram(callflow(node(module, data)), {ANN: Name("Ann Ash", "user")})[1].lines) == lines
    page = Elements(render(callflow(node(module, data)), "html"))
    assert "secret" not in next(script for script in page.scripts if script.startswith('["'))


METAFLOW = {
    "binding_digit": "#",
    "numbers": {"2": node("transfer", {"target": "2000"}, _=node("hangup"))},
    "patterns": {"^4(1|2)/~$": node("callflow", {"id": "c" * 32})},
}


def test_a_metaflow_is_a_second_tree() -> None:
    flow = callflow(node("hangup"), metaflow=METAFLOW)
    assert edges(flow)[1:] == [
        ("", "#2", "Transfer 2000"),
        ("transfer", "", "Hang Up"),
        ("", "^4(1|2)/~$", "Callflow Main"),
    ]
    assert [box.label for box in diagram(flow) if box.parent < 0] == ["Main", "During the call"]
    assert "During the call  # and then a key\n├── #2 → Transfer  2000  transfer\n" in render(flow, "tree")
    assert texts(of_class(drawn(flow), "head")) == ["Main+15550001111", "During the call# and then a key"]
    assert len(re.findall(r"\(\[", render(flow, "mermaid"))) == 2
    assert diagram(callflow(node("hangup"), metaflow={"numbers": {}})) == diagram(callflow(node("hangup")))
    place = find(diagram(flow))
    for path, index in {
        "": 0,
        "/flow": 1,
        "/flow/children/none": 1,
        "/metaflow": 2,
        "/metaflow/numbers/2/children/_": 4,
        "/metaflow/patterns/^4(1|2)~1~0$": 5,
        "/other": 0,
    }.items():
        assert place(path) == index


def test_the_head() -> None:
    code = structure({"id": "i", "featurecode": {"name": "park", "number": "*3"}, "patterns": ["^x$"]}, Callflow)
    assert (title(code), numbers(code)) == ("park", ["*3", "^x$"])
    assert title(structure({"id": "i", "numbers": ["1"]}, Callflow)) == "1"
    assert title(structure({}, Callflow)) == "callflow"
    many = drawn(callflow(None, numbers=["1", "2", "3", "4", "5"]))
    assert texts(of_class(many, "head")) == ["Main12+ 3 more"]


def test_svg_has_every_box_label_and_edge() -> None:
    flow = everything()
    found = diagram(flow)
    picture = drawn(flow)
    assert texts(of_class(picture, "module")) != []
    assert len(of_class(picture, "box")) == len(found)
    assert len(of_class(picture, "edge")) == len(found) - 1
    assert sorted(texts(of_class(picture, "pill"))) == sorted(box.branch for box in found if box.branch)
    assert texts([each for each in of_class(picture, "box") if "off" in each.get("class", "")]) == [
        "Devicedevicegonedisabled"
    ]
    links = [link.get("href") for link in picture.iter(f"{SVG}a")]
    assert sorted(filter(None, links)) == ["#callflow-" + "c" * 32, "#callflow-" + OTHER]
    assert picture.find(f".//*[@id='callflow-{'c' * 32}']") is not None


@pytest.mark.parametrize("flow", [everything(), wide(40), deep(30)], ids=["everything", "wide", "deep"])
def test_no_box_lies_on_another(flow: Callflow) -> None:
    found = diagram(flow)
    sizes = [(300.0, 90.0), *((float(60 + 37 * (place % 5)), 50.0) for place in range(1, len(found)))]
    spots, width, height = layout(found, sizes)
    corners = [(x - w / 2, y, x + w / 2, y + h) for (x, y), (w, h) in zip(spots, sizes, strict=True)]
    for place, (left, top, right, bottom) in enumerate(corners):
        assert left >= -0.01
        assert right <= width + 0.01
        assert bottom <= height
        if place:
            assert top > corners[found[place].parent][3]
        for other in corners[:place]:
            assert left >= other[2] or right <= other[0] or top >= other[3] or bottom <= other[1]


def test_tree_has_every_box_on_a_line_of_its_own() -> None:
    text = render(everything(), "tree")
    assert text.splitlines()[0] == "Main  +15550001111"
    assert len(text.splitlines()) == len(diagram(everything()))
    for line in (
        "├── Office hours → Park  park",
        "busy → Hang Up  hangup",
        "key 1 → Device  gone  (disabled)  device",
        "Callflow  ↗ Elsewhere  callflow",
    ):
        assert line in text
    console = Console(width=60, force_terminal=True, color_system="standard")
    with console.capture() as shown:
        console.print(tree(everything()))
    assert "\x1b[35mTime of Day" in shown.get()


def test_mermaid_has_every_box_edge_and_jump() -> None:
    text = render(everything(), "mermaid")
    lines = text.splitlines()
    assert lines[0] == "flowchart TD"
    count = len(diagram(everything()))
    assert len([line for line in lines if re.match(r'  n\d+(\["|\(\[")', line)]) == count
    assert len([line for line in lines if "-->" in line]) == count - 1
    assert '-->|"Office hours"|' in text
    assert f'href "#callflow-{OTHER}"' in text
    assert "class n" in text


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_names_stay_text(kind: Kind) -> None:
    text = render(hostile(), kind)
    without_width = "\u2060\ufeff" if kind == "mermaid" else ""
    assert not [letter for letter in text if not letter.isprintable() and letter not in "\n" + without_width]
    if kind == "mermaid":
        syntax = r'<br/>|\["|"\]|\(\["|"\]\)|-->(\|")?|"\||href "[^"]*"'
        assert not re.search(r'[<>"|\]]', re.sub(syntax, "", text))
    if kind == "svg":
        picture = drawn(hostile())
        allowed = {"svg", "style", "clipPath", "rect", "path", "g", "text", "title", "a"}
        assert {element.tag.removeprefix(SVG) for element in picture.iter()} <= allowed
        assert HOSTILE in texts(of_class(picture, "head"))[0]
    if kind == "html":
        page = Elements(text)
        assert page.tags.count("script") == 4
        assert not {"img", "b", "iframe"} & set(page.tags[page.tags.index("main") :])
        assert not [name for name, _ in page.attributes if name.startswith("on") or name == "style"]
        assert [value for name, value in page.attributes if name == "src"] == []
        data = next(script for script in page.scripts if script.startswith('["'))
        assert json.loads(data)[7][0][1] == HOSTILE


def test_a_page_allows_itself_alone() -> None:
    text = render(everything(), "html")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert set(re.findall(r"https?://[\w.]*", text)) == {
        "http://www.w3.org",
        "http://",
    }  # the latter is in a rule's title


LARGE = [(wide(999), 1999), (deep(450), 450), (deep(2_000), 2_000)]


@pytest.mark.parametrize(("flow", "count"), LARGE)
def test_large_flows_have_a_box_for_each_node(flow: Callflow, count: int) -> None:
    assert len(diagram(flow)) == count + 1


@pytest.mark.parametrize(("flow", "count"), LARGE)
@pytest.mark.parametrize("kind", KINDS)
def test_large_flows_are_folded_and_say_how_much(kind: Kind, flow: Callflow, count: int) -> None:
    text = render(flow, kind)
    if kind == "html":
        data = next(script for script in Elements(text).scripts if script.startswith('["'))
        assert len(json.loads(data)[7][0][5]) == count + 1
        return
    shown = {"tree": r"\b(?:menu|user|voicemail)\b", "mermaid": r'\["(?:Menu|User|Direct)', "svg": r'class="label"'}
    visible = len(re.findall(shown[kind], text))
    assert visible < 500
    assert visible + sum(int(more.replace(",", "")) for more in re.findall(r"\+ ([\d,]+) more", text)) == count


def test_fold_keeps_the_upper_boxes() -> None:
    found = diagram(wide(5))
    assert [box.module for box in fold(found, limit=100)] == ["", "menu"] + ["user"] * 5 + ["voicemail"] * 5
    small = fold(found, limit=100, breadth=3)
    assert [box.more for box in small if box.more] == [4]
    assert len(fold(diagram(wide(4)), limit=6)) == 10  # a single one left over is shown
    assert [box.more for box in fold(diagram(deep(9)), limit=100, depth=4) if box.more] == [6]


def test_whatever_a_sandbox_has_can_be_drawn() -> None:
    sandbox = Sandbox(accounts=2, callflows=30)
    for account_id in sandbox.account_ids:
        for callflow_id in sandbox.callflow_ids(account_id):
            flow = structure(sandbox.document(account_id, callflow_id), Callflow)
            assert len(of_class(drawn(flow), "box")) == len(diagram(flow))
            for kind in KINDS:
                assert render(flow, kind)


def test_pictures_are_their_own_import() -> None:
    code = "import sys, vinix_async.cli; print({'rich', 'vinix_async.cli.drawing.page'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  # as it stands
    assert done.stdout.strip() == "set()"


@needs_a_font
def test_png_is_the_svg_with_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    width, height = (float(drawn(everything()).get(side, 0)) for side in ("width", "height"))
    picture = png(everything())
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", picture[16:24]) == (round(2 * width), round(2 * height))
    check_renderer()
    assert len(png(callflow(None, name="One"))) != len(png(callflow(None, name="Another title")))
    monkeypatch.setattr("vinix_async.cli.drawing.svg._MAX_PIXELS", 2_000_000)  # 50 million take a second to draw
    huge = png(wide(999))
    assert 1_900_000 < math.prod(struct.unpack(">II", huge[16:24])) < 2_020_000


def test_what_png_needs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, words in ((None, "pip install 'vinix-async[png]'"), (Fontless, "needs Arial or Liberation Sans")):
        monkeypatch.setitem(sys.modules, "resvg_py", module)
        with pytest.raises(UsageError, match=re.escape(words)):
            check_renderer()


class Fontless:
    """The renderer on a system without fonts."""

    @staticmethod
    def svg_to_bytes(text: str) -> bytes:
        return svg_to_bytes(text, skip_system_fonts=True)
