"""Keys, requests and certificates, and what is not believed of them."""

from __future__ import annotations

import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from signer_bench import RSA, START, Bench

from consilium.hub.authority import Authority, Kind
from consilium.kernel.clock import HeldClock
from consilium.kernel.errors import DeniedError, InputError, IntegrityError, StateError
from consilium.ledger.certificates import (
    CLIENT_USE,
    PARTICIPANT_USE,
    SERVER_USE,
    KeyHalf,
    create_ec_key,
    create_rsa_key,
    identify_participant,
    load_private_key,
    read_certificate,
    read_request,
    renewal_due,
    request_certificate,
    root_fingerprint,
    verify_certificate,
    verify_root,
    write_certificate,
)
from consilium.ledger.keys import SigningKey


def test_a_key_file_is_its_owners_alone_and_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "engine.key"
    key = create_rsa_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key.key_size == 2048
    with pytest.raises(StateError) as caught:
        create_rsa_key(path)
    assert caught.value.code == "ledger.key_exists"
    loaded = load_private_key(path)
    assert isinstance(loaded, rsa.RSAPrivateKey)
    assert loaded.private_numbers() == key.private_numbers()


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hub.key"
    create_ec_key(path)
    path.chmod(0o640)
    with pytest.raises(InputError) as caught:
        load_private_key(path)
    assert caught.value.code == "ledger.key_exposed"


def test_a_file_without_a_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "hub.key"
    path.write_text("nothing")
    path.chmod(0o600)
    with pytest.raises(InputError) as caught:
        load_private_key(path)
    assert caught.value.code == "link.bad_key_file"


def test_the_same_key_and_name_give_the_same_request() -> None:
    key = SigningKey.generate().ed25519
    assert request_certificate(key, name="huashan") == request_certificate(key, name="huashan")
    assert request_certificate(RSA, name="huashan") == request_certificate(RSA, name="huashan")


def test_a_request_gives_its_key_under_its_own_name_only() -> None:
    pem = request_certificate(RSA, name="huashan")
    assert read_request(pem, name="huashan") == RSA.public_key()
    with pytest.raises(DeniedError) as caught:
        read_request(pem, name="tiantan")
    assert caught.value.code == "link.request_name"


def test_a_request_with_two_names_is_refused() -> None:
    names = [x509.NameAttribute(NameOID.COMMON_NAME, name) for name in ("huashan", "tiantan")]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names))
    pem = builder.sign(RSA, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
    with pytest.raises(DeniedError):
        read_request(pem, name="huashan")


@pytest.mark.parametrize("where", [60, 200, 400])
def test_an_altered_request_is_refused(where: int) -> None:
    pem = request_certificate(RSA, name="huashan")
    altered = pem[:where] + ("A" if pem[where] != "A" else "B") + pem[where + 1 :]
    with pytest.raises((InputError, DeniedError)):
        read_request(altered, name="huashan")


@pytest.mark.parametrize("pem", ["", "-----BEGIN CERTIFICATE REQUEST-----", "é", "x" * 70_000])
def test_what_is_no_request_is_refused(pem: str) -> None:
    with pytest.raises(InputError) as caught:
        read_request(pem, name="huashan")
    assert caught.value.code == "link.bad_request"


def test_the_root_is_its_own_issuer_for_one_level(bench: Bench) -> None:
    root = bench.authority.root
    verify_root(root)
    limits = root.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (limits.value.ca, limits.value.path_length, limits.critical) == (True, 0, True)
    assert isinstance(root.public_key(), ec.EllipticCurvePublicKey)
    leaf = bench.authority.issue(Kind.SITE, RSA.public_key(), name="huashan", hours=1)
    with pytest.raises(IntegrityError):
        verify_root(leaf)


def test_the_root_of_a_folder_is_found_again(bench: Bench, tmp_path: Path) -> None:
    again = Authority.load(tmp_path, space="glioma", clock=bench.clock)
    assert again.fingerprint == bench.authority.fingerprint == root_fingerprint(again.root)


def test_a_participants_certificate_says_who_it_is(bench: Bench) -> None:
    key = SigningKey.generate().public
    leaf = _participant(bench, key.ed25519)
    found = identify_participant(leaf, bench.authority.root, space="glioma", now=START)
    assert found.participant == "did:web:glioma:tiantan"
    assert (found.name, found.title, found.key) == ("tiantan", "天坛医院", key)


def test_a_certificate_of_another_root_is_not_believed(bench: Bench, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    stranger = Authority.create(other, space="glioma", days=1, clock=bench.clock)
    key = SigningKey.generate().public.ed25519
    leaf = stranger.issue(Kind.PARTICIPANT, key, name="tiantan", hours=1)
    with pytest.raises(IntegrityError) as caught:
        identify_participant(leaf, bench.authority.root, space="glioma", now=START)
    assert caught.value.code == "link.untrusted_certificate"


def test_a_certificate_is_for_its_use_only(bench: Bench) -> None:
    root = bench.authority.root
    site = bench.authority.issue(Kind.SITE, RSA.public_key(), name="tiantan", hours=1)
    verify_certificate(site, root, use=CLIENT_USE, now=START)
    for use in (SERVER_USE, PARTICIPANT_USE):
        with pytest.raises(IntegrityError):
            verify_certificate(site, root, use=use, now=START)


def test_a_certificate_does_not_speak_for_another_space(bench: Bench) -> None:
    leaf = _participant(bench, SigningKey.generate().public.ed25519)
    with pytest.raises(IntegrityError):
        identify_participant(leaf, bench.authority.root, space="fundus", now=START)


def test_a_certificate_is_valid_in_its_time_only(bench: Bench) -> None:
    leaf = _participant(bench, SigningKey.generate().public.ed25519)
    for moment in (START - timedelta(hours=1), START + timedelta(hours=2)):
        with pytest.raises(DeniedError) as caught:
            identify_participant(leaf, bench.authority.root, space="glioma", now=moment)
        assert caught.value.code == "link.certificate_expired"


def test_a_clock_ten_minutes_behind_accepts_a_fresh_certificate(bench: Bench) -> None:
    key = SigningKey.generate().public.ed25519
    leaf = bench.authority.issue(Kind.PARTICIPANT, key, name="tiantan", hours=168)
    behind = START - timedelta(minutes=10)
    identify_participant(leaf, bench.authority.root, space="glioma", now=behind)


def test_renewal_is_due_when_a_third_is_left(bench: Bench) -> None:
    leaf = bench.authority.issue(Kind.SITE, RSA.public_key(), name="tiantan", hours=90)
    left = leaf.not_valid_after_utc - renewal_due(leaf)
    assert timedelta(hours=30) <= left <= timedelta(hours=30.1)


def test_nothing_outlives_the_root(bench: Bench) -> None:
    leaf = bench.authority.issue(Kind.SITE, RSA.public_key(), name="tiantan", hours=1e6)
    assert leaf.not_valid_after_utc == bench.authority.root.not_valid_after_utc


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        (Kind.PARTICIPANT, RSA.public_key()),
        (Kind.SITE, SigningKey.generate().public.ed25519),
        (Kind.SITE, ec.generate_private_key(ec.SECP256R1()).public_key()),
        (Kind.HTTPS, ec.generate_private_key(ec.SECP384R1()).public_key()),
        (
            Kind.SITE,
            rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key(),
        ),
        (Kind.SITE, rsa.generate_private_key(public_exponent=3, key_size=2048).public_key()),
    ],
)
def test_a_key_of_the_wrong_kind_or_strength_is_refused(
    bench: Bench, kind: Kind, key: KeyHalf
) -> None:
    with pytest.raises(InputError) as caught:
        bench.authority.issue(kind, key, name="tiantan", hours=1)
    assert caught.value.code == "link.request_key"


def test_a_certificate_reads_back(bench: Bench) -> None:
    leaf = _participant(bench, SigningKey.generate().public.ed25519)
    assert read_certificate(write_certificate(leaf)) == leaf
    with pytest.raises(InputError) as caught:
        read_certificate("-----BEGIN CERTIFICATE-----\n")
    assert caught.value.code == "link.bad_certificate"


def test_short_lives_are_not_eaten_by_the_early_begin(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path, space="glioma", days=1, clock=HeldClock(START))
    leaf = authority.issue(Kind.SITE, RSA.public_key(), name="tiantan", hours=9 / 3600)
    assert renewal_due(leaf) > START + timedelta(seconds=4)


def _participant(bench: Bench, key: KeyHalf) -> x509.Certificate:
    return bench.authority.issue(Kind.PARTICIPANT, key, name="tiantan", title="天坛医院", hours=1)
