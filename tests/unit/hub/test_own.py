"""The hub's own certificates, and what the engine makes of them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from signer_bench import RSA, START, Bench, make_settings

from consilium.hub.authority import SUBMITTER_ROLE, Kind
from consilium.hub.own import OwnCertificates
from consilium.ledger.certificates import (
    SERVER_USE,
    certificate_key,
    common_name,
    read_certificate,
    verify_certificate,
)
from consilium.ledger.keys import SigningKey


def test_the_hub_renews_its_own_when_due_and_for_the_same_keys(bench: Bench) -> None:
    first = bench.own.issue(Kind.SUBMITTER, RSA.public_key())
    assert bench.own.renew_due() == []
    bench.clock.advance(timedelta(hours=17))
    assert bench.own.renew_due() == [Kind.SUBMITTER]
    fresh = read_certificate(str(bench.own.list_present({})["submitter"]))
    assert fresh.not_valid_after_utc > first.not_valid_after_utc
    assert certificate_key(fresh) == certificate_key(first)
    assert bench.kinds() == ["signer.issued", "signer.issued"]


def test_a_server_that_gets_another_name_is_certified_anew(bench: Bench) -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    bench.own.issue(Kind.HTTPS, key)
    settings = make_settings(**{"hub.also": ["10.0.0.7"]})
    moved = OwnCertificates(bench.authority, bench.database, settings=settings, clock=bench.clock)
    assert moved.renew_due() == [Kind.HTTPS]
    assert _hosts(read_certificate(str(moved.list_present({})["https"]))) == {
        "hub.example.org",
        "localhost",
        "127.0.0.1",
        "10.0.0.7",
    }


def test_the_engines_server_is_named_as_no_member_can_be(bench: Bench) -> None:
    leaf = bench.own.issue(Kind.ENGINE_SERVER, RSA.public_key())
    assert common_name(leaf) == "engine.glioma"
    verify_certificate(leaf, bench.authority.root, use=SERVER_USE, now=START)


def test_the_hub_speaks_as_a_participant(bench: Bench) -> None:
    leaf = bench.own.issue(Kind.PARTICIPANT, SigningKey.generate().public.ed25519)
    assert common_name(leaf) == "hub"


def test_the_submitter_may_submit_and_cannot_administer(bench: Bench) -> None:
    """The role in the certificate, weighed by the engine's own authorisation."""
    security = pytest.importorskip("nvflare.fuel.hci.security")
    authz = pytest.importorskip("nvflare.fuel.sec.authz")
    utils = pytest.importorskip("nvflare.lighter.utils")
    categories = pytest.importorskip("nvflare.security.security").COMMAND_CATEGORIES
    leaf = bench.own.issue(Kind.SUBMITTER, RSA.public_key())
    identity = security.get_identity_info(utils.cert_to_dict(leaf))
    assert identity == {
        "common_name": "submitter@glioma",
        "organization": "glioma",
        "role": SUBMITTER_ROLE,
    }
    rights = {"submit_job": "any", "view": "any", "manage_job": "n:submitter"}
    config = {"format_version": "1.0", "permissions": {SUBMITTER_ROLE: rights}}
    policy, problem = authz.parse_policy_config(config, categories)
    assert problem == ""
    me = authz.Person(*identity.values())

    def may(right: str) -> bool:
        return bool(policy.evaluate("glioma", authz.AuthzContext(right, me, me))[0])

    assert may("submit_job")
    assert may("abort_job")
    refused = ("byoc", "disable_client", "shutdown", "restart", "cat", "ls")
    assert not any(may(right) for right in refused)


def test_the_engine_believes_the_chain_and_the_admin_certificate(bench: Bench) -> None:
    utils = pytest.importorskip("nvflare.lighter.utils")
    admin = pytest.importorskip("nvflare.fuel.sec.admin_cert")
    for kind in (Kind.SUBMITTER, Kind.ENGINE_SERVER):
        leaf = bench.own.issue(kind, RSA.public_key())
        utils.verify_cert_chain(leaf, [], bench.authority.root, now=START)
    admin.validate_admin_leaf_cert(bench.own.issue(Kind.SUBMITTER, RSA.public_key()))
    site = bench.authority.issue(Kind.SITE, RSA.public_key(), name="tiantan", hours=1)
    utils.verify_cert_chain(site, [], bench.authority.root, now=START)
    assert not site.subject.get_attributes_for_oid(NameOID.UNSTRUCTURED_NAME)


def _hosts(leaf: x509.Certificate) -> set[str]:
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = names.get_values_for_type(x509.IPAddress)
    return {*names.get_values_for_type(x509.DNSName), *map(str, addresses)}
