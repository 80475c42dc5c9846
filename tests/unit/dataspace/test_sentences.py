"""Every term has its sentence, in both languages."""

from __future__ import annotations

from dataclasses import replace

from consilium.dataspace.policy import policy_of
from consilium.dataspace.records import Terms
from consilium.dataspace.sentences import sentences_of
from consilium.dataspace.vocabulary import DELTA
from consilium.kernel.canonical import Digest
from consilium.kernel.identifiers import OfferId, ParticipantId

FULL = Terms(
    purposes=("audit", "research"),
    not_after="2027-01-01T00:00:00Z",
    count=1,
    max_rounds=100,
    min_cohort=50,
    recipients=(ParticipantId("did:web:x:north"), ParticipantId("did:web:x:west")),
    algorithms=(Digest("sha256:" + "0" * 64), Digest("sha256:" + "1" * 64)),
    min_participants=3,
    epsilon=2.5,
    delta=1e-5,
    outputs=("aggregate", "metrics", "model"),
    secure_aggregation=True,
    spatial=("CN", "DE-BY"),
)
"""Every term set."""


def test_every_term_of_a_policy_has_a_sentence_and_no_other() -> None:
    policy = policy_of(FULL, offer=OfferId("urn:uuid:o"))
    written = {one["leftOperand"] for one in policy["permission"][0]["constraint"]}
    said = sentences_of(FULL)
    assert {one.term for one in said} == written - {DELTA}
    assert len(said) == 12
    for one in said:
        assert one.en.endswith(".")
        assert one.zh.endswith("。")
        assert not one.zh.isascii()


def test_terms_that_are_not_set_are_not_said() -> None:
    bare = replace(
        FULL,
        min_participants=None,
        epsilon=None,
        delta=None,
        outputs=(),
        secure_aggregation=None,
        spatial=(),
    )
    assert len(sentences_of(bare)) == 7


def test_the_sentences_say_the_figures() -> None:
    said = {one.term: one for one in sentences_of(FULL)}
    loss = said["consilium:epsilonBudget"]
    assert "epsilon 2.5, delta 0.00001" in loss.en
    assert "ε = 2.5、δ = 0.00001" in loss.zh
    assert "north or west" in said["odrl:recipient"].en
    assert said["odrl:spatial"].zh == "使用方所在地须属于：CN、DE-BY。"
    assert "at least 3 hospitals" in said["consilium:minParticipants"].en


def test_a_recipe_is_called_by_its_name_where_it_is_installed() -> None:
    digest = FULL.algorithms[0]
    terms = replace(FULL, algorithms=FULL.algorithms[:1])
    known = {one.term: one.en for one in sentences_of(terms, recipes={digest: "tabular-logistic"})}
    assert known["consilium:algorithm"] == "Only these recipes may run: tabular-logistic."
    unknown = {one.term: one.en for one in sentences_of(terms)}
    assert digest[:19] in unknown["consilium:algorithm"]


def test_one_is_said_as_one() -> None:
    said = {one.term: one.en for one in sentences_of(FULL)}
    assert said["odrl:count"] == "Under one agreement at most 1 study may run."
