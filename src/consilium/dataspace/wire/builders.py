"""Builders of the protocol's documents: plain JSON objects that satisfy its schemas.

Lists that would be empty are left out, because the schemas want at least one
item. Pids that are not known yet are filled in when a message is sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from consilium.dataspace.wire.models import CONTEXT
from consilium.kernel.identifiers import AgreementId, ParticipantId

FORMAT = "FederatedCompute-PUSH"
"""The only distribution: the hospital calls out to the aggregator; no row travels."""
ENDPOINT_TYPE = "consilium:aggregator"
"""Endpoint type of the data address that a transfer request names."""
BASE = "/2025-1"
"""Where the protocol's paths begin, below a participant's protocol root."""
VERSION_PATH = "/.well-known/dspace-version"

Document = dict[str, Any]


def document(kind: str, **properties: Any) -> Document:
    """Build a document of one type, leaving out empty texts and lists."""
    kept = {name: value for name, value in properties.items() if value not in ("", [], None)}
    return {"@context": [CONTEXT], "@type": kind, **kept}


def with_pids(message: Document, *, provider: str, consumer: str) -> Document:
    """Name both sides' numbers of the process."""
    return {**message, "providerPid": provider, "consumerPid": consumer}


def version_response(participant: ParticipantId) -> Document:
    """Say which version of the protocol is spoken, and where."""
    entry = {
        "version": BASE.strip("/"),
        "path": BASE,
        "binding": "HTTPS",
        "serviceId": participant,
        "identifierType": "did:web",
        "auth": {"protocol": "consilium-token", "version": "1"},
    }
    return {"protocolVersions": [entry]}


def catalog_request(filters: Mapping[str, str] | None = None) -> Document:
    """Ask for the catalogue, or for those entries for which all filters hold."""
    return document("CatalogRequestMessage", filter=[dict(filters)] if filters else [])


def contract_request(consumer: str, *, offer: Document, callback: str) -> Document:
    """Open a negotiation on an offer."""
    return document(
        "ContractRequestMessage", consumerPid=consumer, offer=offer, callbackAddress=callback
    )


def contract_counter_request(offer: Document) -> Document:
    """Answer a provider's offer with another one, as consumer."""
    return document("ContractRequestMessage", offer=offer)


def contract_offer(provider: str, *, offer: Document, callback: str) -> Document:
    """Open a negotiation from the provider's side."""
    return document(
        "ContractOfferMessage", providerPid=provider, offer=offer, callbackAddress=callback
    )


def contract_counter_offer(offer: Document) -> Document:
    """Answer a consumer's request with another offer, as provider."""
    return document("ContractOfferMessage", offer=offer)


def negotiation_accepted() -> Document:
    """Accept the provider's offer, as consumer."""
    return document("ContractNegotiationEventMessage", eventType="ACCEPTED")


def contract_agreement(agreement: Document) -> Document:
    """Agree, as provider."""
    return document("ContractAgreementMessage", agreement=agreement)


def agreement_verification() -> Document:
    """Say that the agreement is what was asked for."""
    return document("ContractAgreementVerificationMessage")


def negotiation_finalized() -> Document:
    """Finalise, as provider."""
    return document("ContractNegotiationEventMessage", eventType="FINALIZED")


def negotiation_termination(code: str, reason: str) -> Document:
    """End a negotiation."""
    return document("ContractNegotiationTerminationMessage", code=code, reason=_reasons(reason))


def transfer_request(
    consumer: str, *, agreement: AgreementId, callback: str, address: Document, study: str
) -> Document:
    """Ask to use an agreement for a signed study."""
    return document(
        "TransferRequestMessage",
        consumerPid=consumer,
        agreementId=agreement,
        format=FORMAT,
        callbackAddress=callback,
        dataAddress=address,
        **{"consilium:study": study},
    )


def data_address(endpoint: str, properties: Mapping[str, str]) -> Document:
    """Name the aggregator that a hospital is to call."""
    entries = [
        {"@type": "EndpointProperty", "name": name, "value": value}
        for name, value in sorted(properties.items())
    ]
    address: Document = {
        "@type": "DataAddress",
        "endpointType": ENDPOINT_TYPE,
        "endpoint": endpoint,
    }
    return {**address, "endpointProperties": entries} if entries else address


def transfer_start() -> Document:
    """Start a transfer."""
    return document("TransferStartMessage")


def transfer_suspension(code: str, reason: str) -> Document:
    """Pause a transfer."""
    return document("TransferSuspensionMessage", code=code, reason=_reasons(reason))


def transfer_completion() -> Document:
    """Complete a transfer."""
    return document("TransferCompletionMessage")


def transfer_termination(code: str, reason: str) -> Document:
    """End a transfer."""
    return document("TransferTerminationMessage", code=code, reason=_reasons(reason))


def catalog(
    participant: ParticipantId, *, endpoint: str, title: str, datasets: Sequence[Document]
) -> Document:
    """Show a participant's datasets."""
    return document(
        "Catalog",
        **{"@id": f"{participant}#catalog", "dct:title": title},
        participantId=participant,
        service=[data_service(participant, endpoint)],
        dataset=list(datasets),
    )


def dataset(entry: Document) -> Document:
    """Show one dataset on its own."""
    return {"@context": [CONTEXT], **entry}


def data_service(participant: ParticipantId, endpoint: str) -> Document:
    """Say where a participant's endpoints are."""
    return {"@id": f"{participant}#dsp", "@type": "DataService", "endpointURL": endpoint}


def process_state(kind: str, state: str, *, provider: str, consumer: str) -> Document:
    """Say where a process stands; `kind` is `ContractNegotiation` or `TransferProcess`."""
    return with_pids(document(kind, state=state), provider=provider, consumer=consumer)


def error(kind: str, *, code: str, reason: str) -> Document:
    """Refuse a message; `kind` is `CatalogError`, `ContractNegotiationError` or `TransferError`."""
    return document(kind, code=code, reason=_reasons(reason))


def _reasons(reason: str) -> list[str]:
    return [reason] if reason else []
