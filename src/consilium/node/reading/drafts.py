"""Drafts: answers to questions become what `POST /studies` takes, or the reasons why not.

A draft that is given here is accepted there: both read it with the same
function. What the chosen hospitals' terms would refuse is said too, before
anybody is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from consilium.dataspace.records import Terms
from consilium.federation.noise.presets import EPSILONS
from consilium.federation.proposal import Draft, read_draft
from consilium.federation.registry import Recipes
from consilium.gate.orders import TABLE
from consilium.gate.plain import to_plain
from consilium.kernel.clock import Clock, read_time
from consilium.kernel.errors import ConsiliumError
from consilium.node.catalogue import Catalogue, Entry
from consilium.node.reading.cohorts import compare
from consilium.node.reading.shapes import Record, Words, say
from consilium.web.paging import Shape
from consilium.web.seats import Scope, Sight

ROUNDS = 15
USUAL_RULE = "fedavg"
TABLE_S, PICTURES_S = 60.0, 900.0
"""Deadlines of a round that nobody chose: for tables, and where pictures or signals are learnt."""
SECURE_CLIP, SECURE_BITS = 10.0, 64
MOST_CASES = 100_000
_NAMES = 1000

Text = Annotated[str, Field(max_length=4000)]
Name = Annotated[str, Field(max_length=300)]


class Choice(BaseModel):
    """A hospital, and which of its datasets."""

    model_config = ConfigDict(extra="forbid")
    participant: Name
    dataset: Name


class MaskWish(BaseModel):
    """How updates are masked, as far as somebody chose."""

    model_config = ConfigDict(extra="forbid")
    clip: float = SECURE_CLIP
    max_cases: int = 0
    bits: int = SECURE_BITS


class Answers(BaseModel):
    """What a person answers about a new study; whatever is left out gets a usual value."""

    model_config = ConfigDict(extra="forbid")
    title: Text
    purpose: Text
    recipe: Name
    invite: list[Choice] = Field(max_length=_NAMES)
    question: Text = ""
    rule: Name = ""
    rounds: int = 0
    settings: dict[str, Any] = Field(default_factory=dict)
    rule_settings: dict[str, Any] = Field(default_factory=dict)
    privacy: dict[str, Any] = Field(default_factory=dict)
    secure: MaskWish | bool | None = None
    quorum: int = 0
    deadline_s: float = 0.0
    seed: int = 42
    days: int = 30
    modalities: list[Name] = Field(default_factory=list, max_length=_NAMES)
    subgroups: list[Name] = Field(default_factory=list, max_length=_NAMES)


class Flaw(Words):
    """Why a study would not come about, and at which answer; `participant` if one hospital's."""

    field: str
    participant: str


class Drafted(Shape):
    """What `POST /studies` takes; null with a flaw that makes it impossible.

    Flaws beside a draft are those of hospitals that would decline it.
    """

    draft: Record | None
    flaws: list[Flaw]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafting:
    """Makes drafts."""

    recipes: Recipes
    catalogue: Catalogue
    clock: Clock

    def draft(self, answers: Answers, sight: Scope) -> Drafted:
        """Turn answers into a draft, checked as the node and each hospital will check it.

        Of a hospital out of sight nothing is looked up: as of one that offers nothing.
        """
        self.catalogue.look()
        entries = {
            one.participant: self.catalogue.find(one.participant, one.dataset)
            if sight.sees(organisations=(one.participant,))
            else None
            for one in answers.invite
        }
        try:
            plan = read_draft(self._fill(answers, entries), recipes=self.recipes)
        except ConsiliumError as error:
            place = str(error.facts.get("field") or error.facts.get("setting") or "")
            return Drafted(draft=None, flaws=[_flaw(Words(**error.as_record()), place)])
        flaws = [
            _flaw(words, place, who)
            for who, entry in entries.items()
            for place, words in self._judge(plan, entry, entries, who)
        ]
        plain: Any = to_plain(plan)
        return Drafted(draft=plain, flaws=flaws)

    def _fill(self, answers: Answers, entries: Mapping[str, Entry | None]) -> Any:
        """Give what is left out a usual value."""
        found = self.recipes.find(answers.recipe)
        rules = found.capability.rules if found else ()
        tables = found is None or set(found.capability.modalities) == {TABLE}
        return answers.model_dump() | {
            "rule": answers.rule or (rules[0] if rules else USUAL_RULE),
            "rounds": answers.rounds or ROUNDS,
            "deadline_s": answers.deadline_s or (TABLE_S if tables else PICTURES_S),
            "secure": _masking(answers.secure, entries),
        }

    def _judge(
        self,
        plan: Draft,
        entry: Entry | None,
        entries: Mapping[str, Entry | None],
        who: str,
    ) -> Iterator[tuple[str, Words]]:
        """Say what one hospital's terms or fields would refuse."""
        if entry is None:
            dataset = next(wish.dataset for wish in plan.invite if wish.participant == who)
            yield "invite", say("study.no_offer", participant=who, dataset=dataset)
            return
        like = self._reference(plan, entries)
        recipe = self.recipes.find(plan.recipe)
        if like is not None and like is not entry and recipe is not None:
            mixed = len(recipe.capability.modalities) > 1
            for words in compare(entry.listing, like.listing, mixed=mixed)[1]:
                yield "invite", words
        if recipe is not None and recipe.digest not in entry.listing.terms.algorithms:
            yield "recipe", say("console.recipe_not_allowed", recipe=recipe.name)
        yield from _judge_terms(plan, entry.listing.terms, now_ended=self._ended(entry))

    def _reference(self, plan: Draft, entries: Mapping[str, Entry | None]) -> Entry | None:
        """Give the dataset whose fields the plan will take: ours, else the first invited."""
        ours = entries.get(self.catalogue.me)
        return ours or entries.get(plan.invite[0].participant)

    def _ended(self, entry: Entry) -> bool:
        return self.clock.now() >= read_time(entry.listing.terms.not_after)


def drafts_router(drafting: Drafting) -> APIRouter:
    """Make the route."""
    router = APIRouter(tags=["studies"])

    @router.post("/drafts")
    def draft(answers: Answers, sight: Sight) -> Drafted:
        """Turn answers into what `POST /studies` takes; nothing is begun."""
        return drafting.draft(answers, sight)

    return router


def _judge_terms(plan: Draft, terms: Terms, *, now_ended: bool) -> Iterator[tuple[str, Words]]:
    if now_ended:
        yield "invite", say("console.offer_ended", ends=terms.not_after[:10])
    if plan.purpose not in terms.purposes:
        allowed = ", ".join(terms.purposes)
        yield "purpose", say("console.other_purpose", purpose=plan.purpose[:200], allowed=allowed)
    if plan.rounds > terms.max_rounds:
        yield "rounds", say("console.too_many_rounds", rounds=plan.rounds, most=terms.max_rounds)
    if terms.min_participants is not None and plan.quorum < terms.min_participants:
        yield (
            "quorum",
            say("console.quorum_too_low", quorum=plan.quorum, least=terms.min_participants),
        )
    if terms.secure_aggregation is not None and terms.secure_aggregation != bool(plan.secure):
        word = "console.secure_needed" if terms.secure_aggregation else "console.secure_refused"
        yield "secure", say(word)
    if terms.epsilon is not None:
        yield from _judge_noise(plan, terms.epsilon)


def _judge_noise(plan: Draft, limit: float) -> Iterator[tuple[str, Words]]:
    preset = plan.privacy.get("preset", "standard") if plan.privacy else None
    cost = plan.privacy.get("epsilon") or (EPSILONS.get(preset) if preset else None)
    if cost is None:
        yield "privacy", say("console.noise_needed", epsilon=limit)
    elif cost > limit:
        yield "privacy", say("console.epsilon_too_high", epsilon=cost, most=limit)


def _masking(wish: MaskWish | bool | None, entries: Mapping[str, Entry | None]) -> Any:
    """Say how updates are masked; 64 bits leave room for any clip and every hospital's cases."""
    if not wish:
        return None
    mask = MaskWish() if wish is True else wish
    shown = [entry.listing.n_train or 0 for entry in entries.values() if entry]
    hidden = not shown or not all(shown)
    cases = mask.max_cases or (MOST_CASES if hidden else max(shown))
    return {"clip": mask.clip, "max_cases": cases, "bits": mask.bits}


def _flaw(words: Words, place: str, who: str = "") -> Flaw:
    return Flaw(code=words.code, en=words.en, zh=words.zh, field=place, participant=who)
