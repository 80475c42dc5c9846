"""The signer's rules, one by one."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from signer_bench import RSA, START, Bench, join_request, redeem, renewal_request

from consilium.kernel.clock import write_time
from consilium.kernel.errors import (
    ConsiliumError,
    DeniedError,
    InputError,
    IntegrityError,
    NotFoundError,
    StateError,
)
from consilium.ledger.certificates import (
    CLIENT_USE,
    certificate_key,
    identify_participant,
    read_certificate,
    request_certificate,
    verify_certificate,
)
from consilium.ledger.jointokens import JOIN
from consilium.ledger.keys import SigningKey
from consilium.ledger.statements import sign_statement


def test_a_token_admits_its_member_for_the_keys_of_the_request(bench: Bench) -> None:
    key, answer = bench.admit()
    root = bench.authority.root
    leaf = read_certificate(answer["participant"])
    found = identify_participant(leaf, root, space="glioma", now=START)
    assert (found.name, found.title, found.key) == ("tiantan", "天坛医院", key.public)
    site = read_certificate(answer["engine"])
    verify_certificate(site, root, use=CLIENT_USE, now=START)
    assert certificate_key(site) == RSA.public_key()
    assert bench.kinds() == ["signer.minted", "signer.admitted"]


def test_the_secret_of_a_token_is_kept_nowhere(bench: Bench, tmp_path: Any) -> None:
    token = bench.mint()
    redeem(bench, join_request(token, SigningKey.generate()))
    bench.database.close()
    for file in tmp_path.iterdir():
        assert token.secret.encode() not in file.read_bytes(), file.name


def test_the_same_request_again_gets_the_same_answer(bench: Bench) -> None:
    statement = join_request(bench.mint(), SigningKey.generate())
    assert redeem(bench, statement) == redeem(bench, statement)
    assert bench.kinds().count("signer.admitted") == 1


def test_the_answer_is_not_repeated_once_the_member_has_renewed(bench: Bench) -> None:
    key = SigningKey.generate()
    statement = join_request(bench.mint(), key)
    redeem(bench, statement)
    bench.clock.advance(timedelta(minutes=1))
    bench.signer.renew(renewal_request(bench, key))
    with pytest.raises(DeniedError) as caught:
        redeem(bench, statement)
    assert caught.value.code == "hub.token_used"


def test_a_token_is_not_used_twice(bench: Bench) -> None:
    token = bench.mint()
    redeem(bench, join_request(token, SigningKey.generate()))
    with pytest.raises(DeniedError) as caught:
        redeem(bench, join_request(token, SigningKey.generate()))
    assert caught.value.code == "hub.token_used"
    assert bench.kinds()[-1] == "signer.refused"


def test_of_many_at_once_one_uses_the_token(bench: Bench) -> None:
    token = bench.mint()
    statements = [join_request(token, SigningKey.generate()) for _ in range(8)]
    outcomes: list[str] = []

    def use(statement: str) -> None:
        try:
            redeem(bench, statement)
            outcomes.append("admitted")
        except ConsiliumError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=use, args=(statement,)) for statement in statements]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["admitted"] + ["hub.token_used"] * 7


def test_an_expired_token_admits_nobody(bench: Bench) -> None:
    token = bench.mint(hours=1)
    bench.clock.advance(timedelta(hours=1, seconds=1))
    with pytest.raises(DeniedError) as caught:
        redeem(bench, join_request(token, SigningKey.generate()))
    assert caught.value.code == "link.token_expired"


def test_the_answer_is_not_repeated_after_the_token_has_expired(bench: Bench) -> None:
    token = bench.mint(hours=1)
    statement = join_request(token, SigningKey.generate())
    redeem(bench, statement)
    bench.clock.advance(timedelta(hours=2))
    with pytest.raises(DeniedError):
        redeem(bench, statement)


def test_a_token_of_another_signer_is_unknown(bench: Bench) -> None:
    token = bench.mint()
    mine = SigningKey.generate()
    facts = {"space": "glioma", "member": "tiantan", "token": mine.public.text}
    with pytest.raises(DeniedError) as caught:
        redeem(bench, sign_statement(mine, JOIN, facts))
    assert caught.value.code == "hub.token_unknown"
    assert token.member == "tiantan"


def test_who_passes_a_request_on_cannot_put_keys_of_their_own_into_it(bench: Bench) -> None:
    token = bench.mint()
    thief = SigningKey.generate()
    facts = {
        "space": "glioma",
        "member": "tiantan",
        "token": token.key.public.text,
        "csr_participant": request_certificate(thief.ed25519, name="tiantan"),
        "csr_engine": request_certificate(RSA, name="tiantan"),
    }
    with pytest.raises(IntegrityError) as caught:
        redeem(bench, sign_statement(thief, JOIN, facts))
    assert caught.value.code == "ledger.bad_signature"
    redeem(bench, join_request(token, SigningKey.generate()))


@pytest.mark.parametrize("change", [{"member": "huashan"}, {"space": "fundus"}])
def test_a_token_is_for_its_member_of_its_space(bench: Bench, change: dict[str, str]) -> None:
    with pytest.raises(DeniedError) as caught:
        redeem(bench, join_request(bench.mint(), SigningKey.generate(), **change))
    assert caught.value.code == "hub.token_other_member"


def test_a_request_for_another_members_name_is_refused(bench: Bench) -> None:
    key = SigningKey.generate()
    other = {"csr_engine": request_certificate(RSA, name="huashan")}
    token = bench.mint()
    with pytest.raises(DeniedError) as caught:
        redeem(bench, join_request(token, key, **other))
    assert caught.value.code == "link.request_name"
    redeem(bench, join_request(token, key))


def test_a_name_is_admitted_once(bench: Bench) -> None:
    first, second = bench.mint(), bench.mint()
    redeem(bench, join_request(first, SigningKey.generate()))
    with pytest.raises(StateError) as caught:
        redeem(bench, join_request(second, SigningKey.generate()))
    assert caught.value.code == "hub.name_taken"
    with pytest.raises(StateError):
        bench.mint()


@pytest.mark.parametrize("name", ["hub", "server", "signer", "admin", "submitter", "engine"])
def test_names_of_the_space_itself_are_kept(bench: Bench, name: str) -> None:
    with pytest.raises(InputError) as caught:
        bench.mint(name)
    assert caught.value.code == "hub.reserved_name"


@pytest.mark.parametrize("hours", [-1, 24 * 31, "long"])
def test_a_token_lives_for_a_bounded_time(bench: Bench, hours: Any) -> None:
    with pytest.raises(InputError) as caught:
        bench.mint(hours=hours)
    assert caught.value.code == "hub.bad_hours"


def test_tokens_are_listed_without_their_secrets(bench: Bench) -> None:
    used, expired, still = bench.mint("a1"), bench.mint("a2", hours=1), bench.mint("a3")
    redeem(bench, join_request(used, SigningKey.generate()))
    bench.clock.advance(timedelta(hours=2))
    listed: Any = bench.signer.list_tokens({})["tokens"]
    assert {item["member"]: item["state"] for item in listed} == {
        "a1": "used",
        "a2": "expired",
        "a3": "open",
    }
    assert all(token.secret not in str(listed) for token in (used, expired, still))


def test_the_present_key_renews(bench: Bench) -> None:
    key, first = bench.admit()
    bench.clock.advance(timedelta(hours=100))
    answer = bench.signer.renew(renewal_request(bench, key))
    fresh = read_certificate(str(answer["participant"]))
    old = read_certificate(first["participant"])
    assert fresh.not_valid_after_utc > old.not_valid_after_utc
    assert certificate_key(fresh) == certificate_key(old)
    assert bench.kinds()[-1] == "signer.renewed"


def test_a_renewal_may_come_after_the_certificate_has_expired(bench: Bench) -> None:
    key, _ = bench.admit()
    bench.clock.advance(timedelta(days=30))
    bench.signer.renew(renewal_request(bench, key))


def test_another_key_does_not_renew(bench: Bench) -> None:
    bench.admit()
    with pytest.raises(IntegrityError) as caught:
        bench.signer.renew(renewal_request(bench, SigningKey.generate()))
    assert caught.value.code == "ledger.bad_signature"
    assert bench.kinds()[-1] == "signer.refused"


def test_a_token_does_not_renew(bench: Bench) -> None:
    key = SigningKey.generate()
    token = bench.mint()
    redeem(bench, join_request(token, key))
    bench.clock.advance(timedelta(hours=1))
    with pytest.raises(IntegrityError):
        bench.signer.renew(renewal_request(bench, token.key))


def test_the_old_key_can_hand_over_to_a_new_one(bench: Bench) -> None:
    old, _ = bench.admit()
    new = SigningKey.generate()
    bench.clock.advance(timedelta(hours=1))
    hand_over = {"csr_participant": request_certificate(new.ed25519, name="tiantan")}
    request = renewal_request(bench, old, **hand_over)
    first = bench.signer.renew(request)
    assert bench.signer.renew(request) == first
    bench.clock.advance(timedelta(minutes=1))
    with pytest.raises(IntegrityError):
        bench.signer.renew(renewal_request(bench, old))
    bench.signer.renew(renewal_request(bench, new))


def test_a_renewal_is_not_shown_again_after_a_later_one(bench: Bench) -> None:
    key, _ = bench.admit()
    bench.clock.advance(timedelta(minutes=1))
    old = renewal_request(bench, key)
    bench.signer.renew(old)
    bench.clock.advance(timedelta(minutes=1))
    bench.signer.renew(renewal_request(bench, key))
    with pytest.raises(DeniedError) as caught:
        bench.signer.renew(old)
    assert caught.value.code == "hub.renewal_older"


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_renewal_is_of_now(bench: Bench, minutes: int) -> None:
    key, _ = bench.admit()
    bench.clock.advance(timedelta(hours=1))
    time = write_time(bench.clock.now() + timedelta(minutes=minutes))
    with pytest.raises(DeniedError) as caught:
        bench.signer.renew(renewal_request(bench, key, time=time))
    assert caught.value.code == "hub.renewal_time"


def test_a_member_renews_for_its_own_name(bench: Bench) -> None:
    bench.admit("tiantan")
    key, _ = bench.admit("huashan")
    bench.clock.advance(timedelta(hours=1))
    with pytest.raises(IntegrityError):
        bench.signer.renew(renewal_request(bench, key, member="tiantan"))


def test_a_stranger_does_not_renew(bench: Bench) -> None:
    with pytest.raises(DeniedError) as caught:
        bench.signer.renew(renewal_request(bench, SigningKey.generate()))
    assert caught.value.code == "hub.not_admitted"


def test_a_revoked_member_gets_nothing_until_a_new_token(bench: Bench) -> None:
    key = SigningKey.generate()
    statement = join_request(bench.mint(), key)
    redeem(bench, statement)
    bench.signer.revoke({"member": "tiantan", "reason": "left"})
    assert bench.signer.list_standing({}) == {"tiantan": "revoked"}
    bench.clock.advance(timedelta(minutes=1))
    with pytest.raises(DeniedError) as caught:
        bench.signer.renew(renewal_request(bench, key))
    assert caught.value.code == "hub.member_revoked"
    with pytest.raises(DeniedError):
        redeem(bench, statement)
    again = SigningKey.generate()
    redeem(bench, join_request(bench.mint(), again))
    assert bench.signer.list_standing({}) == {"tiantan": "admitted"}
    bench.clock.advance(timedelta(minutes=1))
    with pytest.raises(IntegrityError):
        bench.signer.renew(renewal_request(bench, key))
    bench.signer.renew(renewal_request(bench, again))


def test_nobody_is_revoked_who_never_joined(bench: Bench) -> None:
    with pytest.raises(NotFoundError):
        bench.signer.revoke({"member": "nobody", "reason": "x"})


@pytest.mark.parametrize(
    "facts", [{}, {"statement": 3}, {"statement": "x"}, {"statement": "a.b.c"}]
)
def test_a_malformed_question_is_refused(bench: Bench, facts: dict[str, Any]) -> None:
    for verb in (bench.signer.redeem, bench.signer.renew):
        with pytest.raises(InputError):
            verb(facts)
