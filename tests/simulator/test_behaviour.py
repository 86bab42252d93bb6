"""The decisions: pure, seeded, and told what time it is."""

import re
import uuid
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppgw.errors import InputError
from smppgw.simulator import Behaviour, parse_outcomes
from smppgw.simulator.behaviour import ID_DIALECTS, STATES, Decision, Decisions
from smppgw.simulator.codec import Submit

THROTTLED = 0x58
MIXED = {"DELIVRD": 60, "UNDELIV": 40}


def submits(count: int, registered_delivery: int = 1) -> list[Submit]:
    return [
        Submit(n, b"\x05\0STMARTIN\0", b"\x01\x0133612345678\0", 0, registered_delivery, 0, b"Crue")
        for n in range(1, count + 1)
    ]


def decide(
    decisions: Decisions,
    count: int = 1,
    *,
    unanswered: int = 0,
    now: float = 0.0,
    account: str = "a",
) -> list[Decision]:
    return decisions.on_submit_batch(account, submits(count), unanswered=unanswered, now=now)


class TestParseOutcomes:
    """The option of `smppgw simulate`."""

    @pytest.mark.parametrize(
        ("text", "outcomes"),
        [
            ("DELIVRD=95,UNDELIV=5", {"DELIVRD": 95, "UNDELIV": 5}),
            (" delivrd = 99.5 , EXPIRED=0.5", {"DELIVRD": 99.5, "EXPIRED": 0.5}),
            ("DELIVRD=0,REJECTD=1", {"DELIVRD": 0, "REJECTD": 1}),
        ],
    )
    def test_weights_are_read(self, text: str, outcomes: dict[str, float]) -> None:
        assert parse_outcomes(text) == outcomes

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", "'' has no weight"),
            ("DELIVRD", "'DELIVRD' has no weight"),
            ("DELIVRD=95,", "'' has no weight"),
            ("DELIVERED=95", "'DELIVERED' is no outcome: give one of DELIVRD, EXPIRED"),
            ("DELIVRD=95,DELIVRD=5", "DELIVRD stands there twice"),
            ("DELIVRD=many", "'many' is no weight for DELIVRD"),
            ("DELIVRD=-1", "'-1' is no weight"),
            ("DELIVRD=nan", "'nan' is no weight"),
            ("DELIVRD=inf", "'inf' is no weight"),
            ("DELIVRD=0", "No outcome has a weight above 0"),
        ],
    )
    def test_a_mistake_is_told_with_an_example(self, text: str, reason: str) -> None:
        with pytest.raises(InputError, match=re.escape(reason)) as caught:
            parse_outcomes(text)
        assert "DELIVRD=95,UNDELIV=5" in str(caught.value)


class TestBehaviour:
    """What is refused at once, and who may bind."""

    @pytest.mark.parametrize(
        "mistake",
        [
            {"latency_s": -1},
            {"receipt_delay_s": float("nan")},
            {"retry_delay_s": float("inf")},
            {"throughput": 0},
            {"window": 0},
            {"ids": "roman"},
            {"outcomes": {}},
            {"outcomes": {"DELIVRD": 0}},
            {"outcomes": {"DELIVRD": -1, "UNDELIV": 5}},
            {"outcomes": {"": 1}},
            {"outcomes": {"LIVRÉ": 1}},
        ],
        ids=str,
    )
    def test_what_no_smsc_can_do_is_refused(self, mistake: dict[str, Any]) -> None:
        with pytest.raises(InputError):
            Behaviour(**mistake)

    @pytest.mark.parametrize(
        ("account", "system_id", "password", "status"),
        [
            ({}, "anybody", "anything", 0),
            ({"system_id": "syndic"}, "syndic", "anything", 0),
            ({"system_id": "syndic"}, "other", "anything", 0x0F),
            ({"password": "secret08"}, "anybody", "secret08", 0),
            ({"password": "secret08"}, "anybody", "secret", 0x0E),
            ({"system_id": "syndic", "password": "secret08"}, "other", "wrong", 0x0F),
        ],
    )
    def test_a_bind_is_refused_for_its_system_id_before_its_password(
        self, account: dict[str, str], system_id: str, password: str, status: int
    ) -> None:
        assert Behaviour(**account).refuse_bind(system_id, password) == status  # type: ignore[arg-type]


class TestOutcomes:
    """What becomes of the n-th submit_sm depends on the seed and on n."""

    @given(st.lists(st.integers(0, 30), max_size=8))
    def test_cutting_the_stream_into_other_reads_changes_no_decision(
        self, reads: list[int]
    ) -> None:
        behaviour = Behaviour(outcomes=MIXED, seed=7)
        cut = Decisions(behaviour)
        in_pieces = [decision for count in reads for decision in decide(cut, count)]
        assert in_pieces == decide(Decisions(behaviour), sum(reads))

    def test_a_throttled_submit_sm_changes_no_later_outcome(self) -> None:
        free = decide(Decisions(Behaviour(outcomes=MIXED, seed=7)), 40)
        strict = Decisions(Behaviour(outcomes=MIXED, seed=7, throughput=5))
        throttled = decide(strict, 20) + decide(strict, 20, now=1.0)
        pairs = [
            (a.outcome, b.outcome) for a, b in zip(free, throttled, strict=True) if not b.status
        ]
        assert len(pairs) == 10
        assert all(a == b for a, b in pairs)

    def test_another_seed_draws_other_outcomes(self) -> None:
        drawn = [
            [d.outcome for d in decide(Decisions(Behaviour(outcomes=MIXED, seed=seed)), 100)]
            for seed in (1, 2)
        ]
        assert drawn[0] != drawn[1]

    def test_outcomes_come_in_the_proportion_of_their_weights(self) -> None:
        outcomes = {"DELIVRD": 90, "UNDELIV": 10, "EXPIRED": 0}
        decided = decide(Decisions(Behaviour(outcomes=outcomes, seed=7)), 10_000)
        counted = Counter(decision.outcome for decision in decided)
        assert set(counted) == {"DELIVRD", "UNDELIV"}
        assert 800 < counted["UNDELIV"] < 1200

    @pytest.mark.parametrize("word", STATES)
    @pytest.mark.parametrize(
        ("registered_delivery", "told"),
        [(0, ""), (1, "all"), (2, "failures"), (0x10, ""), (0x11, "all")],
    )
    def test_a_receipt_is_sent_as_registered_delivery_asks(
        self, word: str, registered_delivery: int, told: str
    ) -> None:
        """SMPP 3.4 issue 1.2, 5.2.17."""
        decisions = Decisions(Behaviour(outcomes={word: 1}))
        [decision] = decisions.on_submit_batch(
            "a", submits(1, registered_delivery), unanswered=0, now=0.0
        )
        failures = {"EXPIRED", "DELETED", "UNDELIV", "UNKNOWN", "REJECTD"}
        expected = told == "all" or (told == "failures" and word in failures)
        assert (decision.receipt_id is not None) == expected
        assert (decision.status, decision.outcome) == (0, word)


class TestMessageIds:
    """The dialects that SMSCs speak."""

    @pytest.mark.parametrize(
        ("ids", "in_response", "in_receipt"),
        [
            ("decimal", rb"[0-9]{10}", rb"[0-9]{10}"),
            ("hex", rb"[0-9a-f]{8}", rb"[0-9a-f]{8}"),
            ("hex-then-decimal", rb"[0-9a-f]{1,8}", rb"[0-9]{10}"),
            ("uuid", rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", rb"[0-9a-f-]{36}"),
        ],
    )
    def test_each_dialect_is_spoken(self, ids: str, in_response: bytes, in_receipt: bytes) -> None:
        for decision in decide(Decisions(Behaviour(ids=ids)), 50):
            assert decision.receipt_id is not None
            assert re.fullmatch(in_response, decision.message_id)
            assert re.fullmatch(in_receipt, decision.receipt_id)
            if ids == "hex-then-decimal":
                assert int(decision.message_id, 16) == int(decision.receipt_id)
            else:
                assert decision.message_id == decision.receipt_id
            if ids == "uuid":
                assert uuid.UUID(decision.message_id.decode()).version == 4

    @pytest.mark.parametrize("ids", ID_DIALECTS)
    def test_no_id_is_given_twice(self, ids: str) -> None:
        decided = decide(Decisions(Behaviour(ids=ids)), 1000)
        assert len({decision.message_id for decision in decided}) == 1000

    @pytest.mark.parametrize("ids", ID_DIALECTS)
    def test_a_seed_gives_the_same_ids_and_no_seed_gives_others(self, ids: str) -> None:
        def first(seed: int | None) -> bytes:
            return decide(Decisions(Behaviour(ids=ids, seed=seed)))[0].message_id

        assert first(7) == first(7)
        assert first(None) != first(None)


class TestThroughput:
    """submit_sm accepted in any one second."""

    def test_more_than_the_throughput_is_throttled_until_a_second_has_passed(self) -> None:
        decisions = Decisions(Behaviour(throughput=2))
        assert [d.status for d in decide(decisions, 3, now=10.0)] == [0, 0, THROTTLED]
        assert [d.status for d in decide(decisions, 1, now=10.999)] == [THROTTLED]
        assert [d.status for d in decide(decisions, 3, now=11.0)] == [0, 0, THROTTLED]

    def test_each_account_has_its_own_throughput(self) -> None:
        decisions = Decisions(Behaviour(throughput=1))
        assert [d.status for d in decide(decisions, 2, account="a")] == [0, THROTTLED]
        assert [d.status for d in decide(decisions, 2, account="b")] == [0, THROTTLED]

    @given(
        st.lists(st.tuples(st.floats(0, 0.7), st.integers(1, 6)), min_size=1, max_size=30),
        st.integers(1, 8),
    )
    def test_no_second_accepts_more_and_what_fits_is_never_throttled(
        self, reads: list[tuple[float, int]], throughput: int
    ) -> None:
        decisions = Decisions(Behaviour(throughput=throughput))
        now = 0.0
        accepted_at: list[float] = []
        for wait_s, count in reads:
            now += wait_s
            for decision in decide(decisions, count, now=now):
                lately = sum(now - at < 1 for at in accepted_at)
                assert (decision.status == 0) == (lately < throughput)
                if not decision.status:
                    accepted_at.append(now)

    def test_a_throttled_submit_sm_is_not_called_a_violation_of_the_window(self) -> None:
        assert not decide(Decisions(Behaviour(throughput=1)), 2)[1].breaks_window


class TestWindow:
    """Unanswered submit_sm on one bind."""

    @pytest.mark.parametrize(
        ("unanswered", "count", "accepted"), [(0, 2, 2), (0, 5, 3), (2, 2, 1), (3, 1, 0), (9, 2, 0)]
    )
    def test_more_than_the_window_is_throttled_and_marked(
        self, unanswered: int, count: int, accepted: int
    ) -> None:
        decided = decide(Decisions(Behaviour(window=3)), count, unanswered=unanswered)
        assert [d.status for d in decided] == [0] * accepted + [THROTTLED] * (count - accepted)
        assert [d.breaks_window for d in decided] == [d.status != 0 for d in decided]

    def test_what_breaks_the_window_takes_nothing_from_the_throughput(self) -> None:
        decisions = Decisions(Behaviour(window=1, throughput=2))
        assert [d.status for d in decide(decisions, 3)] == [0, THROTTLED, THROTTLED]
        assert [d.status for d in decide(decisions, 1)] == [0]
