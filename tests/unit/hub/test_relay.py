"""The relay's mailboxes, without a network."""

from __future__ import annotations

import asyncio
import time

import pytest

from consilium.hub.relay import Answer, Relay
from consilium.hub.settings import RelaySection
from consilium.kernel.errors import NotFoundError, PeerError

QUICK = RelaySection(poll_s=0.2, answer_s=0.2, away_s=0.1, queue=2)


def carry(relay: Relay, name: str = "tiantan", path: str = "/x") -> asyncio.Task[Answer]:
    return asyncio.create_task(
        relay.carry(name, method="POST", path=path, headers={}, body=b"hello")
    )


def answer(status: int = 200) -> Answer:
    return Answer(status=status, headers={}, body="aGk=")


def test_a_message_finds_the_waiting_poll_and_its_answer_the_sender() -> None:
    async def act() -> None:
        relay = Relay(QUICK)
        poll = asyncio.create_task(relay.take("tiantan", most=4, gone=asyncio.Event()))
        await asyncio.sleep(0)
        asked = carry(relay)
        (message,) = await poll
        assert (message.method, message.path, message.body) == ("POST", "/x", b"hello")
        relay.answer("tiantan", message.id, answer(201))
        assert (await asked).status == 201

    asyncio.run(act())


def test_a_poll_takes_what_waits_in_order_and_not_more_than_it_wants() -> None:
    async def act() -> None:
        relay = Relay(QUICK)
        asked = [carry(relay, path=f"/{number}") for number in range(2)]
        await asyncio.sleep(0)
        gone = asyncio.Event()
        first = await relay.take("tiantan", most=1, gone=gone)
        second = await relay.take("tiantan", most=1, gone=gone)
        assert [message.path for message in first + second] == ["/0", "/1"]
        for message in first + second:
            relay.answer("tiantan", message.id, answer())
        await asyncio.gather(*asked)

    asyncio.run(act())


def test_a_poll_ends_empty_after_its_time() -> None:
    async def act() -> None:
        begun = time.monotonic()
        assert await Relay(QUICK).take("tiantan", most=1, gone=asyncio.Event()) == []
        assert time.monotonic() - begun > 0.15

    asyncio.run(act())


def test_a_poll_that_hung_up_takes_nothing_along() -> None:
    async def act() -> None:
        relay = Relay(QUICK)
        gone = asyncio.Event()
        poll = asyncio.create_task(relay.take("tiantan", most=1, gone=gone))
        await asyncio.sleep(0)
        gone.set()
        asked = carry(relay)
        assert await poll == []
        (message,) = await relay.take("tiantan", most=1, gone=asyncio.Event())
        relay.answer("tiantan", message.id, answer())
        assert (await asked).status == 200

    asyncio.run(act())


def test_who_is_away_is_said_at_once() -> None:
    async def act() -> None:
        relay = Relay(QUICK)
        await asyncio.sleep(0.15)
        assert not relay.is_online("tiantan")
        with pytest.raises(PeerError) as caught:
            await carry(relay)
        assert caught.value.code == "hub.member_away"
        assert caught.value.http_status == 503

    asyncio.run(act())


def test_who_was_here_a_moment_ago_is_waited_for() -> None:
    async def act() -> None:
        relay = Relay(QUICK)
        await asyncio.sleep(0.15)
        await relay.take("tiantan", most=1, gone=asyncio.Event())
        asked = carry(relay)
        await asyncio.sleep(0.02)
        (message,) = await relay.take("tiantan", most=1, gone=asyncio.Event())
        relay.answer("tiantan", message.id, answer())
        assert (await asked).status == 200

    asyncio.run(act())


def test_no_answer_in_time_is_said_and_a_late_one_is_refused() -> None:
    async def act() -> None:
        relay = Relay(QUICK)
        asked = carry(relay)
        await asyncio.sleep(0)
        (message,) = await relay.take("tiantan", most=1, gone=asyncio.Event())
        with pytest.raises(PeerError) as caught:
            await asked
        assert (caught.value.code, caught.value.http_status) == ("hub.member_silent", 504)
        assert caught.value.retryable
        with pytest.raises(NotFoundError):
            relay.answer("tiantan", message.id, answer())

    asyncio.run(act())


def test_nobody_answers_for_another_member_nor_twice() -> None:
    async def act() -> None:
        relay = Relay(QUICK)
        asked = carry(relay)
        await asyncio.sleep(0)
        (message,) = await relay.take("tiantan", most=1, gone=asyncio.Event())
        for name in ("huashan", "nobody"):
            with pytest.raises(NotFoundError):
                relay.answer(name, message.id, answer(500))
        relay.answer("tiantan", message.id, answer())
        with pytest.raises(NotFoundError):
            relay.answer("tiantan", message.id, answer(500))
        assert (await asked).status == 200

    asyncio.run(act())


def test_a_mailbox_is_bounded_and_empties_itself() -> None:
    async def act() -> None:
        relay = Relay(QUICK)
        asked = [carry(relay) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(PeerError) as caught:
            await carry(relay)
        assert caught.value.code == "hub.mailbox_full"
        await asyncio.gather(*asked, return_exceptions=True)
        poll = asyncio.create_task(relay.take("tiantan", most=4, gone=asyncio.Event()))
        await asyncio.sleep(0)
        again = carry(relay)
        assert len(await poll) == 1
        again.cancel()

    asyncio.run(act())


def test_closing_sends_polls_home() -> None:
    async def act() -> None:
        relay = Relay(RelaySection())
        poll = asyncio.create_task(relay.take("tiantan", most=1, gone=asyncio.Event()))
        await asyncio.sleep(0)
        relay.close()
        async with asyncio.timeout(1):
            assert await poll == []
        with pytest.raises(PeerError):
            await carry(relay)

    asyncio.run(act())
