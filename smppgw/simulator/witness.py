"""The account of what truly happened, in memory, for tests that call the gateway to account.

A `Witness` is handed to a `Simulator` and notes every submit_sm that it accepts, what becomes of
it and what was told about it; and, of all that it reads, the most in one second of an account (the
throughput) and the most unanswered on a bind (the window). It sees the SMSC's side: what is on its
way counts for nothing, so it never accuses a gateway that is within its bounds.

It holds numbers and digests of texts, and grows with every submit_sm. Pure: `now` is handed in, in
monotonic seconds.
"""

import hashlib
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from smppgw.simulator import codec
from smppgw.simulator.codec import Part, Submit


@dataclass(slots=True)
class Told:
    """One sending of a receipt."""

    word: str
    session: int
    sent_at: float
    acknowledged_at: float | None = None


@dataclass(slots=True)
class Accepted:
    """One submit_sm that was accepted, and what came of it.

    Addresses are without ton and npi. `digest` is of the user data with its header, its coding and
    its SAR TLVs: two submit_sm with the same are copies of each other. `outcome` is the state word
    that is true of the phone, told or not; `answered_at` is None where no response was sent.
    """

    account: str
    session: int
    sequence: int
    source: str
    destination: str
    digest: str
    part: Part | None
    message_id: str
    outcome: str
    received_at: float
    answered_at: float | None = None
    receipts: list[Told] = field(default_factory=list)


class Witness:
    """What happened, from the first submit_sm of a run to the last.

    Attributes:
        accepted: in the order of arrival.
        most_received_in_a_second: by account, in any sliding second, refused ones too.
        most_accepted_in_a_second: the same of the accepted ones.
        most_unanswered: by account and session, where sessions count from 1.
    """

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self.accepted: list[Accepted] = []
        self.most_received_in_a_second: Counter[str] = Counter()
        self.most_accepted_in_a_second: Counter[str] = Counter()
        self.most_unanswered: Counter[tuple[str, int]] = Counter()
        self._received_at: dict[str, deque[float]] = {}
        self._accepted_at: dict[str, deque[float]] = {}

    def by_destination(self) -> dict[str, list[Accepted]]:
        """Return what was accepted for each phone, in the order of arrival."""
        phones: dict[str, list[Accepted]] = {}
        for accepted in self.accepted:
            phones.setdefault(accepted.destination, []).append(accepted)
        return phones

    def copies(self) -> Counter[tuple[str, str]]:
        """Return how often each phone was sent the same segment, by destination and digest."""
        return Counter([(accepted.destination, accepted.digest) for accepted in self.accepted])

    # What the simulator tells.

    def on_submits(
        self, account: str, session: int, count: int, unanswered: int, now: float
    ) -> None:
        """Take note of one read.

        Args:
            account: the system_id.
            session: its number.
            count: submit_sm in this read.
            unanswered: submit_sm of this session without an answer, these included.
            now: monotonic seconds.
        """
        times = self._received_at.setdefault(account, deque())
        _raise_peak(self.most_received_in_a_second, account, times, count, now)
        most = self.most_unanswered
        most[account, session] = max(most[account, session], unanswered)

    def on_accepted(
        self,
        account: str,
        session: int,
        submit: Submit,
        message_id: bytes,
        outcome: str,
        now: float,
    ) -> Accepted:
        """Take note of a submit_sm that is accepted, and return the note."""
        times = self._accepted_at.setdefault(account, deque())
        _raise_peak(self.most_accepted_in_a_second, account, times, 1, now)
        accepted = Accepted(
            account,
            session,
            submit.sequence,
            _characters(submit.source),
            _characters(submit.destination),
            _digest(submit),
            codec.part_of(submit),
            message_id.decode("ascii"),
            outcome,
            now,
        )
        self.accepted.append(accepted)
        return accepted


def _raise_peak(
    peaks: Counter[str], account: str, times: deque[float], count: int, now: float
) -> None:
    """Add `count` events at `now`; a second is open at its end, as a throughput counts it."""
    while times and now - times[0] >= 1:
        times.popleft()
    times.extend([now] * count)
    peaks[account] = max(peaks[account], len(times))


def _characters(address: bytes) -> str:
    return address[2:-1].decode("latin-1")


_SAR_TLVS: Sequence[int] = (
    codec.TLV_SAR_MSG_REF_NUM,
    codec.TLV_SAR_TOTAL_SEGMENTS,
    codec.TLV_SAR_SEGMENT_SEQNUM,
)


def _digest(submit: Submit) -> str:
    digest = hashlib.sha256(bytes((submit.esm_class & codec.ESM_CLASS_UDHI, submit.data_coding)))
    if submit.tlvs:
        tlvs = codec.parse_tlvs(submit.tlvs)
        digest.update(codec.encode_tlvs({tag: tlvs[tag] for tag in _SAR_TLVS if tag in tlvs}))
    digest.update(submit.user_data)
    return digest.hexdigest()
