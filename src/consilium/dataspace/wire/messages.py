"""The protocol's documents, each as a model; `MODELS` finds one by its `@type`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from consilium.dataspace.wire.models import (
    AgreementShape,
    Context,
    DataAddress,
    Message,
    MessageOffer,
    Offer,
    Shape,
)

NegotiationState = Literal[
    "REQUESTED", "OFFERED", "ACCEPTED", "AGREED", "VERIFIED", "FINALIZED", "TERMINATED"
]
TransferState = Literal["REQUESTED", "STARTED", "TERMINATED", "COMPLETED", "SUSPENDED"]
Reasons = Annotated[list[Any], Field(min_length=1)]


def _not_null(value: object) -> object:
    if value is None:
        raise ValueError("null")
    return value


Address = Annotated[DataAddress | None, BeforeValidator(_not_null)]
"""May be absent, but not null."""


class Numbered(Message):
    """A message of a process, as we number ours.

    `number` counts the sender's messages in this process from 1; `seen` is how
    many of the receiver's it had taken when it decided on this one. A peer of
    another house leaves both out; then `number` is 0.
    """

    number: int = Field(0, alias="consilium:number", ge=0, le=1_000_000)
    seen: int = Field(0, alias="consilium:seen", ge=0, le=1_000_000)


class Pids(Numbered):
    """A document about one process: both sides' numbers for it."""

    provider_pid: str = Field(alias="providerPid")
    consumer_pid: str = Field(alias="consumerPid")


class WithCode(Pids):
    """A document that says why."""

    code: str = ""
    reason: Reasons = Field(default_factory=list)


class CatalogRequestMessage(Message):
    """Asks for the catalogue."""

    type: Literal["CatalogRequestMessage"] = Field(alias="@type")
    filter: list[Any] = Field(default_factory=list)


class ContractRequestMessage(Numbered):
    """Opens a negotiation with `callbackAddress`, or answers an offer with `providerPid`."""

    type: Literal["ContractRequestMessage"] = Field(alias="@type")
    consumer_pid: str = Field(alias="consumerPid")
    provider_pid: str = Field("", alias="providerPid")
    offer: MessageOffer
    callback: str = Field("", alias="callbackAddress")

    @model_validator(mode="after")
    def _is_first_or_next(self) -> Self:
        if len({"callback", "provider_pid"} & self.model_fields_set) != 1:
            raise ValueError("one of callbackAddress and providerPid")
        return self


class ContractOfferMessage(Numbered):
    """Opens a negotiation from the provider's side, or answers a request."""

    type: Literal["ContractOfferMessage"] = Field(alias="@type")
    provider_pid: str = Field(alias="providerPid")
    consumer_pid: str = Field("", alias="consumerPid")
    offer: MessageOffer
    callback: str = Field("", alias="callbackAddress")

    @model_validator(mode="after")
    def _is_first_or_next(self) -> Self:
        if "target" not in self.offer.model_fields_set:
            raise ValueError("the offer names no target")
        if len({"callback", "consumer_pid"} & self.model_fields_set) != 1:
            raise ValueError("one of callbackAddress and consumerPid")
        return self


Addressed = Pids | ContractRequestMessage | ContractOfferMessage
"""A message that names both sides' numbers of its process."""


class ContractAgreementMessage(Pids):
    """The provider's agreement."""

    type: Literal["ContractAgreementMessage"] = Field(alias="@type")
    agreement: AgreementShape


class ContractAgreementVerificationMessage(Pids):
    """The consumer has checked the agreement."""

    type: Literal["ContractAgreementVerificationMessage"] = Field(alias="@type")


class ContractNegotiationEventMessage(Pids):
    """The consumer accepts an offer, or the provider finalises an agreement."""

    type: Literal["ContractNegotiationEventMessage"] = Field(alias="@type")
    event: Literal["ACCEPTED", "FINALIZED"] = Field(alias="eventType")


class ContractNegotiationTerminationMessage(WithCode):
    """Either side ends the negotiation."""

    type: Literal["ContractNegotiationTerminationMessage"] = Field(alias="@type")


class TransferRequestMessage(Message):
    """Asks to use an agreement; ours carries the lead's signed study."""

    type: Literal["TransferRequestMessage"] = Field(alias="@type")
    agreement: str = Field(alias="agreementId")
    format: str
    address: Address = Field(None, alias="dataAddress")
    callback: str = Field(alias="callbackAddress")
    consumer_pid: str = Field(alias="consumerPid")
    study: str = Field("", alias="consilium:study")


class TransferStartMessage(Pids):
    """The transfer may begin, or goes on."""

    type: Literal["TransferStartMessage"] = Field(alias="@type")
    address: Address = Field(None, alias="dataAddress")


class TransferSuspensionMessage(WithCode):
    """The transfer pauses."""

    type: Literal["TransferSuspensionMessage"] = Field(alias="@type")


class TransferCompletionMessage(Pids):
    """The transfer has reached its end."""

    type: Literal["TransferCompletionMessage"] = Field(alias="@type")


class TransferTerminationMessage(WithCode):
    """Either side ends the transfer."""

    type: Literal["TransferTerminationMessage"] = Field(alias="@type")


class ContractNegotiation(Pids):
    """Answer: where a negotiation stands."""

    type: Literal["ContractNegotiation"] = Field(alias="@type")
    state: NegotiationState


class TransferProcess(Pids):
    """Answer: where a transfer stands."""

    type: Literal["TransferProcess"] = Field(alias="@type")
    state: TransferState


class CatalogError(Message):
    """Answer: a catalogue request failed."""

    type: Literal["CatalogError"] = Field(alias="@type")
    code: str = ""
    reason: list[Any] = Field(default_factory=list)


class ContractNegotiationError(WithCode):
    """Answer: a negotiation message was refused; nothing changed."""

    type: Literal["ContractNegotiationError"] = Field(alias="@type")


class TransferError(WithCode):
    """Answer: a transfer message was refused; nothing changed."""

    type: Literal["TransferError"] = Field(alias="@type")


class DataService(Shape):
    """Where a participant's protocol endpoints are."""

    id: str = Field(alias="@id")
    type: Literal["DataService"] = Field(alias="@type")
    endpoint: str = Field(alias="endpointURL")


class Distribution(Shape):
    """How a dataset can be used."""

    format: str
    service: str | DataService = Field(alias="accessService")


class DatasetEntry(Shape):
    """A dataset in a catalogue."""

    id: str = Field(alias="@id")
    offers: Annotated[list[Offer], Field(min_length=1)] = Field(alias="hasPolicy")
    distribution: Annotated[list[Distribution], Field(min_length=1)]


class Dataset(DatasetEntry):
    """A dataset on its own."""

    context: Context = Field(alias="@context")


class CatalogEntry(Shape):
    """A catalogue, also within another."""

    id: str = Field(alias="@id")
    type: Literal["Catalog"] = Field(alias="@type")
    datasets: Annotated[list[DatasetEntry], Field(min_length=1)] = Field(
        default_factory=list, alias="dataset"
    )
    catalogs: Annotated[list[CatalogEntry], Field(min_length=1)] = Field(
        default_factory=list, alias="catalog"
    )
    services: Annotated[list[DataService], Field(min_length=1)] = Field(
        default_factory=list, alias="service"
    )
    distribution: Annotated[list[Distribution], Field(min_length=1)] = Field(default_factory=list)


class Catalog(CatalogEntry):
    """A participant's whole catalogue."""

    context: Context = Field(alias="@context")
    participant: str = Field(alias="participantId")


class DatasetRequestMessage(Message):
    """Asks for one dataset; the HTTPS binding has a path instead."""

    type: Literal["DatasetRequestMessage"] = Field(alias="@type")
    dataset: str


class DidService(Shape):
    """An entry of a DID document that says where a catalogue is."""

    context: list[str] = Field(default_factory=list, alias="@context")
    id: str
    type: Literal["DataService", "CatalogService"]
    endpoint: Annotated[str, Field(pattern=r"https?://.*?/catalog$")] = Field(
        alias="serviceEndpoint"
    )


class Version(Shape):
    """One version of the protocol that a participant speaks."""

    version: str
    path: str
    binding: Literal["HTTPS"]


class VersionResponse(Shape):
    """What a participant speaks, and where."""

    versions: Annotated[list[Version], Field(min_length=1)] = Field(alias="protocolVersions")


MODELS: Mapping[str, type[Shape]] = {
    model.__name__: model
    for model in (
        CatalogRequestMessage,
        DatasetRequestMessage,
        ContractRequestMessage,
        ContractOfferMessage,
        ContractAgreementMessage,
        ContractAgreementVerificationMessage,
        ContractNegotiationEventMessage,
        ContractNegotiationTerminationMessage,
        TransferRequestMessage,
        TransferStartMessage,
        TransferSuspensionMessage,
        TransferCompletionMessage,
        TransferTerminationMessage,
        ContractNegotiation,
        TransferProcess,
        CatalogError,
        ContractNegotiationError,
        TransferError,
        Catalog,
        Dataset,
    )
}
