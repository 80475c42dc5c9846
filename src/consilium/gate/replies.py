"""Replies: one site's answer to one task, as signed bytes.

A reply is a safetensors file: its arrays are the update, its header's note is
the site's signed statement about them. The hub carries replies and sums their
arrays; whoever holds the site's pinned key can prove later who sent what.

Each reply also *countersigns* the model it was made from: the site states
"this is round r's model as I received it". A segment may start from round r
only when a quorum of sites has said so, which keeps the hub from showing
different models to different hospitals or from inventing one.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, cast

from consilium.gate.orders import Order, Study
from consilium.gate.plain import from_plain, to_plain
from consilium.kernel.canonical import Digest, Json, digest_of
from consilium.kernel.errors import DeniedError, InputError, IntegrityError
from consilium.kernel.identifiers import ParticipantId, StudyId
from consilium.ledger.keys import PublicKey, SigningKey
from consilium.ledger.statements import peek_statement, sign_statement, verify_statement
from consilium.models.weights import Arrays, pack_arrays, read_notes, unpack_arrays

TRAIN = "train"
EVALUATE = "evaluate"

_NONE_YET = Digest("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a site signs about its answer.

    `model_in` is the fingerprint of the model the site received, `n` the cases
    behind the answer, `work_s` the seconds spent on it, `facts` what passed
    the output gate besides. `update` (fingerprint of the arrays alone, as
    `pack_arrays` writes them) and `countersignature` are filled in by
    `pack_reply`. Of a masked update `masked` is the site's statement for the sum;
    then `n` is 0 and `facts` are empty, because the sum alone tells of the cases.
    """

    study: StudyId
    segment: int
    round: int
    kind: str
    participant: ParticipantId
    n: int
    model_in: Digest
    facts: dict[str, Any]
    work_s: float
    update: Digest = _NONE_YET
    countersignature: str = ""
    masked: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteReply(Answer):
    """A site's answer as received: the signed facts, their statement, the arrays."""

    statement: str
    arrays: Arrays


def countersigned_round(kind: str, round_: int) -> int:
    """Say which round's model a task brings: training in `r` starts from `r - 1`."""
    return round_ if kind == EVALUATE else round_ - 1


def sign_round(
    key: SigningKey,
    *,
    study: StudyId,
    round: int,  # noqa: A002 - the house's word
    digest: Digest,
) -> str:
    """Countersign a round's model."""
    return sign_statement(key, "round", {"study": study, "round": round, "digest": digest})


def verify_round(
    text: str,
    key: PublicKey,
    *,
    study: StudyId,
    round: int,  # noqa: A002 - the house's word
    digest: Digest,
) -> None:
    """Pass only the countersignature of exactly this model by exactly this key.

    Raises
    ------
    IntegrityError
        `ledger.bad_signature`, or `gate.other_round` when it speaks of something else.
    """
    said = verify_statement(text, "round", key)
    if said != {"study": study, "round": round, "digest": digest}:
        raise IntegrityError("gate.other_round", round=round)


def pack_reply(key: SigningKey, answer: Answer, *, update: bytes) -> bytes:
    """Sign an answer, countersign the model it was made from, and write both as bytes.

    `update` is a safetensors file; its arrays go along, its notes do not.
    """
    arrays = unpack_arrays(update)
    countersignature = sign_round(
        key,
        study=answer.study,
        round=countersigned_round(answer.kind, answer.round),
        digest=answer.model_in,
    )
    signed = replace(
        answer, update=digest_of(pack_arrays(arrays)), countersignature=countersignature
    )
    facts = cast("dict[str, Json]", to_plain(signed))
    return pack_arrays(arrays, note=sign_statement(key, "reply", facts))


def read_reply(data: bytes) -> SiteReply:
    """Read a reply without checking its signature: only for counting and routing.

    Raises
    ------
    InputError
        `gate.not_a_reply`.
    """
    try:
        statement = read_notes(data).get("note", "")
        answer = from_plain(Answer, peek_statement(statement))
        arrays = unpack_arrays(data)
    except InputError as error:
        raise InputError("gate.not_a_reply", detail=error.code) from error
    signed = {item.name: getattr(answer, item.name) for item in fields(answer)}
    return SiteReply(**signed, statement=statement, arrays=arrays)


def verify_reply(
    data: bytes,
    *,
    key: PublicKey,
    study: StudyId,
    kind: str,
    round: int,  # noqa: A002 - the house's word
    model: Digest,
) -> SiteReply:
    """Read a reply that the holder of `key` gave to exactly this task.

    Raises
    ------
    InputError
        `gate.not_a_reply` when the bytes are none.
    IntegrityError
        `ledger.bad_signature`; `gate.other_task` when it answers something
        else; `gate.other_update` when the arrays are not the signed ones.
    """
    reply = read_reply(data)
    # 1. Signature, task and countersignature.
    verify_answer(reply.statement, key=key, study=study, kind=kind, round=round, model=model)
    # 2. The arrays are those that were signed.
    if digest_of(pack_arrays(reply.arrays)) != reply.update:
        raise IntegrityError("gate.other_update", participant=reply.participant, round=round)
    return reply


def verify_answer(
    statement: str,
    *,
    key: PublicKey,
    study: StudyId,
    kind: str,
    round: int,  # noqa: A002 - the house's word
    model: Digest,
) -> Answer:
    """Check a reply's statement without its arrays, as it is kept after a round.

    Raises
    ------
    IntegrityError
        `ledger.bad_signature`, `gate.other_task` or `gate.other_round`.
    """
    answer = from_plain(Answer, verify_statement(statement, "reply", key))
    if (answer.study, answer.kind, answer.round, answer.model_in) != (study, kind, round, model):
        raise IntegrityError("gate.other_task", participant=answer.participant, round=round)
    verify_round(
        answer.countersignature,
        key,
        study=study,
        round=countersigned_round(kind, round),
        digest=model,
    )
    return answer


def check_countersigned(order: Order, study: Study) -> None:
    """Let a segment start only from the signed start or from an accepted round.

    Raises
    ------
    DeniedError
        `gate.start_not_countersigned`, with the number of valid signatures and
        the quorum.
    """
    if order.first_round == 1:
        if order.start != study.start or order.countersigned:
            raise DeniedError("gate.other_start", study=study.study)
        return
    missing = [PublicKey.from_text(site.key) for site in study.sites]
    for text in order.countersigned[: len(study.sites)]:
        signer = next((key for key in missing if _signed(text, key, order, study)), None)
        if signer is not None:
            missing.remove(signer)
    found = len(study.sites) - len(missing)
    if found < study.quorum or order.first_round > study.rounds + 1:
        raise DeniedError(
            "gate.start_not_countersigned",
            round=order.first_round - 1,
            found=found,
            quorum=study.quorum,
        )


def _signed(text: str, key: PublicKey, order: Order, study: Study) -> bool:
    try:
        verify_round(text, key, study=study.study, round=order.first_round - 1, digest=order.start)
    except (IntegrityError, InputError):
        return False
    return True
