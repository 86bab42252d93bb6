"""What the SMSC decides: `Behaviour` says how it is set up, `Decisions` applies it to submit_sm.

Every decision about a submit_sm is made in `Decisions.on_submit_batch`, so that faults have one
place to come in; those of sessions have theirs in `conduct`. What becomes of the n-th submit_sm of
a run depends on the seed and on n alone: neither on the time, nor on how the reads cut the stream,
nor on which earlier ones were throttled.

Pure: `now` is handed in, in monotonic seconds; randomness comes from the seed.
"""

import math
import random
import uuid
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, repeat
from typing import NamedTuple

from smppgw.errors import InputError
from smppgw.simulator import codec
from smppgw.simulator.codec import Submit
from smppgw.simulator.faults import OneIn, chance, read_faults


class State(NamedTuple):
    """How a receipt tells one final (or last known) state."""

    message_state: int  # SMPP 3.4 issue 1.2, 5.2.28
    delivered: int  # the receipt's dlvrd
    error: int  # the receipt's err, three digits; our own choice, as every SMSC's is
    failure: bool  # told to those who asked for receipts on failure only


# SMPP 3.4 issue 1.2, appendix B, table B-2
STATES: dict[str, State] = {
    "DELIVRD": State(2, 1, 0, False),
    "EXPIRED": State(3, 0, 3, True),
    "DELETED": State(4, 0, 4, True),
    "UNDELIV": State(5, 0, 5, True),
    "ACCEPTD": State(6, 0, 0, False),
    "UNKNOWN": State(7, 0, 7, True),
    "REJECTD": State(8, 0, 8, True),
    "ENROUTE": State(1, 0, 0, False),
}

# How the number of a message is written in submit_sm_resp and in the receipt; a uuid has no number.
ID_DIALECTS: dict[str, tuple[bytes, bytes] | None] = {
    "decimal": (b"%010d", b"%010d"),
    "hex": (b"%08x", b"%08x"),
    "hex-then-decimal": (b"%x", b"%010d"),
    "uuid": None,
}
_WORD_CHARACTERS = 20  # appendix B has 7, and not every SMSC keeps to it
_FIRST_NUMBER_LIMIT = 0x7FFFFFFF  # a long run stays within 10 decimal and 8 hexadecimal digits
_LONG_ID_CHARACTERS = 64  # 5.2.23, without its NUL

# Faults that refuse one submit_sm in N, in the order in which they win over each other.
_REFUSALS: dict[str, int | None] = {
    "throttle": codec.ESME_RTHROTTLED,
    "queue-full": codec.ESME_RMSGQFUL,
    "system-error": codec.ESME_RSYSERR,
    "refuse": codec.ESME_RINVDSTADR,
    "nack": codec.ESME_RINVCMDID,
    "vendor-status": None,  # drawn among them
}
_VENDOR_STATUSES = range(0x400, 0x500)  # 5.1.3
_UNANSWERED = ("no-answer", "no-answer-lost")
_UNTOLD = ("no-answer-lost", "receipt-lost")


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """How the SMSC behaves; the defaults are one that answers at once and delivers everything.

    Attributes:
        latency_s: seconds from a submit_sm to its response, refused ones too.
        receipt_delay_s: seconds from the response to the receipt.
        retry_delay_s: seconds until a deliver_sm that was answered with a status is sent again.
        outcomes: weights of the receipts' state words; a word that is none of `STATES` is sent as
            it is.
        throughput: submit_sm accepted in any one second from one account, all its binds together;
            more are answered ESME_RTHROTTLED. None is unlimited.
        window: unanswered submit_sm on one bind; more are answered ESME_RTHROTTLED and counted as
            violations. None is unlimited.
        ids: one of `ID_DIALECTS`; hex-then-decimal writes hex in the response, decimal in the
            receipt.
        early_receipts: the receipt goes out just before its response; `receipt_delay_s` then counts
            for nothing.
        receipt_tlvs: receipts carry receipted_message_id and message_state beside their text.
        seed: of outcomes and message ids; None draws one, so that a new run does not repeat the ids
            of an earlier one.
        system_id: the only account; None accepts any.
        password: its password; None accepts any.
        faults: what goes wrong, by the names of `faults.FAULTS`, each perhaps with a number:
            "no-answer:50".
        active_faults: the number of each fault, by its name.
    """

    latency_s: float = 0.0
    receipt_delay_s: float = 0.0
    retry_delay_s: float = 1.0
    outcomes: Mapping[str, float] = field(default_factory=lambda: {"DELIVRD": 100})
    throughput: int | None = None
    window: int | None = None
    ids: str = "decimal"
    early_receipts: bool = False
    receipt_tlvs: bool = False
    seed: int | None = None
    system_id: str | None = None
    password: str | None = None
    faults: Collection[str] = frozenset()
    active_faults: Mapping[str, float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what no SMSC can do.

        Raises:
            InputError: a delay below 0, a limit below 1, an unknown id dialect, weights of nothing,
                a state word that no receipt could hold, a fault that is none.
        """
        for name in ("latency_s", "receipt_delay_s", "retry_delay_s"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"{name} is {getattr(self, name)}: give 0 or more seconds.")
        for name in ("throughput", "window"):
            limit = getattr(self, name)
            if limit is not None and limit < 1:
                raise InputError(
                    f"{name} is {limit}: give 1 or more, or leave it out for no limit."
                )
        if self.ids not in ID_DIALECTS:
            raise InputError(f"ids is {self.ids!r}: give one of {', '.join(ID_DIALECTS)}.")
        weights = self.outcomes.values()
        if not all(0 <= weight < math.inf for weight in weights) or not sum(weights):
            raise InputError("outcomes need weights of 0 or more, and one of them above 0.")
        for word in self.outcomes:
            if not (word.isascii() and 0 < len(word) <= _WORD_CHARACTERS):
                raise InputError(f"{word!r} is no state word: give up to 20 ASCII characters.")
        active = read_faults(self.faults)
        for fault in ("ids-upper", "ids-long"):
            if fault in active and self.ids == "hex-then-decimal":
                raise InputError(f"{fault} and ids hex-then-decimal contradict each other.")
        object.__setattr__(self, "active_faults", active)  # frozen to everybody else

    @property
    def receipt_lead_s(self) -> float | None:
        """How long before its response a receipt goes out; None where it follows it."""
        for fault in ("receipt-first", "receipt-early-other-bind"):
            if fault in self.active_faults:
                return self.active_faults[fault]
        return 0.0 if self.early_receipts else None

    def refuse_bind(self, system_id: str, password: str) -> int:
        """Return the command_status of a bind with these credentials; 0 lets it in."""
        if self.system_id is not None and system_id != self.system_id:
            return codec.ESME_RINVSYSID
        if self.password is not None and password != self.password:
            return codec.ESME_RINVPASWD
        return codec.ESME_ROK


def parse_outcomes(text: str) -> dict[str, float]:
    """Read weights such as "DELIVRD=95,UNDELIV=5"; they need not add up to 100.

    Raises:
        InputError: what is wrong with it, and an example.
    """
    example = "Write weights such as DELIVRD=95,UNDELIV=5."
    outcomes: dict[str, float] = {}
    for part in text.split(","):
        word, equals, number = part.partition("=")
        word = word.strip().upper()
        if not equals:
            raise InputError(f"{part.strip()!r} has no weight. {example}")
        if word not in STATES:
            raise InputError(f"{word!r} is no outcome: give one of {', '.join(STATES)}. {example}")
        if word in outcomes:
            raise InputError(f"{word} stands there twice. {example}")
        try:
            weight = float(number)
        except ValueError:
            weight = math.nan
        if not 0 <= weight < math.inf:
            raise InputError(f"{number.strip()!r} is no weight for {word}. {example}")
        outcomes[word] = weight
    if not sum(outcomes.values()):
        raise InputError(f"No outcome has a weight above 0. {example}")
    return outcomes


class Notice(NamedTuple):
    """What one receipt tells: a state word, and the esm_class that it comes with."""

    word: str
    esm_class: int


class Decision(NamedTuple):
    """What becomes of one submit_sm.

    `message_id` goes into the response; `receipt_id` into the receipts, None where none is sent.
    `outcome` is the state word, empty where the submit_sm is refused. `breaks_window` marks a
    refusal because more were unanswered than the window allows. `answer` is the command of the
    response, empty where none is sent. `notices` are the receipts, in order; where it is empty
    there is one, about the outcome.
    """

    status: int
    message_id: bytes
    receipt_id: bytes | None
    outcome: str
    breaks_window: bool = False
    answer: str = "submit_sm_resp"
    notices: tuple[Notice, ...] = ()


_THROTTLED = Decision(codec.ESME_RTHROTTLED, b"", None, "")
_WINDOW_BROKEN = Decision(codec.ESME_RTHROTTLED, b"", None, "", breaks_window=True)


class Decisions:
    """The SMSC's decisions about submit_sm, from the first of a run to the last."""

    def __init__(self, behaviour: Behaviour) -> None:
        """Begin a run."""
        self._behaviour = behaviour
        self._faults = behaviour.active_faults
        seed = random.randrange(2**63) if behaviour.seed is None else behaviour.seed  # nosec B311  # no secret
        self._seed = seed
        self._outcomes = random.Random(seed)  # nosec B311  # no secret
        self._words = list(behaviour.outcomes)
        self._cumulative_weights = list(accumulate(behaviour.outcomes.values()))
        self._begin_ids()
        self._accepted_at: dict[str, deque[float]] = {}
        self._read = 0  # submit_sm
        self._ones_in = {
            name: OneIn(int(self._faults[name]), chance(seed, name))
            for name in (*_REFUSALS, *_UNANSWERED, "receipt-lost")
            if name in self._faults
        }
        self._vendor_statuses = chance(seed, "vendor statuses")
        self._esm_classes = chance(seed, "esm_class of intermediate receipts")

    def on_first_bind(self) -> None:
        """Take note that an account binds that had no bind left."""
        if "ids-reused" in self._faults:
            self._begin_ids()

    def on_submit_batch(
        self, account: str, submits: Sequence[Submit], *, unanswered: int, now: float
    ) -> list[Decision]:
        """Decide about the submit_sm of one read (0.7 µs each, without faults).

        Args:
            account: the system_id that they were sent under.
            submits: in their order on the wire.
            unanswered: submit_sm read earlier from the same bind and not answered yet.
            now: monotonic seconds.

        Returns:
            A decision for each.
        """
        window, throughput = self._behaviour.window, self._behaviour.throughput
        room = len(submits) if window is None else max(0, window - unanswered)
        accepted_at: deque[float] = deque()
        if throughput is not None:
            accepted_at = self._accepted_at.setdefault(account, deque(maxlen=throughput))
        hits: list[frozenset[str]] = []
        refusals: Iterable[Decision | None] = repeat(None)
        if self._faults:
            hits = [self._hit() for _ in submits]
            refusals = [self._refusal(hit) for hit in hits]
        next_ids = self._next_ids
        decisions: list[Decision] = []
        outcomes = self._draw(len(submits))
        for submit, outcome, refusal in zip(submits[:room], outcomes, refusals, strict=False):
            if refusal is not None:
                decisions.append(refusal)
                continue
            if throughput is not None:
                if len(accepted_at) == throughput and now - accepted_at[0] < 1:
                    decisions.append(_THROTTLED)
                    continue
                accepted_at.append(now)
            message_id, receipt_id = next_ids()
            wanted = submit.registered_delivery
            if wanted & 1 or (wanted & 2 and STATES.get(outcome, STATES["UNKNOWN"]).failure):
                decisions.append(Decision(0, message_id, receipt_id, outcome))
            else:
                decisions.append(Decision(0, message_id, None, outcome))
        decisions.extend([_WINDOW_BROKEN] * (len(submits) - room))
        if self._faults:
            return list(map(self._bend, submits, decisions, hits))
        return decisions

    def _draw(self, count: int) -> list[str]:
        """Draw the next outcomes; cut into batches differently, they are the same."""
        if len(self._words) == 1:
            words = self._words * count
        else:
            words = self._outcomes.choices(
                self._words, cum_weights=self._cumulative_weights, k=count
            )
        collapse = self._faults.get("receipts-undelivered")
        if collapse is not None:
            sound = max(0, min(count, int(collapse) - 1 - self._read))
            words[sound:] = ["UNDELIV"] * (count - sound)
        self._read += count
        return words

    def _begin_ids(self) -> None:
        numbers = chance(self._seed, "message ids")
        self._next_ids = _id_writer(self._behaviour.ids, self._faults, numbers)

    # Faults.

    def _hit(self) -> frozenset[str]:
        """Draw which faults hit the next submit_sm; each is asked, whatever the others say."""
        return frozenset([name for name, is_the_one in self._ones_in.items() if is_the_one()])

    def _refusal(self, hit: frozenset[str]) -> Decision | None:
        for name, status in _REFUSALS.items():
            if name in hit:
                if status is None:
                    status = self._vendor_statuses.choice(_VENDOR_STATUSES)
                answer = "generic_nack" if name == "nack" else "submit_sm_resp"
                return Decision(status, b"", None, "", answer=answer)
        return None

    def _bend(self, submit: Submit, decision: Decision, hit: frozenset[str]) -> Decision:
        """Apply the faults that leave a decision as it is and change how it is told."""
        if decision.status:
            if "negative-with-body" in self._faults and decision.answer == "submit_sm_resp":
                return decision._replace(message_id=self._next_ids()[0])
            return decision
        if not hit.isdisjoint(_UNANSWERED):
            decision = decision._replace(answer="")
        if decision.receipt_id is None:
            return decision
        if not hit.isdisjoint(_UNTOLD) or self._is_left_out(submit):
            return decision._replace(receipt_id=None)
        return decision._replace(notices=self._notices(decision.outcome))

    def _is_left_out(self, submit: Submit) -> bool:
        """Say whether another segment of its text has the receipt for all."""
        first_only = "receipt-first-segment-only" in self._faults
        if not first_only and "receipt-last-segment-only" not in self._faults:
            return False
        part = codec.part_of(submit)
        return part is not None and part.number != (1 if first_only else part.total)

    def _notices(self, outcome: str) -> tuple[Notice, ...]:
        final = Notice(outcome, codec.ESM_CLASS_RECEIPT)
        notices = [final]
        if "receipt-twice" in self._faults:
            notices.append(final)
        if "receipt-intermediate" in self._faults:
            esm_class = self._esm_classes.choice(
                (codec.ESM_CLASS_INTERMEDIATE, codec.ESM_CLASS_RECEIPT)
            )
            notices.insert(0, Notice("ENROUTE", esm_class))
        if "enroute-after-final" in self._faults:
            notices.append(Notice("ENROUTE", codec.ESM_CLASS_RECEIPT))
        return tuple(notices)


_Ids = Callable[[], tuple[bytes, bytes]]


def _id_writer(ids: str, faults: Collection[str], numbers: random.Random) -> _Ids:
    """Return what writes the next message id, as the response and as the receipt has it."""
    if ids == "decimal" and "ids-upper" in faults:
        ids = "hex"  # decimal digits have no case
    dialect = ID_DIALECTS[ids]
    number = numbers.randrange(1, _FIRST_NUMBER_LIMIT)

    def next_uuid() -> tuple[bytes, bytes]:
        message_id = str(uuid.UUID(int=numbers.getrandbits(128), version=4)).encode("ascii")
        return message_id, message_id

    def next_number() -> tuple[bytes, bytes]:
        nonlocal number
        number += 1
        return in_response % number, in_receipt % number

    if dialect is not None:
        in_response, in_receipt = dialect
    write = next_uuid if dialect is None else next_number
    for fault, wrap in _ID_FAULTS.items():
        if fault in faults:
            write = wrap(write, numbers)
    return write


def _lengthen(write: _Ids, numbers: random.Random) -> _Ids:
    digits = "".join(numbers.choices("123456789", k=_LONG_ID_CHARACTERS)).encode("ascii")

    def next_long() -> tuple[bytes, bytes]:
        message_id = write()[0]
        message_id = digits[len(message_id) :] + message_id
        return message_id, message_id

    return next_long


def _capitalise(write: _Ids, numbers: random.Random) -> _Ids:
    def next_capital() -> tuple[bytes, bytes]:
        message_id, receipt_id = write()
        return message_id, receipt_id.upper()

    return next_capital


def _pad(write: _Ids, numbers: random.Random) -> _Ids:
    def next_padded() -> tuple[bytes, bytes]:
        message_id, receipt_id = write()
        return b"00" + message_id.lstrip(b"0"), receipt_id.lstrip(b"0")

    return next_padded


_ID_FAULTS: dict[str, Callable[[_Ids, random.Random], _Ids]] = {
    "ids-long": _lengthen,
    "ids-upper": _capitalise,
    "ids-leading-zeros": _pad,
}
