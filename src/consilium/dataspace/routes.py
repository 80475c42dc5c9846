"""The protocol's paths, both roles: one table, and what each path does with its document."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from consilium.dataspace import negotiation_messages as negotiation
from consilium.dataspace import transfer_messages as transfer
from consilium.dataspace.arrivals import get_peers_process
from consilium.dataspace.catalog import show_catalog, show_dataset
from consilium.dataspace.connector import Connector
from consilium.dataspace.pages import read_ask
from consilium.dataspace.records import Negotiation, Process, Role, Transfer
from consilium.dataspace.routing import (
    CATALOG_ERROR,
    NEGOTIATION_ERROR,
    TRANSFER_ERROR,
    Asked,
    Document,
    Route,
)
from consilium.dataspace.wire import builders
from consilium.dataspace.wire.messages import (
    CatalogRequestMessage,
    ContractAgreementMessage,
    ContractAgreementVerificationMessage,
    ContractNegotiationEventMessage,
    ContractNegotiationTerminationMessage,
    ContractOfferMessage,
    ContractRequestMessage,
    TransferCompletionMessage,
    TransferRequestMessage,
    TransferStartMessage,
    TransferSuspensionMessage,
    TransferTerminationMessage,
)
from consilium.dataspace.wire.models import read_shape
from consilium.kernel.errors import InputError


def _state(process: Process) -> Document:
    kind = "ContractNegotiation" if isinstance(process, Negotiation) else "TransferProcess"
    pids = {process.role: process.pid, process.role.other: process.peer_pid}
    return builders.process_state(
        kind, process.state, provider=pids[Role.PROVIDER], consumer=pids[Role.CONSUMER]
    )


def _catalog(connector: Connector, asked: Asked) -> Document:
    message = read_shape(CatalogRequestMessage, asked.document)
    return _show_page(connector, asked, message.filter)


def _next_page(connector: Connector, asked: Asked) -> Document:
    return _show_page(connector, asked, [])


def _show_page(connector: Connector, asked: Asked, filters: list[Any]) -> Document:
    named = parse_qs(asked.query, keep_blank_values=True)
    if asked.query and (named.keys() != {"cursor"} or len(named["cursor"]) != 1):
        raise InputError("dataspace.bad_cursor")
    ask = read_ask(filters, cursor=named["cursor"][0] if asked.query else None)
    return show_catalog(connector, asked.caller.participant, ask)


def _dataset(connector: Connector, asked: Asked) -> Document:
    return show_dataset(connector, asked.caller.participant, asked.pid)


def _get_negotiation(connector: Connector, asked: Asked) -> Document:
    with connector.database.read() as connection:
        return _state(get_peers_process(connection, Negotiation, asked.pid, by=asked.caller))


def _get_transfer(connector: Connector, asked: Asked) -> Document:
    with connector.database.read() as connection:
        return _state(get_peers_process(connection, Transfer, asked.pid, by=asked.caller))


def _contract_request(connector: Connector, asked: Asked) -> Document:
    message = read_shape(ContractRequestMessage, asked.document)
    policy = asked.document["offer"]
    return _state(
        negotiation.on_contract_request(connector, message, policy=policy, by=asked.caller)
    )


def _counter_request(connector: Connector, asked: Asked) -> Document:
    message = read_shape(ContractRequestMessage, asked.document)
    policy = asked.document["offer"]
    return _state(
        negotiation.on_counter_request(
            connector, asked.pid, message, policy=policy, by=asked.caller
        )
    )


def _contract_offer(connector: Connector, asked: Asked) -> Document:
    message = read_shape(ContractOfferMessage, asked.document)
    policy = asked.document["offer"]
    return _state(negotiation.on_offer(connector, message, policy=policy, by=asked.caller))


def _counter_offer(connector: Connector, asked: Asked) -> Document:
    message = read_shape(ContractOfferMessage, asked.document)
    policy = asked.document["offer"]
    return _state(
        negotiation.on_counter_offer(connector, asked.pid, message, policy=policy, by=asked.caller)
    )


def _agreement(connector: Connector, asked: Asked) -> Document:
    message = read_shape(ContractAgreementMessage, asked.document)
    policy = asked.document["agreement"]
    return _state(
        negotiation.on_agreement(connector, asked.pid, message, policy=policy, by=asked.caller)
    )


def _verification(connector: Connector, asked: Asked) -> Document:
    message = read_shape(ContractAgreementVerificationMessage, asked.document)
    return _state(negotiation.on_verification(connector, asked.pid, message, by=asked.caller))


def _event(connector: Connector, asked: Asked) -> Document:
    message = read_shape(ContractNegotiationEventMessage, asked.document)
    return _state(
        negotiation.on_event(connector, asked.pid, message, event=message.event, by=asked.caller)
    )


def _end_negotiation(connector: Connector, asked: Asked) -> Document:
    message = read_shape(ContractNegotiationTerminationMessage, asked.document)
    return _state(negotiation.on_termination(connector, asked.pid, message, by=asked.caller))


def _transfer_request(connector: Connector, asked: Asked) -> Document:
    message = read_shape(TransferRequestMessage, asked.document)
    address = asked.document.get("dataAddress", {})
    return _state(
        transfer.on_transfer_request(connector, message, address=address, by=asked.caller)
    )


def _start(connector: Connector, asked: Asked) -> Document:
    message = read_shape(TransferStartMessage, asked.document)
    return _state(transfer.on_start(connector, asked.pid, message, by=asked.caller))


def _suspension(connector: Connector, asked: Asked) -> Document:
    message = read_shape(TransferSuspensionMessage, asked.document)
    return _state(transfer.on_suspension(connector, asked.pid, message, by=asked.caller))


def _completion(connector: Connector, asked: Asked) -> Document:
    message = read_shape(TransferCompletionMessage, asked.document)
    return _state(transfer.on_completion(connector, asked.pid, message, by=asked.caller))


def _end_transfer(connector: Connector, asked: Asked) -> Document:
    message = read_shape(TransferTerminationMessage, asked.document)
    return _state(transfer.on_termination(connector, asked.pid, message, by=asked.caller))


ROUTES = (
    Route("POST", "/catalog/request", CATALOG_ERROR, _catalog, has_query=True),
    Route("GET", "/catalog/request", CATALOG_ERROR, _next_page, has_query=True),
    Route("GET", "/catalog/datasets/{pid}", CATALOG_ERROR, _dataset),
    Route("POST", "/negotiations/request", NEGOTIATION_ERROR, _contract_request, 201),
    Route("POST", "/negotiations/offers", NEGOTIATION_ERROR, _contract_offer, 201),
    Route("GET", "/negotiations/{pid}", NEGOTIATION_ERROR, _get_negotiation),
    Route("POST", "/negotiations/{pid}/request", NEGOTIATION_ERROR, _counter_request),
    Route("POST", "/negotiations/{pid}/offers", NEGOTIATION_ERROR, _counter_offer),
    Route("POST", "/negotiations/{pid}/agreement", NEGOTIATION_ERROR, _agreement),
    Route("POST", "/negotiations/{pid}/agreement/verification", NEGOTIATION_ERROR, _verification),
    Route("POST", "/negotiations/{pid}/events", NEGOTIATION_ERROR, _event),
    Route("POST", "/negotiations/{pid}/termination", NEGOTIATION_ERROR, _end_negotiation),
    Route("POST", "/transfers/request", TRANSFER_ERROR, _transfer_request, 201),
    Route("GET", "/transfers/{pid}", TRANSFER_ERROR, _get_transfer),
    Route("POST", "/transfers/{pid}/start", TRANSFER_ERROR, _start),
    Route("POST", "/transfers/{pid}/suspension", TRANSFER_ERROR, _suspension),
    Route("POST", "/transfers/{pid}/completion", TRANSFER_ERROR, _completion),
    Route("POST", "/transfers/{pid}/termination", TRANSFER_ERROR, _end_transfer),
)
