"""What goes wrong during a study is seen as it happens, and nothing typed is lost."""

from __future__ import annotations

import os
import re
import signal
from contextlib import AbstractContextManager
from typing import Any

import pytest
from clicking import LONG_MS, Person, person
from test_no_code_path import LEAD, answer_questions
from tests.support.extras import need

from conftest import OpenSpace

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(600)]

LANGUAGE = "zh"
ROUNDS = 40
QUICK_MS = 20_000
DEADLINE_S = 15
REASON = "患者撤回同意 · consent withdrawn"


def signed_in(
    space: OpenSpace, browser: Any, member: str, role: str
) -> AbstractContextManager[Person]:
    login = space.login(member, role)
    return person(browser, space.address(member), language=LANGUAGE, **login)


def begin(lead: Person, title: str, hospitals: tuple[str, ...], quorum: int) -> None:
    """Begin a study and wait for its first round."""
    answer_questions(
        lead, title=title, hospitals=hospitals, rounds=ROUNDS, quorum=quorum, deadline_s=DEADLINE_S
    )
    lead.click(lead.say("newStudy", "start"))
    lead.page.get_by_role("heading", name=title).wait_for()
    lead.sees(lead.find("run", "atRound", rounds=ROUNDS), timeout=LONG_MS)


def test_a_revocation_is_seen_on_the_open_page(space: OpenSpace, browser: Any) -> None:
    with (
        person(
            browser, space.address(LEAD), language=LANGUAGE, **space.login(LEAD, "research-lead")
        ) as lead,
        person(
            browser, space.address("renhe"), language=LANGUAGE, **space.login("renhe", "steward")
        ) as steward,
    ):
        begin(lead, "撤销演示", ("城北大学医院", "仁和示范医院", "山麓诊所"), quorum=3)
        steward.open("contracts")
        steward.page.locator("tbody").get_by_role("link").first.click()
        steward.click(steward.say("contract", "revoke"))
        steward.give_reason(steward.say("contract", "revoke"), REASON)
        steward.sees(steward.find("contract", "revokedBy"))
        lead.sees(lead.say("run", "failed"), timeout=QUICK_MS)
        lead.sees("仁和示范医院")
        lead.sees(lead.say("run", "nowFailed"))
        lead.sees(re.compile("3 家医院中已有 . 家终止参与"))  # why, in a sentence without gaps
        lead.sees("gate.agreement_revoked")


def test_a_killed_hospital_is_named_and_an_expired_session_costs_nothing(
    space: OpenSpace, browser: Any
) -> None:
    login = space.login(LEAD, "research-lead")
    with signed_in(space, browser, LEAD, "research-lead") as lead:
        begin(lead, "断电演示", ("城北大学医院", "湖滨诊所", "山麓诊所"), quorum=2)
        os.kill(space.pid("hillside"), signal.SIGKILL)
        lead.sees(lead.find("run", "troubled"), timeout=LONG_MS)
        lead.sees(lead.say("run", "goesOn"))

        lead.go("/studies/new")
        name = lead.page.get_by_label(lead.say("newStudy", "name")).first
        name.fill("写了一半的研究")
        end_sessions(space, browser)
        dialog = lead.page.get_by_role("dialog")
        lead.sees(lead.say("shell", "expired.title"))  # the open page hears of it by itself
        dialog.get_by_label(lead.say("shell", "expired.password")).fill(login["password"])
        lead.click(lead.say("shell", "expired.enter"), within=dialog)
        dialog.wait_for(state="hidden")
        lead.go("/studies/new")
        assert name.input_value() == "写了一半的研究"


def end_sessions(space: OpenSpace, browser: Any) -> None:
    """The administrator ends every session of the lead."""
    expect = need("playwright.sync_api").expect
    with signed_in(space, browser, LEAD, "administrator") as administrator:
        administrator.open("persons")
        administrator.click(administrator.say("persons", "sessions"), role="tab")
        end = administrator.page.get_by_role(
            "button", name=administrator.say("sessions", "end"), exact=True
        )
        rows = administrator.page.get_by_role("row").filter(has_text="research-lead", has=end)
        rows.first.wait_for()
        while left := rows.count():
            rows.first.get_by_role("button").first.click()
            expect(rows).to_have_count(left - 1)
