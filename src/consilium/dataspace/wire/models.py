"""The protocol's messages as models: what has another shape is refused at the door.

The models say the same as the official JSON schemas of Dataspace Protocol
2025-1, and the conformance tests compare them. Further properties are allowed,
as they are there; we read only those that we know.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from consilium.kernel.errors import InputError

CONTEXT = "https://w3id.org/dspace/2025/1/context.jsonld"
_TIME = (
    r"-?([1-9][0-9]{3,}|0[0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"T(([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?|(24:00:00(\.0+)?))"
    r"(Z|(\+|-)((0[0-9]|1[0-3]):[0-5][0-9]|14:00))?"
)


def _holds_context(value: list[str]) -> list[str]:
    if CONTEXT not in value:
        raise ValueError("the protocol's context is missing")
    return value


Context = Annotated[list[str], AfterValidator(_holds_context)]


class Shape(BaseModel):
    """Anything on the wire: strict about kinds, open to further properties."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)


class Message(Shape):
    """A whole document: it names its context."""

    context: Context = Field(alias="@context")


class AtomicConstraint(Shape):
    """One term of a rule."""

    left: str = Field(alias="leftOperand")
    operator: Literal[
        "eq",
        "gt",
        "gteq",
        "lteq",
        "hasPart",
        "isA",
        "isAllOf",
        "isAnyOf",
        "isNoneOf",
        "isPartOf",
        "lt",
        "term-lteq",
        "neq",
    ]
    right: str | dict[str, Any] | list[Any] = Field(alias="rightOperand")

    @model_validator(mode="after")
    def _is_no_word(self) -> Self:
        if {"and", "andSequence", "or", "xone"} & (self.model_extra or {}).keys():
            raise ValueError("a term and a word at once")
        return self


class LogicalConstraint(Shape):
    """Several terms joined by exactly one word."""

    all_of: list[Constraint] = Field(default_factory=list, alias="and")
    in_order: list[Constraint] = Field(default_factory=list, alias="andSequence")
    any_of: list[Constraint] = Field(default_factory=list, alias="or")
    one_of: list[Constraint] = Field(default_factory=list, alias="xone")

    @model_validator(mode="after")
    def _names_one_word(self) -> Self:
        if len(self.model_fields_set) - len(self.model_extra or {}) != 1:
            raise ValueError("one of and, andSequence, or, xone")
        if {"leftOperand", "rightOperand", "operator"} & (self.model_extra or {}).keys():
            raise ValueError("a term and a word at once")
        return self


Constraint = AtomicConstraint | LogicalConstraint


class Rule(Shape):
    """A permission, prohibition or duty."""

    action: str
    constraint: list[Constraint] = Field(default_factory=list)


Rules = Annotated[list[Rule], Field(min_length=1)]


class PolicyShape(Shape):
    """What offers and agreements have in common."""

    id: str = Field(alias="@id")
    profile: str | list[str] = ""
    permission: Rules = Field(default_factory=list)
    prohibition: Rules = Field(default_factory=list)
    obligation: Rules = Field(default_factory=list)

    @model_validator(mode="after")
    def _has_rules(self) -> Self:
        if not (self.permission or self.prohibition):
            raise ValueError("permission or prohibition")
        return self


class Offer(PolicyShape):
    """An offer in a catalogue: the dataset it stands in is its target."""

    type: Literal["Offer"] = Field("Offer", alias="@type")

    @model_validator(mode="after")
    def _has_no_target(self) -> Self:
        if "target" in (self.model_extra or {}):
            raise ValueError("an offer in a catalogue has no target")
        return self


class MessageOffer(PolicyShape):
    """An offer in a message: it names its target."""

    type: Literal["Offer"] = Field(alias="@type")
    target: str = ""


class AgreementShape(PolicyShape):
    """An agreement between two participants."""

    type: Literal["Agreement"] = Field(alias="@type")
    target: str
    assigner: str
    assignee: str
    timestamp: Annotated[str, Field(pattern=_TIME)] = ""


class EndpointProperty(Shape):
    """A named value of a data address."""

    type: Literal["EndpointProperty"] = Field(alias="@type")
    name: str
    value: str


class DataAddress(Shape):
    """Where data, or here a federated computation, is reached."""

    type: Literal["DataAddress"] = Field(alias="@type")
    endpoint_type: str = Field(alias="endpointType")
    endpoint: str = ""
    properties: Annotated[list[EndpointProperty], Field(min_length=1)] = Field(
        default_factory=list, alias="endpointProperties"
    )


M = TypeVar("M", bound=Shape)


def read_shape(model: type[M], document: object) -> M:
    """Read a document as a message of one kind.

    Raises
    ------
    InputError
        `dataspace.bad_message`; it names the kind and the place, not the value.
    """
    try:
        return model.model_validate(document)
    except (ValidationError, RecursionError) as error:
        place = _place(error) if isinstance(error, ValidationError) else "document"
        raise InputError("dataspace.bad_message", message=model.__name__, place=place) from error


def _place(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return ".".join(str(part) for part in first["loc"])[:80] or "document"
