"""From an empty browser to a released model by clicking alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from clicking import LONG_MS, Person, person

from conftest import CAREFUL, SECOND, OpenSpace

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(600)]

LEAD = "north"
TITLE = {"zh": "四院共识 · Four agree", "en": "四院再次共识 · Four agree again"}
SHOWN = {"zh": "四院共识", "en": "Four agree again"}
RECIPE = "tabular-logistic"
ROUNDS = {"zh": 3, "en": 4}
"""Not the same: the same plan gives the same model, byte for byte, and that is released already."""
HOSPITALS = {
    "zh": ("城北大学医院", "仁和示范医院", "湖滨诊所", "山麓诊所"),
    "en": ("North University", "Renhe", "Lakeside", "Hillside"),
}


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_lead_without_python_reaches_a_released_model(
    space: OpenSpace, browser: Any, tmp_path: Path, language: str
) -> None:
    login = space.login(LEAD, "research-lead")
    with person(browser, space.address(LEAD), language=language, **login) as lead:
        find_cohort(lead)
        begin_study(lead, language)
        if language == "zh":  # the second study stands on the same agreements
            sign_at_the_careful_hospital(space, browser, language)
        lead.sees(lead.say("run", "completed", rounds=ROUNDS[language]), timeout=LONG_MS)
        lead.click(lead.say("run", "toResult"), role="link")
        lead.sees(lead.find("compare", "bySite"))
        ask_for_release(lead, language)
        release(space, browser, language)
        carry_out(lead, tmp_path / "out")
    assert {one.suffix for one in (tmp_path / "out").iterdir()} >= {".safetensors", ".passport"}


def find_cohort(lead: Person) -> None:
    """All four hospitals offer data; the filter narrows them down."""
    lead.open("catalogue")
    lead.sees("breast")
    rows = lead.page.get_by_role("row")
    lead.page.locator("tbody tr").nth(3).wait_for()
    lead.page.get_by_role("searchbox").first.fill("no such dataset")
    rows.nth(1).wait_for(state="hidden")


def begin_study(lead: Person, language: str) -> None:
    """Answer the questions of a new study, and start it."""
    lead.open("studies")
    lead.click(lead.say("studies", "new"), role="link")
    lead.click(lead.find("newStudy", "next"))
    lead.sees(lead.say("newStudy", "flaw.title"))  # what is missing is said
    answer_questions(lead, title=TITLE[language], rounds=ROUNDS[language])
    lead.page.reload()  # what was typed is still there
    lead.sees(lead.say("newStudy", "sound"))
    lead.click(lead.say("newStudy", "start"))
    lead.page.get_by_role("heading", name=SHOWN[language]).wait_for()


def answer_questions(
    lead: Person,
    *,
    title: str,
    rounds: int,
    hospitals: tuple[str, ...] = (),
    quorum: int = 0,
    deadline_s: int = 0,
) -> None:
    """Go through the steps until the node has found the plan sound."""
    lead.go("/studies/new")
    page = lead.page

    def go_to(step: str) -> None:
        name = lead.say("newStudy", f"step.{step}")
        lead.click(lead.say("newStudy", "next", step=name))

    page.get_by_label(lead.say("newStudy", "name")).first.fill(title)
    page.locator("label").filter(has_text=RECIPE).first.click()
    go_to("invite")
    page.get_by_role("checkbox").nth(3).wait_for()
    items = page.get_by_role("listitem").filter(has=page.get_by_role("checkbox"))
    for name in hospitals or HOSPITALS[lead.language]:
        items.filter(has_text=name).first.get_by_role("checkbox").check()
    go_to("agree")
    lead.click(lead.say("newStudy", "readAll"))
    go_to("configure")
    page.get_by_label(lead.say("newStudy", "rounds")).first.fill(str(rounds))
    if deadline_s:
        page.get_by_label(lead.say("newStudy", "deadline")).first.fill(str(deadline_s))
    if quorum:
        page.get_by_label(lead.say("newStudy", "quorum")).first.fill(str(quorum))
    go_to("review")
    lead.sees(lead.say("newStudy", "sound"))


def sign_at_the_careful_hospital(space: OpenSpace, browser: Any, language: str) -> None:
    """Two persons let the request for an agreement proceed, one after the other."""
    for number, login in enumerate((space.login(CAREFUL, "steward"), SECOND)):
        with person(browser, space.address(CAREFUL), language=language, **login) as signer:
            signer.open("queue")
            signer.click(signer.find("queue", "due"), role="link")
            signer.sees(signer.say("queue", "two", have=number))
            signer.click(signer.say("queue", "proceed"))
            signer.give_reason(signer.say("queue", "proceed"), "伦理已审 · reviewed")
            signer.sees(signer.say("queue", "done.first" if number == 0 else "done.proceed"))


def ask_for_release(lead: Person, language: str) -> None:
    lead.open("models")
    lead.click(SHOWN[language], role="link")
    lead.click(lead.say("model", "ask"))
    lead.give_reason(lead.say("model", "ask"), "给城北的外部验证 · external validation")
    lead.sees(lead.find("model", "waitsRelease"))


def release(space: OpenSpace, browser: Any, language: str) -> None:
    """Two other persons of the hospital let the model leave."""
    for number, role in enumerate(("steward", "ethics-officer")):
        login = space.login(LEAD, role)
        with person(browser, space.address(LEAD), language=language, **login) as other:
            other.open("approvals")
            waiting = other.page.get_by_role("row").filter(
                has_text=other.say("approvals", "standing.open")
            )
            other.click(other.say("approvals", "approve"), within=waiting)
            dialog = other.page.get_by_role("dialog")
            other.click(other.say("approvals", "approve"), within=dialog)
            other.sees(other.say("approvals", "done.open" if number == 0 else "done.released"))


def carry_out(lead: Person, folder: Path) -> None:
    """The page that asked has followed: what was released can go."""
    lead.click(lead.say("model", "carry"))
    dialog = lead.page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill(str(folder))
    lead.click(lead.say("model", "carryNow"), within=dialog)
    lead.sees(lead.say("model", "carried"))
