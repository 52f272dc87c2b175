"""What the callflows of a sandbox say: those of ordinary accounts are sound, those of one more account are not."""

from collections import Counter

import pytest

from vinix_async import Callflow, structure
from vinix_async.flows import RULES, Finding, findings, lookup, trace
from vinix_async.sandbox import Sandbox
from vinix_async.sandbox.dialects import DIALECTS


def callflows_of(sandbox: Sandbox, account_id: str) -> list[Callflow]:
    return [structure(sandbox.document(account_id, each), Callflow) for each in sandbox.callflow_ids(account_id)]


def findings_of(sandbox: Sandbox, account_id: str) -> list[tuple[str, Finding]]:
    callflows = callflows_of(sandbox, account_id)
    names = {callflow.id: callflow.name or "" for callflow in callflows}
    return [(names[finding.callflow_id], finding) for finding in findings(callflows)]


def test_ordinary_accounts_are_sound() -> None:
    many, large = Sandbox(accounts=60), Sandbox(accounts=1, callflows=400)
    found = [
        each for sandbox in (many, large) for account in sandbox.account_ids for each in findings_of(sandbox, account)
    ]
    assert {each.code for _, each in found if each.severity != "info"} == {"M702"}  # an extension that is switched off
    assert sum(each.severity != "info" for _, each in found) < (400 + 60 * 8) / 50
    assert len(found) < (400 + 60 * 8) / 20  # callflows that are switched off or not in use yet
    assert {finding.code for _, finding in found} == {"M702", "N502"}


@pytest.mark.parametrize("seed", range(3))
def test_each_rule_finds_the_callflow_that_is_named_after_it(seed: int) -> None:
    sandbox = Sandbox(findings=True, seed=seed)
    found = findings_of(sandbox, sandbox.account_ids[-1])
    assert [(name, finding.code) for name, finding in found if not name.startswith(finding.code)] == []
    assert Counter(finding.code for _, finding in found) == dict.fromkeys(RULES, 1)
    names = {callflow.name for callflow in callflows_of(sandbox, sandbox.account_ids[-1])}
    assert {name[:4] for name in names if name} == {*RULES, "Gets"}


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_account_with_faults_exists_only_on_request(dialect: str) -> None:
    plain, sandbox = Sandbox(dialect=dialect), Sandbox(dialect=dialect, findings=True)
    assert sandbox.account_ids[:-1] == list(plain.account_ids)
    faulty = sandbox.account_ids[-1]
    assert (
        sandbox.document(faulty, sandbox.callflow_ids(faulty)[0])["flow"]
        is not sandbox.document(faulty, sandbox.callflow_ids(faulty)[0])["flow"]
    )  # a caller may change what it gets
    async with sandbox, sandbox.client() as client:
        accounts = {account.id: account.name async for account in client.accounts.descendants(sandbox.root_id)}
        assert accounts[faulty] == "Deliberate faults"
        listed = await client.callflows.list(faulty, details=True).to_list()
        assert len(listed) == len(sandbox.callflow_ids(faulty))
        sandbox.remove(faulty, listed[0].id)
        sandbox.put(faulty, {"id": listed[1].id, "name": "Mended"})
        assert {each.name for each in await client.callflows.list(faulty).to_list()} >= {"Mended"}


def test_calls_reach_what_a_phone_system_has() -> None:
    sandbox = Sandbox(accounts=1, callflows=60)
    callflows = callflows_of(sandbox, sandbox.root_id)
    names = {
        callflow.id: callflow.name or (callflow.featurecode and callflow.featurecode.name) for callflow in callflows
    }
    reached = {
        dialled: names.get(lookup(callflows, dialled, caller="phone").callflow_id or "")
        for dialled in ("2000", "*97", "**1004", "*3", "*72", "2125550123", "*9")
    }
    assert reached == {
        "2000": "After hours",
        "*97": "voicemail[action=check]",
        "**1004": "voicemail[action=direct]",
        "*3": "park_and_retrieve",
        "*72": "call_forward[action=activate]",
        "2125550123": "Outgoing calls",
        "*9": None,
    }
    after_hours = next(callflow for callflow in callflows if callflow.name == "After hours")
    top = trace(callflows, after_hours.id)
    assert [branch.words for branch in top.children] == [("Holidays",), ("Office hours",), ("other times",)]
    assert top.children[2].label == "Voicemail Office"
