"""What the SMSC decides: `Behaviour` says how it is set up, `Decisions` applies it to submit_sm.

Every decision about a submit_sm is made in `Decisions.on_submit_batch`, so a fault has one place to
come in. What becomes of the n-th submit_sm of a run depends on the seed and on n alone: neither on
the time, nor on how the reads cut the stream, nor on which earlier ones were throttled.

Pure: `now` is handed in, in monotonic seconds; randomness comes from the seed.
"""

import math
import random
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

from smppgw.errors import InputError
from smppgw.simulator import codec
from smppgw.simulator.codec import Submit


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

    def __post_init__(self) -> None:
        """Refuse what no SMSC can do.

        Raises:
            InputError: a delay below 0, a limit below 1, an unknown id dialect, weights of nothing,
                a state word that no receipt could hold.
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


class Decision(NamedTuple):
    """What becomes of one submit_sm.

    `message_id` goes into the response; `receipt_id` into the receipt, None where none is sent.
    `outcome` is the state word, empty where the submit_sm is refused. `breaks_window` marks a
    refusal because more were unanswered than the window allows.
    """

    status: int
    message_id: bytes
    receipt_id: bytes | None
    outcome: str
    breaks_window: bool = False


_THROTTLED = Decision(codec.ESME_RTHROTTLED, b"", None, "")
_WINDOW_BROKEN = Decision(codec.ESME_RTHROTTLED, b"", None, "", breaks_window=True)


class Decisions:
    """The SMSC's decisions about submit_sm, from the first of a run to the last."""

    def __init__(self, behaviour: Behaviour) -> None:
        """Begin a run."""
        self._behaviour = behaviour
        seed = random.randrange(2**63) if behaviour.seed is None else behaviour.seed
        self._outcomes = random.Random(seed)
        self._words = list(behaviour.outcomes)
        self._cumulative_weights = list(accumulate(behaviour.outcomes.values()))
        self._next_ids = _id_writer(behaviour.ids, random.Random(f"message ids of {seed}"))
        self._accepted_at: dict[str, deque[float]] = {}

    def on_submit_batch(
        self, account: str, submits: Sequence[Submit], *, unanswered: int, now: float
    ) -> list[Decision]:
        """Decide about the submit_sm of one read (0.7 µs each).

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
        next_ids = self._next_ids
        decisions: list[Decision] = []
        for submit, outcome in zip(submits[:room], self._draw(len(submits)), strict=False):
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
        return decisions

    def _draw(self, count: int) -> list[str]:
        """Draw the next outcomes; cut into batches differently, they are the same."""
        if len(self._words) == 1:
            return self._words * count
        return self._outcomes.choices(self._words, cum_weights=self._cumulative_weights, k=count)


def _id_writer(ids: str, numbers: random.Random) -> Callable[[], tuple[bytes, bytes]]:
    """Return what writes the next message id, as the response and as the receipt has it."""
    dialect = ID_DIALECTS[ids]
    number = numbers.randrange(1, _FIRST_NUMBER_LIMIT)

    def next_uuid() -> tuple[bytes, bytes]:
        message_id = str(uuid.UUID(int=numbers.getrandbits(128), version=4)).encode("ascii")
        return message_id, message_id

    def next_number() -> tuple[bytes, bytes]:
        nonlocal number
        number += 1
        return in_response % number, in_receipt % number

    if dialect is None:
        return next_uuid
    in_response, in_receipt = dialect
    return next_number
