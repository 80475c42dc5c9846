"""From what the hub returns to what the lead believes: verified, then put in rows.

The hub brings the final model, each site's signed evaluation and the signed
statements of every round. The lead checks every signature against the keys
that its own plan pins, that all sites judged the same model, and that the
rounds lead to it; only then are there results.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from consilium.federation.chain import verify_rounds
from consilium.federation.ports import EVALUATE
from consilium.gate.facts import CountRule, check_facts
from consilium.gate.orders import Study
from consilium.gate.replies import Answer, verify_answer
from consilium.gate.subgroups import read_groupings
from consilium.kernel.canonical import Digest, digest_of
from consilium.kernel.clock import read_time
from consilium.kernel.errors import DeniedError, InputError, IntegrityError
from consilium.kernel.identifiers import ParticipantId
from consilium.kernel.tables import is_number
from consilium.ledger.keys import PublicKey
from consilium.measures.targets import OF_TARGET

RECORD_NAMES = {"calibration_slope": "slope"}
"""Names that the result record has for figures, where they are not the figures' own."""
CLASS_FIGURES = ("sensitivity", "specificity", "auroc")
"""What a site says of one class against the rest."""
_ANY_COUNT = CountRule(smallest=0, largest=2**53 - 1)
"""The hospital's own gate has judged how small its counts may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A finished study: its final model and what each site found, all verified."""

    plan: Study
    model: bytes
    answers: Mapping[ParticipantId, Answer]
    statements: Mapping[ParticipantId, str]
    rounds: tuple[frozenset[ParticipantId], ...]
    """Who took part in each round, by the sites' own signatures."""

    @property
    def digest(self) -> Digest:
        """Fingerprint of the final model."""
        return digest_of(self.model)


def metrics_of(kind: str) -> dict[str, str]:
    """Return a kind of target's figures: by name in the result record, that in an evaluation.

    Discloses
    ---------
    Nothing.
    """
    return {RECORD_NAMES.get(name, name): name for name in OF_TARGET[kind]}


def verify_outcome(plan: Study, result: Mapping[str, Any]) -> Outcome:
    """Check what the hub returned for a finished study.

    What passes can be put in rows without another check.

    Raises
    ------
    IntegrityError
        `study.bad_result`, `study.broken_chain`, `ledger.bad_signature`,
        `gate.other_task` or `gate.other_round`.

    Discloses
    ---------
    Nothing; it reads what the sites' gates let out.
    """
    try:
        model = base64.b64decode(str(result["final"]), validate=True)
        statements = {
            ParticipantId(str(site)): str(text)
            for site, text in dict(result["evaluation"]["replies"]).items()
        }
        told = list(result["rounds"])
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise _bad("it is incomplete") from error
    if len(statements) < plan.quorum:
        raise _bad("fewer sites than the quorum judged it")
    answers = {
        site: _verify_site(plan, site, text, digest_of(model)) for site, text in statements.items()
    }
    rounds = verify_rounds(plan, told, final=digest_of(model))
    return Outcome(plan=plan, model=model, answers=answers, statements=statements, rounds=rounds)


def _verify_site(plan: Study, site: ParticipantId, statement: str, digest: Digest) -> Answer:
    invitation = plan.find_site(site)
    if invitation is None:
        raise _bad("a site answered that was not invited")
    try:
        answer = verify_answer(
            statement,
            key=PublicKey.from_text(invitation.key),
            study=plan.study,
            kind=EVALUATE,
            round=plan.rounds,
            model=digest,
        )
    except InputError as error:
        raise _bad(f"the answer of {site} cannot be read") from error
    if answer.participant != site:
        raise _bad("a site answered in another's name")
    _check_evaluation(plan, site, answer)
    return answer


def _check_evaluation(plan: Study, site: ParticipantId, answer: Answer) -> None:
    """Pass only an evaluation that an honest gate lets out, and that has every row.

    Its words come to people's eyes, and its figures into the result record.
    """
    try:
        check_facts(answer.facts, rule=_ANY_COUNT)
        row = _site(plan, site, answer, {}, ())
        metrics = metrics_of(plan.target.kind)
        if any("federated" not in row[name] for name in metrics):
            raise TypeError("no federated row")
        if row["chosen"] not in row[next(iter(metrics))]:
            raise TypeError("chosen is no row")
        if not all(map(_is_figure, _all_figures(row, metrics))):
            raise TypeError("no figure")
    except (DeniedError, InputError, LookupError, TypeError, AttributeError) as error:
        raise _bad(f"the evaluation of {site} is none") from error


def _all_figures(row: Mapping[str, Any], metrics: Iterable[str]) -> Iterator[object]:
    """List whatever people will read as a figure in a site's part of the record."""
    for part in (row, *row["subgroups"]):
        for name in metrics:
            yield from part[name].values()
            yield from (end for pair in part["intervals"][name].values() for end in pair or ())
    for bins in row["calibration"].values():
        yield from (one[key] for one in bins for key in ("predicted", "observed", "n"))
    for point in row["decision"]:
        yield from (point[key] for key in ("n", "threshold", "value", "low", "high", "treat_all"))
    for one in row["classes"]:
        figures = [one[name] for name in CLASS_FIGURES if name in one]
        yield from (figure["value"] for figure in figures)
        yield from (end for figure in figures for end in figure["interval"] or ())
    yield from row["choice"]["scores"].values()


def _is_figure(value: object) -> bool:
    return value is None or is_number(value)


def _bad(reason: str) -> IntegrityError:
    return IntegrityError("study.bad_result", reason=reason)


def result_record(
    outcome: Outcome,
    *,
    titles: Mapping[ParticipantId, str],
    events: Sequence[Mapping[str, Any]],
    evidence: Mapping[str, Any],
    passport: str,
) -> dict[str, Any]:
    """Put a study's outcome into the result record (docs/result-record.md).

    Parameters
    ----------
    titles : mapping
        Display name by participant.
    events : sequence of mapping
        The study's events as the lead saw them; times and bytes come from here.
    evidence : mapping
        `entries` and `verified` of this node's log.
    passport : str
        Path of the model's passport.
    """
    plan = outcome.plan
    return {
        "study": plan.study,
        "recipe": f"{plan.recipe.name} {plan.recipe.version}",
        "rule": plan.rule,
        "seed": plan.seed,
        "rounds": plan.rounds,
        "target": {
            "kind": plan.target.kind,
            "label": plan.label,
            "classes": list(plan.target.classes),
            "unit": plan.target.unit,
        },
        "sites": [
            _site(plan, site, answer, titles, events)
            for site, answer in sorted(outcome.answers.items())
        ],
        "timing": _timing(events),
        "bytes": {
            "up": sum(int(event["facts"].get("bytes_up", 0)) for event in events),
            "down": sum(int(event["facts"].get("bytes_down", 0)) for event in events),
        },
        "evidence": dict(evidence),
        "model": {"digest": outcome.digest, "passport": passport},
    }


def _site(
    plan: Study,
    site: ParticipantId,
    answer: Answer,
    titles: Mapping[ParticipantId, str],
    events: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    facts = answer.facts
    rows: Mapping[str, Any] = facts["rows"]
    metrics = metrics_of(plan.target.kind)
    return {
        "id": site,
        "title": titles.get(site, site),
        "n_train": facts["n_train"],
        "n_test": facts["n_test"],
        **_figures(rows, metrics),
        "chosen": facts["choice"]["chosen"],
        "choice": {name: facts["choice"].get(name) for name in ("by", "folds", "scores")},
        "calibration": facts.get("bins", {}),
        "decision": facts.get("decision", []),
        "classes": [_class(one) for one in facts.get("classes", [])],
        "subgroups": [_subgroup(plan, one) for one in facts.get("subgroups", [])],
        "curve": _curve(site, events),
    }


def _figures(rows: Mapping[str, Any], metrics: Mapping[str, str]) -> dict[str, Any]:
    """Turn rows of metrics into metrics of rows, with intervals and reasons apart."""
    return {
        **{
            name: {row: found[metric]["value"] for row, found in rows.items()}
            for name, metric in metrics.items()
        },
        "intervals": {
            name: {row: _interval(found[metric]) for row, found in rows.items()}
            for name, metric in metrics.items()
        },
        "undefined": {
            f"{name}.{row}": found[metric]["reason"]
            for name, metric in metrics.items()
            for row, found in rows.items()
            if found[metric]["value"] is None
        },
    }


def _class(one: Mapping[str, Any]) -> dict[str, Any]:
    """Take what a site says of one class; its name stands in the plan, under its index."""
    figures = {
        name: {"value": found["value"], "interval": _interval(found)}
        for name in CLASS_FIGURES
        if (found := one.get(name)) is not None
    }
    return {"index": one["index"], "n": one.get("n"), "reason": one.get("reason"), **figures}


def _subgroup(plan: Study, one: Mapping[str, Any]) -> dict[str, Any]:
    """Name a group by the plan's words, and turn its rows as those of the site."""
    grouping = read_groupings(plan.subgroups, plan.features)[one["field"]]
    labels = (*grouping.labels, "")
    return {
        "field": grouping.need.name,
        "unit": grouping.need.unit,
        "group": labels[one["index"]],
        "n": one.get("n"),
        "patients": one.get("patients"),
        "reason": one.get("reason"),
        **_figures(one.get("rows", {}), metrics_of(plan.target.kind)),
    }


def _interval(measurement: Mapping[str, Any]) -> list[float] | None:
    low, high = measurement["low"], measurement["high"]
    return None if low is None or high is None else [low, high]


def _curve(site: ParticipantId, events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Take how well the shared model fitted a site's training part, round by round.

    A site reports the loss of the model that a round brings it, so round 1
    tells of the starting model (point 0) and each later one of the round before.
    """
    points = {}
    for event in events:
        said = event["facts"].get("facts", {}).get(site)
        if event["kind"] == "round_closed" and said is not None:
            number = event["facts"]["round"] - 1
            points[number] = {"round": number, "loss": said.get("loss_before")}
    return [points[number] for number in sorted(points)]


def _timing(events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Seconds: command to first round, each closed round's overhead, all in all."""
    began = _when(events, "recruiting")
    first = _when(events, "round_started")
    ended = _when(events, "completed") or _when(events, "finished")
    overheads = {
        event["facts"]["round"]: event["facts"]["overhead_s"]
        for event in events
        if event["kind"] == "round_closed"
    }
    return {
        "command_to_first_round_s": round(first - began, 3) if began and first else None,
        "round_overhead_s": [overheads[number] for number in sorted(overheads)],
        "total_s": round(ended - began, 3) if began and ended else 0.0,
    }


def _when(events: Sequence[Mapping[str, Any]], kind: str) -> float:
    found = next((event for event in events if event["kind"] == kind), None)
    if found is None:
        return 0.0
    return read_time(str(found["facts"].get("time") or found["time"])).timestamp()
