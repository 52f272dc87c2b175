"""What a picture shows, read back from the picture."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from flows import ANN, BOX, HOSTILE, OTHER, callflow, deep, everything, hostile, node, wide
from rich.console import Console

from vinix_async import Callflow, structure
from vinix_async.cli.drawing.diagram import diagram, fold
from vinix_async.cli.drawing.render import Kind, render, tree
from vinix_async.cli.drawing.svg import layout
from vinix_async.cli.names import numbers, title
from vinix_async.sandbox import Sandbox

SVG = "{http://www.w3.org/2000/svg}"
KINDS: tuple[Kind, ...] = ("tree", "mermaid", "svg", "html")


def edges(flow: Callflow) -> list[tuple[str, str, str]]:
    """(parent's module, label, "module name") of each box below the head."""
    found = diagram(flow)
    return [(found[box.parent].module, box.label, f"{box.module} {box.name}".strip()) for box in found[1:]]


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
        ("", "", "temporal_route"),
        ("temporal_route", "Office hours", "park"),
        ("park", "slot 7", "noop"),
        ("noop", "", "tts Hello"),
        ("temporal_route", "Holidays", "cidlistmatch"),
        ("cidlistmatch", "match", "answer"),
        ("cidlistmatch", "no match", "callflow Elsewhere"),
        ("temporal_route", "default", "menu m"),
        ("menu", "1", "device gone"),
        ("menu", "2", "user Ann Ash"),
        ("user", "sip:486", "hangup"),
        ("user", "USER_BUSY", "play busy"),
        ("user", "default", "voicemail Ann's box"),
        ("menu", "*", "answer"),
        ("menu", "10", "ring_group_toggle " + "c" * 8 + "…"),
        ("menu", "timeout", "sleep 5"),
        ("menu", "max_retries", ""),
        ("menu", "default", "hangup"),
    ]


@pytest.mark.parametrize(
    ("parent", "label"),
    [
        (node("menu", _=node("hangup")), "default"),
        (node("user", _=node("hangup")), ""),
        (node("acdc_wait_time", **{"60": node("hangup")}), "over 60 s"),
        (node("nomorobo", **{"5": node("hangup")}), "score 5"),
        (node("temporal_route", {"rule_set": ANN}, rule_set=node("hangup")), "Ann"),
        (node("temporal_route", rule_set=node("hangup")), "rule set"),
        (node("temporal_route", **{BOX: node("hangup")}), "d4d4d4d4…"),
        (node("branch_variable", true=node("hangup")), "true"),
    ],
)
def test_labels(parent: dict[str, object], label: str) -> None:
    found = diagram(callflow(parent, metadata={ANN: {"numbers": ["Ann"]}, "odd": 7, "nameless": {}}))
    assert found[2].label == label


@pytest.mark.parametrize(
    ("module", "data", "name"),
    [
        ("user", {"id": ANN}, "Ann Ash"),
        ("group_pickup", {"user_id": ANN}, "Ann Ash"),
        ("user", {"id": BOX}, "d4d4d4d4…"),
        ("ring_group", {"name": "Sales"}, "Sales"),
        ("play", {"id": "https://user:secret@example.com/a%20b.wav?token=secret"}, "a b.wav"),
        ("play", {"id": "https://[secret/x.wav"}, ""),
        ("play", {"id": "beep"}, "beep"),
        ("user", {"media_id": "https://user:secret@example.com/"}, ""),
        ("pivot", {"voice_url": "https://user:secret@example.com/"}, ""),
        ("nomorobo", {"username": "secret", "password": "secret"}, ""),
        ("response", {"code": 486}, "486"),
        ("sleep", {"duration": True}, ""),
    ],
)
def test_friendly_names_and_no_credentials(module: str, data: dict[str, object], name: str) -> None:
    assert diagram(callflow(node(module, data)), {ANN: "Ann Ash"})[1].name == name


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
    assert sorted(texts(of_class(picture, "label"))) == sorted(box.label for box in found if box.label)
    assert texts([each for each in of_class(picture, "box") if "off" in each.get("class", "")]) == [
        "devicegone · disabled"
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
        "├── Office hours → park",
        "sip:486 → hangup",
        "1 → device  gone  (disabled)",
        "callflow  ↗ Elsewhere",
    ):
        assert line in text
    console = Console(width=60, force_terminal=True, color_system="standard")
    with console.capture() as shown:
        console.print(tree(everything()))
    assert "\x1b[35mtemporal_route" in shown.get()


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
        assert json.loads(data)[5][0][1] == HOSTILE


def test_a_page_allows_itself_alone() -> None:
    text = render(everything(), "html")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert not re.sub(r"http://www\.w3\.org/\d+/svg", "", text).count("http://")
    assert "https:" not in text


@pytest.mark.parametrize(("flow", "count"), [(wide(999), 1999), (deep(450), 450), (deep(5_000), 5_000)])
@pytest.mark.parametrize("kind", KINDS)
def test_large_flows_are_folded_and_say_how_much(kind: Kind, flow: Callflow, count: int) -> None:
    assert len(diagram(flow)) == count + 1
    text = render(flow, kind)
    if kind == "html":
        data = next(script for script in Elements(text).scripts if script.startswith('["'))
        assert len(json.loads(data)[5][0][5]) == count
        return
    shown = {"tree": r"\b(?:menu|user|voicemail)\b", "mermaid": r'\["(?:menu|user|voicemail)', "svg": r'class="module"'}
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
    sandbox = Sandbox(accounts=2, callflows=60)
    for account_id in sandbox.account_ids:
        for callflow_id in sandbox.callflow_ids(account_id):
            flow = structure(sandbox.document(account_id, callflow_id), Callflow)
            assert len(of_class(drawn(flow), "box")) == len(diagram(flow))
            for kind in KINDS:
                assert render(flow, kind)


def test_pictures_are_their_own_import() -> None:
    code = "import sys, vinix_async.cli; print({'rich', 'vinix_async.cli.drawing.render'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  # as it stands
    assert done.stdout.strip() == "set()"
