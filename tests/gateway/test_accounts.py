"""Several binds, several accounts: who sends what, how fast, and what happens when one fails."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, MutableMapping
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from smppgw import health
from smppgw.config import Config
from smppgw.simulator import Behaviour, Simulator
from smppgw.simulator.witness import Witness
from tests.gateway.trial import (
    account,
    configure,
    hold_the_invariants,
    numbers,
    running,
    submit,
)

Logs = list[MutableMapping[str, Any]]

EVERY_VENDOR_STATUS = {f"0x{status:04X}": "" for status in range(0x400, 0x500)}


class Operator:
    """One SMSC, its witness, and the account that the gateway has there."""

    def __init__(self, name: str, port: int = 0, **behaviour: Any) -> None:
        self.name = name
        self.witness = Witness()
        self.smsc = Simulator(
            Behaviour(seed=crc32(name.encode()), **behaviour), port=port, witness=self.witness
        )

    def account(self, **keys: Any) -> str:
        return account(self.smsc.port, name=self.name, **keys)

    @property
    def accepted(self) -> int:
        return len(self.witness.accepted)


def play(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scenario)


def sent_once(*operators: Operator) -> bool:
    """Whether no phone was written to twice, by all accounts together."""
    copies = Counter(
        (accepted.destination, accepted.digest)
        for operator in operators
        for accepted in operator.witness.accepted
    )
    return max(copies.values()) == 1


def most_in_a_second(witness: Witness, since: float) -> int:
    """Return the most that was accepted in any second after some time."""
    times = [accepted.received_at for accepted in witness.accepted if accepted.received_at > since]
    most = first = 0
    for position, at in enumerate(times):
        while at - times[first] >= 1.0:
            first += 1
        most = max(most, position - first + 1)
    return most


@pytest.fixture
def short_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "FIRST_REST_S", 0.4)
    monkeypatch.setattr(health, "LONGEST_REST_S", 0.8)


# Binds of one account


@pytest.mark.parametrize(
    ("mode", "binds", "submitting"), [("transceiver", 3, 3), ("transmitter+receiver", 2, 2)]
)
def test_all_binds_of_an_account_share_its_throughput(
    tmp_path: Path, mode: str, binds: int, submitting: int
) -> None:
    async def scenario() -> None:
        one = Operator("operator")
        async with one.smsc:
            config = configure(
                tmp_path, one.account(mode=mode, binds=binds, throughput=200, window=4)
            )
            job = submit(config, numbers(500))
            async with running(config) as trial:
                await trial.until_true(job, one.witness)
                hold_the_invariants(trial, {"operator": one.witness})
        by_session = Counter(accepted.session for accepted in one.witness.accepted)
        assert len(by_session) == submitting
        assert max(one.witness.most_received_in_a_second.values()) > 150  # and it is used

    play(scenario())


def test_of_a_pair_the_transmitter_submits_and_the_receiver_is_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        one = Operator("operator")
        async with one.smsc:
            config = configure(tmp_path, one.account(mode="transmitter+receiver", binds=2))
            job = submit(config, numbers(400))
            async with running(config) as trial:
                await trial.until_true(job, one.witness)
                bound = [(bind, "bound") for bind in (1, 2, 3, 4)]
                states = "SELECT bind, state FROM link ORDER BY bind"
                await trial.until(lambda: trial.db.execute(states).fetchall() == bound)
            assert one.smsc.counts.binds == 4
        submitted = {accepted.session for accepted in one.witness.accepted}
        told = {told.session for accepted in one.witness.accepted for told in accepted.receipts}
        assert told
        assert not submitted & told

    play(scenario())


# Which account


def test_equal_accounts_share_the_work(tmp_path: Path) -> None:
    async def scenario() -> None:
        one, other = Operator("one"), Operator("other")
        async with one.smsc, other.smsc:
            config = configure(tmp_path, one.account(throughput=400), other.account(throughput=400))
            job = submit(config, numbers(1000))
            async with running(config) as trial:
                await trial.until_true(job, one.witness, other.witness)
                hold_the_invariants(trial, {"one": one.witness, "other": other.witness})
        assert min(one.accepted, other.accepted) > 300
        assert sent_once(one, other)

    play(scenario())


def test_equal_accounts_take_turns_where_messages_come_one_by_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        one, other = Operator("one"), Operator("other")
        async with one.smsc, other.smsc:
            config = configure(tmp_path, one.account(), other.account())
            async with running(config) as trial:
                await trial.until(lambda: one.smsc.counts.bound + other.smsc.counts.bound == 2)
                for number in range(20):
                    job = submit(config, numbers(1, number))
                    await trial.until_counts(job, {"delivered": 1})
        assert min(one.accepted, other.accepted) >= 3

    play(scenario())


def test_numbers_leave_by_the_account_of_their_prefix_alone(tmp_path: Path) -> None:
    async def scenario() -> None:
        inland, overseas = Operator("inland"), Operator("overseas")
        reunion = [f"+262692{number:06d}" for number in range(100)]
        async with inland.smsc:
            async with overseas.smsc:
                config = configure(
                    tmp_path,
                    inland.account(prefixes=["+33"]),
                    overseas.account(prefixes=["+262"]),
                )
                async with running(config) as trial:
                    job = submit(config, [*reunion, *numbers(100)])
                    await trial.until_true(job, inland.witness, overseas.witness)
            for operator, prefix in ((inland, "33"), (overseas, "262")):
                phones = operator.witness.by_destination()
                assert len(phones) == 100
                assert all(phone.startswith(prefix) for phone in phones)
            # Where it is down, its numbers wait for it.
            async with running(config) as trial:
                job = submit(config, [*reunion, *numbers(100)])
                await trial.until(lambda: trial.counts(job).get("delivered") == 100)
                assert trial.counts(job) == {"delivered": 100, "queued": 100}
                async with overseas.smsc:
                    await trial.until_counts(job, {"delivered": 200})
        assert inland.accepted == overseas.accepted == 200

    play(scenario())


def test_an_account_for_alerts_takes_nothing_else_and_is_the_only_one_that_takes_them(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        alerts, bulk = Operator("alerts"), Operator("bulk")
        async with alerts.smsc, bulk.smsc:
            config = configure(
                tmp_path,
                alerts.account(classes=["alert"]),
                bulk.account(classes=["service", "promotional"], throughput=500),
            )
            many = submit(config, numbers(1000))
            async with running(config) as trial:
                await trial.until(lambda: bulk.accepted > 100)
                few = submit(config, numbers(50, first=5000), "Crue", "alert")
                await trial.until_true(few, alerts.witness)
                assert trial.counts(many).get("queued", 0) > 0  # the alert waited for nobody
                await trial.until_true(many, bulk.witness)
        assert (alerts.accepted, bulk.accepted) == (50, 1000)

    play(scenario())


def test_an_alert_goes_in_front_of_a_backlog_and_nothing_comes_between_its_messages(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        one = Operator("operator")
        async with one.smsc:
            config = configure(tmp_path, one.account(throughput=200, window=10))
            submit(config, numbers(20_000))
            async with running(config) as trial:
                await trial.until(lambda: one.accepted > 100)
                alert = submit(config, numbers(50, first=50_000), "Crue", "alert")
                before = one.accepted
                await trial.until_counts(alert, {"delivered": 50})
        phones = [accepted.destination for accepted in one.witness.accepted]
        places = [place for place, phone in enumerate(phones) if phone.startswith("3360005")]
        assert places == list(range(places[0], places[0] + 50))
        assert places[0] - before < 200  # less than a second of the backlog

    play(scenario())


# An account that fails


def test_when_an_account_is_down_the_other_sends_all_and_when_it_returns_it_takes_its_share(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        one, other = Operator("one"), Operator("other")
        async with other.smsc:
            async with one.smsc:
                config = configure(
                    tmp_path, one.account(throughput=500), other.account(throughput=500)
                )
                first = submit(config, numbers(800))
                gateway = running(config)
                trial = await gateway.__aenter__()
                await trial.until(lambda: one.accepted > 100)
            # It has unbound: what it had not taken leaves by the other.
            await trial.until(lambda: trial.counts(first).keys() <= {"accepted", "delivered"})
            gone_with = one.accepted
            second = submit(config, numbers(300, first=1000))
            await trial.until_true(second, other.witness)
            assert one.accepted == gone_with
            async with one.smsc:
                await trial.until(lambda: one.smsc.counts.bound == 1)
                third = submit(config, numbers(600, first=2000))
                await trial.until_true(third, one.witness, other.witness)
                await trial.until_true(first, one.witness, other.witness)
                assert one.accepted > gone_with + 100
                await gateway.__aexit__(None, None, None)
        assert one.accepted + other.accepted == 1700
        assert sent_once(one, other)

    play(scenario())


def test_an_account_that_refuses_everything_rests_and_is_tried_again(
    tmp_path: Path, short_rests: None, logs: Logs
) -> None:
    async def scenario() -> None:
        # The window of the good one is full most of the time, which is no reason to ask the bad.
        bad = Operator("bad", faults=["system-error:1"])
        good = Operator("good", latency_s=0.04)
        async with good.smsc:
            async with bad.smsc:
                config = configure(
                    tmp_path,
                    bad.account(window=10, throughput=300),
                    good.account(window=10, throughput=300),
                )
                job = submit(config, numbers(600))
                gateway = running(config)
                trial = await gateway.__aenter__()
                await trial.until_true(job, good.witness)
                rested_after = bad.smsc.counts.submits
                assert rested_after < 100
                more = submit(config, numbers(300, first=1000))
                await trial.until_true(more, good.witness)
                assert bad.smsc.counts.submits > 20  # it was tried
            mended = Operator("bad", port=bad.smsc.port)
            async with mended.smsc:
                last = submit(config, numbers(900, first=2000))
                await trial.until_true(last, good.witness, mended.witness)
                assert mended.accepted > 50
                await gateway.__aexit__(None, None, None)
        assert good.accepted + mended.accepted == 1800
        assert sent_once(good, mended)

    play(scenario())
    reasons = {entry["reason"] for entry in logs if entry["event"] == "account.unwell"}
    assert reasons == {"it refuses or does not answer most submit_sm"}


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        ("receipts-undelivered:1", "undelivered"),
        ("no-answer-lost:1", "unknown"),
        ("no-answer-lost:1,drop:10", "unknown"),
    ],
)
def test_an_account_that_delivers_or_answers_nothing_costs_few_messages_where_another_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, state: str, logs: Logs
) -> None:
    async def scenario() -> None:
        bad, good = Operator("bad", faults=fault.split(",")), Operator("good")
        async with bad.smsc, good.smsc:
            config = configure(
                tmp_path,
                bad.account(window=10, throughput=300, response_timeout="200ms"),
                good.account(window=10, throughput=300),
            )
            job = submit(config, numbers(900))
            async with running(config) as trial:
                await trial.until(
                    lambda: not trial.counts(job).keys() & {"queued", "submitting", "accepted"}
                )
                counts = trial.counts(job)
        assert counts.get("delivered", 0) >= 750
        assert set(counts) == {"delivered", state}
        assert sent_once(bad, good)

    play(scenario())
    assert "account.unwell" in [entry["event"] for entry in logs]


# Binds that are refused


def test_wrong_credentials_stop_their_link_after_one_bind_and_one_line(
    tmp_path: Path, logs: Logs
) -> None:
    async def scenario() -> None:
        strict, other = Operator("strict", password="another"), Operator("other")
        async with strict.smsc, other.smsc:
            config = configure(tmp_path, strict.account(), other.account(throughput=500))
            async with running(config) as trial:
                job = submit(config, numbers(500))
                await trial.until_true(job, other.witness)  # a second, in which nothing hammers
                row = trial.db.execute(
                    "SELECT state, reason FROM link WHERE smsc = 'strict'"
                ).fetchone()
        assert row == ("stopped", "the SMSC refuses the credentials (ESME_RINVPASWD)")
        assert strict.smsc.counts.binds_refused == 1

    play(scenario())
    told = [entry for entry in logs if entry.get("smsc") == "strict"]
    assert [(entry["event"], entry["log_level"]) for entry in told] == [("link.stopped", "error")]
    assert "secret08" not in str(logs)


def test_a_bind_refused_because_the_old_one_stands_is_tried_again_ever_more_seldom(
    tmp_path: Path, logs: Logs
) -> None:
    async def scenario() -> None:
        one = Operator("operator", faults=["already-bound:1", "drop:100"])
        async with one.smsc:
            config = configure(tmp_path, one.account(reconnect=["50ms", "200ms"], window=10))
            job = submit(config, numbers(150))
            async with running(config) as trial:
                await trial.until(lambda: one.accepted == 150)
                await trial.until_true(job, one.witness)
        # The shortest waits are 25, 50 and then 100 ms.
        assert 3 <= one.smsc.counts.binds_refused <= 12

    play(scenario())
    waits_s = [entry["again_in_s"] for entry in logs if entry["event"] == "link.down"]
    reasons = [entry["reason"] for entry in logs if entry["event"] == "link.down"]
    assert "the SMSC refuses the bind (ESME_RALYBND)" in reasons
    assert len(set(waits_s)) > 1


# What statuses mean


def test_a_status_that_stops_the_link_costs_no_message_and_no_attempt(
    tmp_path: Path, logs: Logs
) -> None:
    async def scenario() -> None:
        one = Operator("operator", faults=["vendor-status:100"])
        async with one.smsc:
            statuses = dict.fromkeys(EVERY_VENDOR_STATUS, "stop-link")
            config = configure(tmp_path, one.account(statuses=statuses, window=10))
            job = submit(config, numbers(600))
            async with running(config) as trial:
                await trial.until_true(job, one.witness)
                assert trial.counts(job) == {"delivered": 600}
                assert trial.db.execute("SELECT max(attempts) FROM message").fetchone() == (0,)
            assert 5 <= one.smsc.counts.binds <= 7
        assert sent_once(one)

    play(scenario())
    reasons = {entry["reason"] for entry in logs if entry["event"] == "link.down"}
    assert all(
        reason.startswith("the SMSC refuses every submit_sm of this bind (0x000004")
        for reason in reasons
    )


@pytest.mark.parametrize(
    ("fault", "statuses"),
    [
        ("vendor-status:10", dict.fromkeys(EVERY_VENDOR_STATUS, "try-later")),
        ("vendor-status:10", dict.fromkeys(EVERY_VENDOR_STATUS, "slow-down")),
        ("refuse:10", {"0xB": "try-later"}),
        ("nack:10", {"0x00000003": "try-later"}),
    ],
)
def test_the_configuration_says_what_a_status_means(
    tmp_path: Path, fault: str, statuses: dict[str, str]
) -> None:
    async def scenario() -> None:
        one = Operator("operator", faults=[fault])
        async with one.smsc:
            config = configure(tmp_path, one.account(statuses=statuses))
            job = submit(config, numbers(300))
            async with running(config) as trial:
                await trial.until_true(job, one.witness)
                assert trial.counts(job) == {"delivered": 300}
            assert one.smsc.counts.submits > 300

    play(scenario())


def test_what_is_refused_for_being_too_much_leaves_next_and_costs_no_attempt(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        one = Operator("operator", faults=["throttle:10", "queue-full:15"])
        async with one.smsc:
            config = configure(tmp_path, one.account(window=1))
            listed = numbers(200)
            job = submit(config, listed)
            async with running(config) as trial:
                await trial.until_true(job, one.witness)
                assert trial.db.execute("SELECT max(attempts) FROM message").fetchone() == (0,)
        phones = [accepted.destination for accepted in one.witness.accepted]
        assert phones == [number[1:] for number in listed]
        assert one.smsc.counts.submits > 220

    play(scenario())


def test_a_throttled_account_slows_as_a_whole_and_recovers(tmp_path: Path) -> None:
    async def scenario() -> None:
        one = Operator("operator", throughput=100)
        async with one.smsc:
            config = configure(tmp_path, one.account(throughput=400, binds=2, window=10))
            job = submit(config, numbers(250))
            async with running(config) as trial:
                await trial.until(lambda: one.smsc.counts.throttled > 0)
                await trial.until_true(job, one.witness)
                labels = {"smsc": "operator"}
                slowed = await trial.metric("smppgw_throughput_permitted", **labels)
                assert slowed <= 200
                assert await trial.metric("smppgw_throughput_configured", **labels) == 400
                status = {"command_status": "ESME_RTHROTTLED", "smsc": "operator"}
                throttled = await trial.metric("smppgw_submit_sm_resp_total", **status)
                assert throttled == one.smsc.counts.throttled
                permitted = slowed
                while permitted < slowed + 20:  # a twentieth of 400 each second
                    permitted = await trial.metric("smppgw_throughput_permitted", **labels)
                assert trial.counts(job) == {"delivered": 250}
        # At 400 a second three would be refused for each that is accepted.
        assert one.smsc.counts.throttled < 300

    play(scenario())


# A configuration that is read again


def reloaded(folder: Path, one: Operator, **keys: Any) -> Config:
    return configure(folder, one.account(**keys))


def test_another_throughput_holds_at_once_without_a_new_bind(tmp_path: Path, logs: Logs) -> None:
    async def scenario() -> None:
        one = Operator("operator")
        async with one.smsc:
            config = reloaded(tmp_path, one, throughput=5)
            job = submit(config, numbers(400))
            async with running(config) as trial:
                loop = asyncio.get_running_loop()
                await trial.until(lambda: one.accepted > 2)
                trial.gateway.reload(reloaded(tmp_path, one, throughput=500))
                await trial.until(lambda: one.accepted > 300)
                trial.gateway.reload(reloaded(tmp_path, one, throughput=50))
                slower_from = loop.time() + 1.0
                await trial.until_true(job, one.witness)
            assert one.smsc.counts.binds == 1
        assert most_in_a_second(one.witness, slower_from) <= 50
        assert max(one.witness.most_received_in_a_second.values()) > 100

    play(scenario())


def test_what_needs_a_restart_is_named_and_left_as_it_was(tmp_path: Path, logs: Logs) -> None:
    async def scenario() -> None:
        one = Operator("operator")
        async with one.smsc:
            config = reloaded(tmp_path, one)
            async with running(config) as trial:
                trial.gateway.reload(
                    reloaded(tmp_path, one, system_id="another", alphabet="latin1", window=50)
                )
                job = submit(config, numbers(50))
                await trial.until_true(job, one.witness)
        assert {accepted.account for accepted in one.witness.accepted} == {"syndic"}

    play(scenario())
    (entry,) = [entry for entry in logs if entry["event"] == "gateway.reloaded"]
    assert entry["needs_restart"] == ["operator.alphabet", "operator.system_id"]


def test_delays_between_binds_are_those_of_the_newest_configuration(
    tmp_path: Path, logs: Logs
) -> None:
    async def scenario() -> None:
        one = Operator("operator", faults=["bind-refused:14"])
        async with one.smsc:
            config = reloaded(tmp_path, one, reconnect=["1ms", "60s"])
            async with running(config) as trial:
                trial.gateway.reload(reloaded(tmp_path, one, reconnect=["1ms", "2ms"]))
                # Doubled fourteen times, a millisecond is 16 seconds.
                await trial.until(lambda: one.smsc.counts.bound == 1, limit_s=5)

    play(scenario())


# Receipts that outlive a gateway


def test_receipts_that_come_after_a_restart_settle_what_was_sent_before(tmp_path: Path) -> None:
    async def scenario() -> None:
        one = Operator("operator", faults=["receipt-late"], outcomes={"DELIVRD": 9, "UNDELIV": 1})
        async with one.smsc:
            config = configure(tmp_path, one.account())
            job = submit(config, numbers(500))
            async with running(config) as trial:
                await trial.until_counts(job, {"accepted": 500})
            async with running(config) as trial:
                await trial.until(lambda: trial.receipts()["matched"] == 500)
                await trial.until_true(job, one.witness)
                hold_the_invariants(trial, {"operator": one.witness})

    play(scenario())
