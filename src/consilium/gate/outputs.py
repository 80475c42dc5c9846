"""The output gate's first question: a result of this kind, does the agreement let it out.

It is asked of what is really about to leave, not of what was planned: whatever
holds arrays is a model, whatever is counted over patients an aggregate.
"""

from __future__ import annotations

from typing import Any

from consilium.dataspace.evaluation import evaluate
from consilium.dataspace.records import Agreement
from consilium.dataspace.vocabulary import (
    AGGREGATE,
    DELTA,
    EPSILON,
    OPERANDS,
    OUTPUT,
    SECURE,
    UNBOUNDED,
)


def check_output(
    agreement: Agreement, output: str, *, has_noise: bool = False, is_summed: bool = False
) -> None:
    """Refuse a result that the agreement does not let out.

    Parameters
    ----------
    agreement : Agreement
        Under which the result was computed.
    output : str
        One of `vocabulary.OUTPUTS`.
    has_noise : bool, optional
        Whether its privacy loss is charged by `charge_epsilon`; then that judges
        the budget. An exact result has no bound, which no budget holds.
    is_summed : bool, optional
        Whether its study lets updates out under masks only.

    Raises
    ------
    DeniedError
        `dataspace.wrong_output`, `dataspace.epsilon_exceeded`,
        `dataspace.not_aggregated_securely`.

    Discloses
    ---------
    Nothing.
    """
    facts: dict[str, Any] = {OUTPUT: output}
    if not has_noise:
        facts |= {EPSILON: UNBOUNDED, DELTA: 0}
    if output != AGGREGATE:  # secure aggregation is about updates and what is told of them
        facts[SECURE] = is_summed
    evaluate(agreement.policy, facts, later=OPERANDS.keys() - facts.keys()).require()
