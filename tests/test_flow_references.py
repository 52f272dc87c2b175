"""What callflows refer to, and where something is used."""

import random
from typing import Any

from flows import node

from vinix_async import Callflow, structure
from vinix_async.flows import METAFLOW_MODULES, MODULES, Name, Reference, ReferenceIndex, describe_reference, references

A, B, X, Y, Z = "a" * 32, "b" * 32, "1" * 32, "2" * 32, "3" * 32


def callflow(flow: Any = None, each: str = A, **fields: Any) -> Callflow:
    return structure({"id": each, "flow": flow, **fields}, Callflow)


def found(flow: Any, **fields: Any) -> list[tuple[str, str, str]]:
    return [(each.kind, each.field, each.target) for each in references(callflow(flow, **fields))]


def test_each_declared_reference_of_each_module_is_found() -> None:
    for catalog in (MODULES, METAFLOW_MODULES):
        for module in catalog.values():
            data: dict[str, Any] = {"action": "transfer"} if module.name == "after_bridge" else {}
            fields = []
            for path, _ in module.references:
                place = data
                *outer, last = path.split(".")
                for step in outer:
                    inner: dict[str, Any] = {}
                    place[step.removesuffix("[]")] = [inner] if step.endswith("[]") else inner
                    place = inner
                place[last.removesuffix("[]")] = [X] if last.endswith("[]") else X
                fields.append(path.replace("[]", "[0]"))
            here = node(module.name, data)
            document = {"flow": here} if catalog is MODULES else {"metaflow": {"patterns": {"x": here}}}
            got = [(each.field, each.target) for each in references(structure({"id": A, **document}, Callflow))]
            assert sorted(got) == sorted((field, X) for field in fields), module.name


def test_members_in_all_their_spellings() -> None:
    ring = {"endpoints": [{"id": X}, {"id": Y, "endpoint_type": "user"}, {"endpoint_type": "user"}, {"id": 5}, None]}
    expected = [("device", "endpoints[0].id", X), ("user", "endpoints[1].id", Y)]
    assert found(node("ring_group", ring)) == expected
    assert found(node("page_group", ring)) == expected
    assert found(node("group", {"endpoints": [X, "", 7]})) == [("device", "endpoints[0]", X)]
    assert found(node("group", {"endpoints": {X: {"type": "user"}, Y: 5}})) == [
        ("user", f"endpoints.{X}", X),
        ("device", f"endpoints.{Y}", Y),
    ]


def test_recipients() -> None:
    recipients = [{"type": "user", "id": [X, 5, Y]}, {"type": "email", "id": "ann@example.com"}, 5, {"id": ""}]
    assert found(node("missed_call_alert", {"recipients": recipients})) == [
        ("user", "recipients[0].id[0]", X),
        ("user", "recipients[0].id[2]", Y),
        ("email", "recipients[1].id", "ann@example.com"),
    ]


def test_media_urls_and_sounds() -> None:
    assert found(node("play", {"id": X})) == [("media", "id", X)]
    assert found(node("play", {"id": "https://h/a.wav"})) == [("url", "id", "https://h/a.wav")]
    assert found(node("play", {"id": "/system_media/en-us/busy"})) == [("media", "id", "/system_media/en-us/busy")]
    assert found(node("play", {"id": "tone_stream://%(200,0,440)"})) == []
    assert found(node("ring_group", {"ringback": "%(2000,4000,440,480)"})) == []


def test_time_rules() -> None:
    flow = node("temporal_route", {"rules": [X, 5, ""], "rule_set": Y}, **{X: {}, "_": {}, "rule_set": {}})
    assert found(flow) == [
        ("temporal_rule_set", "rule_set", Y),
        ("temporal_rule", "rules[0]", X),
        ("temporal_rule", f"children.{X}", X),
    ]
    assert found(node("temporal_route", {"action": "reset"}, **{X: {}})) == []


def test_kinds_that_the_metadata_tells() -> None:
    metadata = {X: {"pvt_type": "device"}, Y: 5}
    assert found(node("do_not_disturb", {"id": X}), metadata=metadata) == [("device", "id", X)]
    assert found(node("do_not_disturb", {"id": Y}), metadata=metadata) == [("user", "id", Y)]
    assert found(node("nope", {"id": X, "my_id": X, "other": X, "the_id": Y}), metadata=metadata) == [
        ("device", "id", X),
        ("device", "my_id", X),
    ]


def test_numbers() -> None:
    assert found(node("transfer", {"target": "2000"})) == [("number", "target", "2000")]
    assert found(node("after_bridge", {"action": "park", "data": "2000"})) == []
    assert found(node("after_bridge", {"action": "transfer", "data": True})) == []


def test_the_document_and_metaflows_at_every_level() -> None:
    below = node("callflow", {"id": B})
    document = callflow(
        node("user", {"id": X}, **{"a/b~c": node("voicemail", {"id": Y})}),
        owner_id=X,
        group_id=["not a string"],
        ringback={"early": Y, "transfer": "tone_stream://x"},
        metaflow={"numbers": {"2": node("intercept", {"target_id": X, "target_type": "user"}, _=below)}},
    )
    assert list(references(document)) == [
        Reference(A, "", "", "user", "owner_id", X),
        Reference(A, "", "", "media", "ringback.early", Y),
        Reference(A, "/flow", "user", "user", "id", X),
        Reference(A, "/flow/children/a~1b~0c", "voicemail", "vmbox", "id", Y),
        Reference(A, "/metaflow/numbers/2", "intercept", "user", "target_id", X),
        Reference(A, "/metaflow/numbers/2/children/_", "callflow", "callflow", "id", B),
    ]


def test_depth_and_values_of_any_type_do_not_matter() -> None:
    flow = node("user", {"id": X})
    for _ in range(2000):
        flow = node("sleep", {"id": X}, _=flow)
    (reference,) = references(callflow(flow))
    assert reference.path == "/flow" + "/children/_" * 2000
    values: list[Any] = [None, True, 5, [], [[]], {}, {"id": {}}, [{"id": []}]]
    for value in values:
        for module in MODULES.values():
            names = {path.split(".")[0].removesuffix("[]") for path, _ in module.references}
            list(references(callflow(node(module.name, dict.fromkeys(names, value)))))


def index() -> ReferenceIndex:
    callflows = [
        callflow(
            node("user", {"id": X}, _=node("voicemail", {"id": Y})),
            name="Main",
            numbers=["+12125550123"],
            metadata={X: {"name": "Ann Ash", "pvt_type": "user"}, Y: {"name": "ann ash", "pvt_type": "vmbox"}, Z: 5},
        ),
        callflow(node("callflow", {"id": A}, _=node("transfer", {"target": "2125550123"})), each=B),
        callflow(
            node("ring_group", {"endpoints": [{"id": X}]}, _=node("transfer", {"target": "+12125550123"})),
            each="c" * 32,
        ),
    ]
    random.Random(4).shuffle(callflows)
    return ReferenceIndex(iter(callflows))


def test_where_used() -> None:
    used = index().where_used
    assert [(each.callflow_id, each.field) for each in used(X)] == [(A, "id"), ("c" * 32, "endpoints[0].id")]
    assert [(each.callflow_id[0], each.module) for each in used("ANN ASH")] == [
        ("a", "user"),
        ("a", "voicemail"),
        ("c", "ring_group"),
    ]
    assert used("Ann") == []
    assert [each.callflow_id for each in used("Main")] == [B]
    for number in ("+12125550123", "2125550123", "12125550123"):  # the server converts the numbers of transfers, too
        assert [(each.callflow_id[0], each.module) for each in used(number)] == [
            ("b", "callflow"),
            ("b", "transfer"),
            ("c", "transfer"),
        ]


def test_a_media_file_is_found_by_the_end_of_its_path() -> None:
    targets = [X, f"/{A}/{X}", f"account%2Fdb/{X}", f"{X}/a.wav", "/system_media/en-us%2Fhello"]
    flows = [callflow(node("play", {"id": target}), each=str(position)) for position, target in enumerate(targets)]
    assert [each.target for each in ReferenceIndex(flows).where_used(X)] == targets[:3]
    assert [each.target for each in ReferenceIndex(flows).where_used("a.wav")] == targets[3:4]
    assert [each.target for each in ReferenceIndex(flows).where_used("en-us/hello")] == targets[4:]


def test_the_beginning_of_an_id_is_enough() -> None:
    used = index().where_used
    assert used(X[:8]) == used(X)
    assert used(X[:7]) == []
    assert [each.module for each in used("a" * 31)] == ["callflow"]


def test_ways_by_jumps() -> None:
    again = node("callflow", {"id": A})
    transfers = node("menu", {}, **{"2": node("transfer", {"target": "2"}), "1": node("transfer", {"target": "1"})})
    ways = ReferenceIndex(
        [
            callflow(node("menu", {}, **{"1": node("callflow", {"id": B}), "2": again}), numbers=["1"]),
            callflow(node("menu", {}, **{"1": again, "2": again}), each=B, numbers=["1", "2"]),
            callflow(node("play", {}, x=node("transfer", {"target": "1"}), _=transfers), each=X),
            callflow(node("callflow", {"id": B, "skip_module": "true"}, _=node("answer")), each=Y),
            callflow(metaflow={"numbers": {"1": again}}, each=Z),
        ]
    ).ways_to
    assert [[(each.callflow_id[0], each.path) for each in way] for way in ways(A)] == [
        [("b", "/flow/children/1")],
        [("b", "/flow/children/2")],
        [("1", "/flow/children/_/children/1")],  # the callflow with the lower id gets the calls to a number
        [("1", "/flow/children/_/children/2"), ("b", "/flow/children/1")],
    ]
    assert ways("missing") == []


def test_a_jump_to_an_id_is_no_transfer_to_the_number_of_the_same_name() -> None:
    menu = node("menu", {}, **{"1": node("callflow", {"id": "2000"}), "2": node("transfer", {"target": A})})
    ways = ReferenceIndex([callflow(node("hangup"), numbers=["2000"]), callflow(menu, each=B)])
    assert ways.ways_to(A) == []


def test_a_chain_is_followed_as_far_as_the_server_does() -> None:
    chain = [callflow(node("callflow", {"id": f"{each + 1:032x}"}), each=f"{each:032x}") for each in range(99)]
    ways = ReferenceIndex(chain).ways_to(f"{99:032x}")
    assert [len(way) for way in ways] == [*range(1, 52)]


def test_names() -> None:
    assert dict(index().names) == {X: Name("Ann Ash", "user"), Y: Name("ann ash", "vmbox"), A: Name("Main", "callflow")}


def test_of_documents_with_one_id_one_counts_and_those_without_id_all_do() -> None:
    same = [callflow(node("user", {"id": each})) for each in (X, Y)]
    expected = [each.target for each in ReferenceIndex(same).where_used(Y)]
    assert [each.target for each in ReferenceIndex(same[::-1]).where_used(Y)] == expected == [Y]
    assert ReferenceIndex(same).where_used(X) == []
    anonymous = [callflow(node("user", {"id": X}), each="", name=name) for name in ("one", "two")]
    assert len(ReferenceIndex(anonymous).where_used(X)) == 2


def test_any_key_of_a_time_rule_is_described() -> None:
    flow = callflow(node("temporal_route", {}, **{"[0-9]": node("hangup"), "rules[x]": node("hangup")}))
    assert [describe_reference(each, flow, {}) for each in references(flow)] == ["Time of Day, branch"] * 2
