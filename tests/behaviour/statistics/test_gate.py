"""What a hospital's gate answers, what it refuses, and what either costs."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from statistics_rehearsal import DRAWN_SCHEMA, Clinic, Cohort, Conference, drawn, errors_of, write

from consilium.dataspace.datasets import list_datasets
from consilium.dataspace.records import Role
from consilium.dataspace.revocation import revoke
from consilium.dataspace.store import list_agreements
from consilium.dataspace.tables import DATASETS, NEGOTIATIONS
from consilium.federation.statistics.door import PATH
from consilium.gate.figures import Answer, sign_figures, verify_figures
from consilium.gate.partition import Axis
from consilium.gate.privacy import find_remaining
from consilium.gate.questions import Condition, sign_question
from consilium.gate.statistics_store import ANSWERS, QUESTIONS, TOLD, load_told
from consilium.kernel.canonical import canonical_bytes
from consilium.kernel.clock import write_time
from consilium.kernel.errors import DeniedError, InputError, NotFoundError

OVERLAPS = "gate.cohort_overlaps"
OVER_60 = ["age>=60"]


@pytest.fixture
def south(conference: Conference) -> Clinic:
    return conference.add("south", drawn(3), DRAWN_SCHEMA)


def rows_of(clinic: Clinic, table: sa.Table) -> int:
    with clinic.hospital.database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def refusal(conference: Conference, statistic: str, *variables: str, **draft: Any) -> str:
    """Return the code by which the only hospital refuses."""
    with pytest.raises(DeniedError, match="did not answer") as refused:
        conference.ask(statistic, *variables, **draft)
    return refused.value.public.rpartition("Look up ")[2].partition(" for")[0]


def evidence(clinic: Clinic, kind: str) -> list[dict[str, Any]]:
    found = clinic.hospital.database.evidence.entries(limit=1000, kind=kind)
    return [dict(entry.facts) for entry in found]


def send(
    conference: Conference, clinic: Clinic, signed: str, *, by: Any = None, **more: Any
) -> tuple[int, dict[str, Any]]:
    document = {"question": signed, "step": 0, "answers": []} | more
    asker = by or conference.lead
    status, found = asker.connector.client.post(clinic.hospital.me, PATH, document)
    return status, found


# What the data refuse


def test_a_small_cohort_and_an_empty_one_look_alike_and_cost_what_an_answer_costs(
    conference: Conference, south: Clinic
) -> None:
    assert refusal(conference, "count", where=["age>=95"]) == OVERLAPS
    assert refusal(conference, "count", where=["age>=99", "stage=IV"]) == OVERLAPS
    conference.ask("count", where=OVER_60)
    assert rows_of(south, QUESTIONS) == 3
    assert [facts["place"] for facts in evidence(south, "statistics.refused")] == [1, 2]
    assert evidence(south, "statistics.answered")[0]["place"] == 3


def test_a_cohort_that_leaves_a_few_over_is_refused(conference: Conference, south: Clinic) -> None:
    youngest, oldest = np.sort(drawn(3).x["age"])[[4, -4]]
    assert refusal(conference, "mean", "age", where=[f"age<{oldest:g}"]) == OVERLAPS
    assert refusal(conference, "mean", "age", where=[f"age>={youngest:g}"]) == OVERLAPS


def test_a_cohort_that_differs_by_a_few_from_an_earlier_one_is_refused(
    conference: Conference, south: Clinic
) -> None:
    conference.ask("mean", "marker", where=OVER_60)
    assert refusal(conference, "mean", "marker", where=["age>=61"]) == OVERLAPS
    assert refusal(conference, "count", where=["age>=59"]) == OVERLAPS
    conference.ask("mean", "marker", where=["age>=70"])


def test_three_questions_together_single_nobody_out(conference: Conference) -> None:
    # A and B, each far from the other; A and B together leave three patients.
    sex = np.array([0.0] * 50 + [1.0] * 50)
    stage = np.array([0.0] * 47 + [1.0] * 53)
    drawn_ = drawn(5, rows=100)
    cohort = Cohort(x=dict(drawn_.x) | {"sex": sex, "stage": stage}, y=drawn_.y)
    conference.add("south", cohort, DRAWN_SCHEMA)
    conference.ask("count", where=["sex=f"])
    assert refusal(conference, "count", where=["stage=I"]) == OVERLAPS


def test_a_histogram_and_a_cohort_on_the_same_column_single_nobody_out(
    conference: Conference, south: Clinic
) -> None:
    found = conference.ask("histogram", "age", edges={"age": [50.0, 60.0, 70.0]})["pooled"]
    assert min(found["counts"]) >= 10
    assert refusal(conference, "count", where=["age>=61"]) == OVERLAPS
    conference.ask("count", where=OVER_60)


def of_groups(groups: dict[tuple[float, float], int]) -> Cohort:
    """Draw as many patients of each sex and stage as are given."""
    rows = sum(groups.values())
    found = drawn(5, rows=rows)
    sex, stage = np.repeat(np.array(list(groups)), list(groups.values()), axis=0).T
    return Cohort(x=dict(found.x) | {"sex": sex, "stage": stage}, y=found.y)


def test_the_margins_of_a_table_and_one_of_its_cells_do_not_tell_the_others(
    conference: Conference,
) -> None:
    cohort = of_groups({(0, 0): 25, (0, 1): 15, (1, 0): 20, (1, 1): 5})
    conference.add("south", cohort, DRAWN_SCHEMA)
    assert conference.ask("histogram", "sex")["pooled"]["counts"] == [40, 25]
    assert conference.ask("histogram", "stage")["pooled"]["counts"] == [45, 20, 0, 0]
    assert refusal(conference, "count", where=["sex=f", "stage=I"]) == OVERLAPS
    conference.add("west", cohort, DRAWN_SCHEMA)
    west = [conference.agreement("west")]
    conference.ask("count", where=["sex=f", "stage=I"], agreements=west)
    told = conference.ask("histogram", "sex", agreements=west)["pooled"]
    assert told["groups"][0]["categories"] == [["f", "m"]]


def test_totals_by_one_category_and_by_another_within_it_do_not_tell_the_difference(
    conference: Conference,
) -> None:
    # All of stage II are men; three men are not.
    conference.add("south", of_groups({(0, 0): 60, (1, 0): 3, (1, 1): 37}), DRAWN_SCHEMA)
    conference.ask("correlation", "marker", "sex")
    assert refusal(conference, "correlation", "marker", "stage") == OVERLAPS


def test_a_total_that_all_but_a_few_leave_at_its_usual_value_is_refused(
    conference: Conference,
) -> None:
    cohort = drawn(5)
    rare = np.zeros(200)
    rare[:4] = (3.0, 7.0, 9.0, 11.0)
    conference.add("south", Cohort(x=dict(cohort.x) | {"marker": rare}, y=cohort.y), DRAWN_SCHEMA)
    assert refusal(conference, "mean", "marker") == OVERLAPS


def test_rows_of_one_patient_count_once(conference: Conference) -> None:
    conference.add("south", drawn(5, rows=90, per_patient=10), DRAWN_SCHEMA)
    assert refusal(conference, "count") == OVERLAPS


def test_few_missing_values_are_not_counted_and_many_are(conference: Conference) -> None:
    conference.add("south", drawn(5, missing=0.02), DRAWN_SCHEMA)
    found = conference.ask("missing", "age", "marker")["pooled"]
    assert found == {"rows": 200, "missing": {"age": 0, "marker": None}}
    assert refusal(conference, "correlation", "age", "marker") == OVERLAPS
    conference.add("west", drawn(6, missing=0.2), DRAWN_SCHEMA)
    west = [conference.agreement("west")]
    assert conference.ask("missing", "marker", agreements=west)["pooled"]["missing"]["marker"] > 10
    assert conference.ask("correlation", "age", "marker", agreements=west)["pooled"]["n"] < 190


def test_bounds_finer_than_the_schema_suggests_are_refused_for_nothing(
    conference: Conference, south: Clinic
) -> None:
    assert refusal(conference, "count", where=["age>=60.5"]) == "gate.bound_too_fine"
    assert rows_of(south, QUESTIONS) == 0


def test_a_hospital_that_refuses_is_named_and_the_others_are_pooled(
    conference: Conference, south: Clinic
) -> None:
    conference.add("west", drawn(5, rows=18), DRAWN_SCHEMA)
    answer = conference.ask("mean", "age", where=OVER_60)
    assert len(errors_of(answer)) == 1
    assert "west" in errors_of(answer)[0]
    assert answer["pooled"]["variables"]["age"]["n"] == int((drawn(3).x["age"] >= 60).sum())


# Who may ask, and on what ground


def test_an_unknown_agreement_and_one_of_somebody_else_look_alike(
    conference: Conference, south: Clinic
) -> None:
    stranger = conference.space.add("stranger")
    asked = write(conference, "count")
    other = replace(asked, lead=stranger.me)
    unknown = replace(other, sites=(replace(asked.sites[0], agreement="urn:uuid:none"),))
    told = [
        send(conference, south, sign_question(stranger.key, one), by=stranger)
        for one in (other, unknown)
    ]
    assert [(status, found["code"]) for status, found in told] == [(400, "gate.no_agreement")] * 2


def test_only_the_leads_own_question_is_answered(conference: Conference, south: Clinic) -> None:
    asked = write(conference, "count", where=OVER_60)
    wider = replace(asked, cohort=())
    stranger = conference.space.add("stranger")
    for signed in (
        sign_question(stranger.key, asked),
        sign_question(stranger.key, replace(wider, columns=())),
        sign_question(conference.lead.key, asked)[:-4] + "AAAA",
    ):
        assert send(conference, south, signed)[1]["code"] == "gate.question_not_signed"
    unreadable = send(conference, south, "a.b.c")[1]["code"]
    assert unreadable == "gate.question_unreadable"
    assert rows_of(south, QUESTIONS) == 0


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"purposes": ("care",)}, "federation.nobody_to_ask"),
        ({"min_cohort": 150}, OVERLAPS),
        ({"outputs": ("model",)}, "dataspace.wrong_output"),
        ({"min_participants": 2}, "dataspace.too_few_participants"),
        ({"epsilon": 1.0}, "dataspace.epsilon_exceeded"),
        ({"secure_aggregation": True}, "dataspace.not_aggregated_securely"),
    ],
)
def test_the_agreements_terms_hold(
    conference: Conference, terms: dict[str, Any], code: str
) -> None:
    conference.add("south", drawn(3), DRAWN_SCHEMA, **terms)
    if code == "federation.nobody_to_ask":
        with pytest.raises(NotFoundError, match="No agreement"):
            conference.ask("count", where=OVER_60)
    else:
        assert refusal(conference, "count", where=OVER_60) == code


def test_nothing_is_answered_outside_time_or_without_an_agreement_in_force(
    conference: Conference, south: Clinic
) -> None:
    signed = sign_question(conference.lead.key, write(conference, "count"))
    conference.space.held.advance(timedelta(hours=1))
    assert send(conference, south, signed)[1]["code"] == "gate.question_expired"
    signed = sign_question(conference.lead.key, write(conference, "count"))
    with south.hospital.database.write() as tx:
        tx.execute(sa.update(NEGOTIATIONS).values(state="TERMINATED"))
    assert send(conference, south, signed)[1]["code"] == "gate.agreement_not_in_force"


def test_nothing_is_answered_under_a_revoked_agreement(
    conference: Conference, south: Clinic
) -> None:
    signed = sign_question(conference.lead.key, write(conference, "count"))
    with south.hospital.database.read() as connection:
        (agreement,) = list_agreements(connection, role=Role.PROVIDER)
    revoke(south.hospital.connector, agreement.id, reason="the approval was withdrawn")
    assert send(conference, south, signed)[1]["code"] == "gate.agreement_revoked"
    assert rows_of(south, ANSWERS) == 0


def test_nothing_is_answered_after_the_approval_has_run_out(conference: Conference) -> None:
    south = conference.add("south", drawn(3), DRAWN_SCHEMA)
    signed = sign_question(conference.lead.key, write(conference, "count"))
    with south.hospital.database.write() as tx:
        (dataset,) = list_datasets(tx.connection)
        now = write_time(conference.space.clock.now())
        ended = canonical_bytes(dataset.governance | {"ethics_expires": now}).decode()
        tx.execute(sa.update(DATASETS).values(governance=ended))
    conference.space.held.advance(timedelta(seconds=1))
    assert send(conference, south, signed)[1]["code"] == "dataspace.governance_ended"


def test_an_agreement_asks_no_more_questions_than_the_hospital_allows(
    conference: Conference,
) -> None:
    conference.add("south", drawn(3), DRAWN_SCHEMA, gate={"most_questions": 1})
    conference.ask("count")
    conference.ask("count")
    assert refusal(conference, "mean", "age") == "gate.questions_used_up"


# What is answered


def test_the_same_question_has_the_same_answer_for_nothing(
    conference: Conference, south: Clinic
) -> None:
    told = [conference.ask("mean", "age", where=OVER_60)["pooled"] for _ in range(2)]
    assert told[0] == told[1]
    assert (rows_of(south, QUESTIONS), rows_of(south, ANSWERS)) == (1, 1)
    assert [facts.get("repeated", False) for facts in evidence(south, "statistics.answered")] == [
        False,
        True,
    ]


def test_noise_is_charged_once_and_comes_again_the_same(
    conference: Conference, south: Clinic
) -> None:
    def spent() -> float:
        with south.hospital.database.read() as connection:
            found = find_remaining(
                connection, agreement=conference.agreement("south"), dataset=south.dataset.id
            )
        return found.dataset.spent_epsilon

    told = [conference.ask("count", where=OVER_60, epsilon=0.5)["pooled"] for _ in range(3)]
    assert told[0] == told[1] == told[2]
    assert spent() == 0.5
    means = conference.ask("mean", "age", epsilon=4)["pooled"]["variables"]["age"]
    assert means["mean"] == pytest.approx(60, abs=10)
    assert sum(conference.ask("histogram", "sex", epsilon=2)["pooled"]["counts"]) > 150
    assert spent() == 6.5
    assert rows_of(south, TOLD) == 0


def test_noise_beyond_the_budget_is_neither_charged_nor_drawn(conference: Conference) -> None:
    drawn_: list[int] = []

    def draw(below: int) -> int:
        drawn_.append(below)
        return 0

    clinic = conference.add("south", drawn(3), DRAWN_SCHEMA, epsilon=1.0, gate={"draw": draw})
    code = refusal(conference, "count", epsilon=1.5)
    assert code in ("gate.epsilon_used_up", "dataspace.epsilon_exceeded")
    assert drawn_ == []
    assert rows_of(clinic, QUESTIONS) == 0
    with pytest.raises(InputError, match="epsilon"):
        conference.ask("missing", "age", epsilon=0.5)


def test_public_data_keep_nothing_back_and_the_evidence_says_so(conference: Conference) -> None:
    clinic = conference.add("south", drawn(3), DRAWN_SCHEMA, public=True, min_cohort=1)
    answer = conference.ask("count", where=["age>=85"])
    assert 0 < answer["pooled"]["patients"] < 10
    assert answer["sites"][0]["public"]
    assert evidence(clinic, "statistics.answered")[0]["public"] is True


def test_without_evidence_nothing_is_answered_and_nothing_remembered(
    conference: Conference, south: Clinic
) -> None:
    with south.hospital.database.write() as tx:
        tx.connection.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON evidence "
            "BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
    with pytest.raises(DeniedError, match="did not answer"):
        conference.ask("count", where=OVER_60)
    assert (rows_of(south, QUESTIONS), rows_of(south, ANSWERS), rows_of(south, TOLD)) == (0, 0, 0)
    with south.hospital.database.write() as tx:
        tx.connection.exec_driver_sql("DROP TRIGGER full")
    assert conference.ask("count", where=OVER_60)["pooled"]["patients"] > 50


def test_both_sides_hold_evidence_of_what_was_asked_and_answered(
    conference: Conference, south: Clinic
) -> None:
    answer = conference.ask("mean", "age")
    own = conference.lead.database.evidence.entries(limit=1000)
    pooled = next(entry for entry in own if entry.kind == "statistics.pooled")
    told = evidence(south, "statistics.answered")[0]
    assert pooled.subject == told["question"] == answer["question"]
    assert pooled.facts["answers"] == {south.hospital.me: told["answer"]}


def test_of_two_questions_at_once_that_single_a_few_out_one_is_answered(
    conference: Conference, south: Clinic
) -> None:
    bounds = [[f"age>={bound}"] for bound in (58, 59, 60, 61, 62, 63)]
    signed = [
        sign_question(conference.lead.key, write(conference, "count", where=one)) for one in bounds
    ]
    with ThreadPoolExecutor(max_workers=6) as threads:
        told = list(threads.map(lambda one: send(conference, south, one), signed))
    ages = drawn(3).x["age"]
    answered = [60 - 2 + place for place, (status, _) in enumerate(told) if status == 200]
    assert answered
    assert all(
        abs(int((ages >= one).sum()) - int((ages >= two).sum())) not in range(1, 10)
        for one in answered
        for two in answered
    )
    with south.hospital.database.read() as connection:
        cells = load_told(connection, south.dataset.id)[Axis("all")].cells
    assert min(np.bincount(cells)) >= 10


# Regressions in steps


def test_a_regression_takes_its_steps_from_the_answers_and_from_nobody(
    conference: Conference, south: Clinic
) -> None:
    conference.add("west", drawn(4), DRAWN_SCHEMA)
    asked = write(conference, "logistic", "ill", "age", "marker")
    signed = sign_question(conference.lead.key, asked)
    given = [
        send(conference, clinic, signed)[1]["answer"] for clinic in conference.clinics.values()
    ]
    steered = replace(
        verify_figures(given[1], key=conference.clinics["west"].hospital.key.public),
        figures={"n": 200, "gradient": [1e9, -1e9, 0.0], "curvature": [[1.0, 0, 0], [1, 0], [1]]},
    )
    forged = sign_figures(conference.lead.key, steered)
    for answers in ([], [given[1]], [given[0], given[0]], [given[0], "a.b.c"]):
        status, found = send(conference, south, signed, step=1, answers=answers)
        assert (status, found["code"]) == (400, "gate.step_without_answers")
    status, found = send(conference, south, signed, step=1, answers=[given[0], forged])
    assert (status, found["code"]) == (403, "gate.other_answer")
    assert send(conference, south, signed, step=1, answers=given)[0] == 200
    status, found = send(conference, south, signed, step=5, answers=given)
    assert (status, found["code"]) == (400, "gate.step_without_answers")


def test_a_hospital_that_steers_a_regression_towards_a_few_is_not_followed(
    conference: Conference, south: Clinic
) -> None:
    west = conference.add("west", drawn(4), DRAWN_SCHEMA)
    asked = write(conference, "logistic", "ill", "age", "marker")
    signed = sign_question(conference.lead.key, asked)
    honest = send(conference, south, signed)[1]["answer"]
    steep = Answer(
        question=asked.digest,
        step=0,
        participant=west.hospital.me,
        agreement=asked.find_site(west.hospital.me).agreement,
        # It leads to coefficients that weigh only those around 95 years.
        figures={"n": 1, "gradient": [-9.5e7, 1e6, 0.0], "curvature": [[1, 0, 0], [1, 0], [1]]},
        beta=(0.0, 0.0, 0.0),
        public=False,
        epsilon=0.0,
    )
    answers = [honest, sign_figures(west.hospital.key, steep)]
    assert send(conference, south, signed, step=1, answers=answers)[1]["code"] == OVERLAPS


def test_a_regression_has_fewer_figures_than_there_are_values_behind_it(
    conference: Conference,
) -> None:
    conference.add("south", drawn(3, rows=60), DRAWN_SCHEMA)
    code = refusal(conference, "logistic", "ill", "age", "marker", "months", where=OVER_60)
    assert code == OVERLAPS


# What cannot be asked


IMPOSSIBLE: list[tuple[str, list[str], dict[str, Any]]] = [
    ("median", ["age"], {}),
    ("mean", [], {}),
    ("mean", ["sex"], {}),
    ("mean", ["height"], {}),
    ("crosstab", ["sex"], {}),
    ("histogram", ["age"], {"edges": {"age": [60.0, 50.0]}}),
    ("count", [], {"where": ["age is 60"]}),
    ("count", [], {"where": ["sex=x"]}),
    ("count", [], {"where": ["sex>=1"]}),
    ("logistic", ["age", "sex"], {}),
    ("count", [], {"unknown": 1}),
    ("quantile", ["age"], {"shares": [1.5]}),
]


def test_what_cannot_be_asked_is_refused_before_anybody_is_asked(
    conference: Conference, south: Clinic
) -> None:
    for statistic, variables, draft in IMPOSSIBLE:
        with pytest.raises(InputError, match="cannot be asked"):
            conference.ask(statistic, *variables, **draft)
    assert evidence(south, "statistics.refused") == []


def test_a_condition_may_stand_twice_on_one_column(conference: Conference, south: Clinic) -> None:
    asked = write(conference, "count", where=["age>=50", "age<70"])
    assert asked.cohort == (
        Condition(column="age", test="at_least", number=50.0),
        Condition(column="age", test="below", number=70.0),
    )
    ages = drawn(3).x["age"]
    found = conference.ask("count", where=["age>=50", "age<70"])["pooled"]["patients"]
    assert found == int(((ages >= 50) & (ages < 70)).sum())
