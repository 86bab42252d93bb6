"""What a session does beside its answers, and when: every fault that is not about one submit_sm.

As `Decisions` is the one place that decides about submit_sm, `Conduct` is the one that decides
about binds, about what is left unanswered, about what comes unasked, and about how octets leave;
server and sessions do what it says. Pure: `now` is handed in, in monotonic seconds; chance comes
from the seed.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

from smppgw.simulator import codec
from smppgw.simulator.behaviour import Behaviour, Decision
from smppgw.simulator.codec import Submit
from smppgw.simulator.faults import OneIn, chance
from smppgw.simulator.texts import Text, answer_text, receipt_lookalike, write_text

# What comes beside one answer in N, in this order; and what comes once, beside the Nth of a run.
_LONG_TEXTS = {
    "texts-udh-8": "udh-8",
    "texts-udh-16": "udh-16",
    "texts-sar": "sar",
    "texts-out-of-order": "udh-8",
}
_ONE_IN_N = ("stray-answers", "nack-0", "unknown-command", "phone-text-like-receipt", *_LONG_TEXTS)
_THE_NTH = {"command-length-0": 0, "command-length-4g": 0xFFFFFFFF}
# What refuses the first N binds of an account; None is no answer at all.
_FIRST_BINDS: dict[str, int | None] = {
    "no-bind-answer": None,
    "bind-refused": codec.ESME_RBINDFAIL,
    "bind-throttled": codec.ESME_RTHROTTLED,
}
_PIECES_LIMIT = 5  # of one write
_UNKNOWN_COMMAND = 0x00010203  # reserved (SMPP 3.4 issue 1.2, 5.1.2.1)
_UNUSED_BIT = 0x40000000  # of a sequence_number: few peers count that far
_FIRST_REFERENCE = 300  # of long texts; one that 8 bits do not hold
_LONG_TEXT = (
    "Bonjour, un arbre est couche en travers de la route de la mairie depuis cette nuit, le car "
    "scolaire ne passe plus et les voisins du hameau ne peuvent plus sortir. L'eau monte aussi "
    "devant la salle des fetes : quelqu'un peut-il venir voir, et faut-il prevenir les pompiers ? "
    "Je reste sur place jusqu'a midi, merci de me rappeler a ce numero."
)


class Beside(NamedTuple):
    """What comes beside an answer.

    `pdus` follow it, whole; `texts` are deliver_sm from phones; `last` are octets after which the
    session is silent, empty where it goes on.
    """

    pdus: Sequence[bytes] = ()
    texts: Sequence[Text] = ()
    last: bytes = b""


class Conduct:
    """The SMSC's conduct, from the first connection of a run to the last.

    Attributes:
        drop_after: submit_sm after which a connection is cut, or None.
        unbind_after_s: seconds from a bind to an unbind, or None.
        enquire_every_s: seconds between enquire_link, or None.
        answers_in_order: whether a later submit_sm is answered later.
    """

    def __init__(self, behaviour: Behaviour) -> None:
        """Begin a run."""
        self._behaviour = behaviour
        faults = self._faults = behaviour.active_faults
        seed = random.randrange(2**63) if behaviour.seed is None else behaviour.seed  # nosec B311  # no secret
        self.drop_after = int(faults["drop"]) if "drop" in faults else None
        self.unbind_after_s = faults.get("unbind")
        self.enquire_every_s = faults.get("enquire-often")
        self.answers_in_order = "answers-out-of-order" not in faults
        self._ones_in = {
            name: OneIn(int(faults[name]), chance(seed, name))
            for name in _ONE_IN_N
            if name in faults
        }
        self._answers = 0
        self._long_texts = 0
        self._binds: dict[str, int] = {}  # asked for, by account
        self._held_until: dict[str, float] = {}  # the bind of a lost connection, by account
        self._lateness = chance(seed, "lateness of answers")
        self._cuts = chance(seed, "cuts")
        self._extremes = [0xFFFFFFFF, 0]  # the one that has its turn last stands first

    def has(self, fault: str) -> bool:
        """Say whether a fault is on."""
        return fault in self._faults

    # Binds.

    def on_bind(self, system_id: str, password: str, now: float) -> int | None:
        """Return the command_status of a bind; 0 lets it in, None gives no answer."""
        asked = self._binds[system_id] = self._binds.get(system_id, 0) + 1
        for name, status in _FIRST_BINDS.items():
            if asked <= self._faults.get(name, 0):
                return status
        status = self._behaviour.refuse_bind(system_id, password)
        if not status and now < self._held_until.get(system_id, now):
            return codec.ESME_RALYBND
        return status

    def on_lost(self, system_id: str, now: float) -> None:
        """Take note of a bind that ended without unbind."""
        if "already-bound" in self._faults:
            self._held_until[system_id] = now + self._faults["already-bound"]

    # Answers.

    def on_answer(
        self, submit: Submit, decision: Decision, responses: Sequence[bytes]
    ) -> list[Beside]:
        """Return what comes beside the next answer, in order.

        Args:
            submit: what is answered.
            decision: about it.
            responses: whole PDUs, none where the answer is withheld.
        """
        self._answers += 1
        faults = [name for name, is_the_one in self._ones_in.items() if is_the_one()]
        faults += [name for name in _THE_NTH if self._faults.get(name) == self._answers]
        return [self._write_beside(fault, submit, decision, responses) for fault in faults]

    def _write_beside(
        self, fault: str, submit: Submit, decision: Decision, responses: Sequence[bytes]
    ) -> Beside:
        unused = submit.sequence ^ _UNUSED_BIT
        if fault == "stray-answers":
            stray = codec.encode_submit_resp(unused, 0, b"0")
            return Beside([*responses, stray, codec.encode(codec.ENQUIRE_LINK_RESP, unused)])
        if fault == "nack-0":
            return Beside([codec.encode(codec.GENERIC_NACK, 0, codec.ESME_RINVCMDLEN)])
        if fault == "unknown-command":
            return Beside([codec.HEADER.pack(codec.HEADER_OCTETS, _UNKNOWN_COMMAND, 0, unused)])
        if fault == "phone-text-like-receipt":
            message_id = decision.receipt_id or decision.message_id
            return Beside(texts=[receipt_lookalike(submit, message_id)])
        if fault in _THE_NTH:
            return Beside(last=codec.HEADER.pack(_THE_NTH[fault], codec.ENQUIRE_LINK, 0, unused))
        self._long_texts += 1
        reference = _FIRST_REFERENCE + self._long_texts
        long_text = _LONG_TEXTS[fault]
        texts = answer_text(submit, _LONG_TEXT, long_text=long_text, reference=reference)
        return Beside(texts=texts[::-1] if fault == "texts-out-of-order" else texts)

    def glued_to_bind(self) -> list[Text]:
        """Return what follows the answer to a bind where nothing else waits for it."""
        return write_text("33600000001", "36111", "Bonjour") if self.has("glue") else []

    def answer_delay_s(self, unanswered: int) -> float:
        """Return how long an answer takes.

        Args:
            unanswered: submit_sm of the session that wait for one, this one included.
        """
        delay_s = self._behaviour.latency_s + self._faults.get("slow-answers", 0) * unanswered
        if not self.answers_in_order:
            delay_s += self._lateness.uniform(0, self._faults["answers-out-of-order"])
        return delay_s

    # Octets.

    def extreme_sequence(self, taken: dict[int, bytes]) -> int | None:
        """Return the sequence_number of the next deliver_sm, or None where it just counts on.

        Args:
            taken: deliver_sm that are not acknowledged, by theirs.
        """
        if "sequence-extremes" in self._faults:
            self._extremes.reverse()
            for sequence in self._extremes:
                if sequence not in taken:
                    return sequence
        return None

    def cut(self, octets: bytes) -> list[bytes]:
        """Cut what leaves in one write into pieces, none of them empty."""
        count = min(self._cuts.randint(1, _PIECES_LIMIT - 1), len(octets) - 1)
        cuts = sorted(self._cuts.sample(range(1, len(octets)), count))
        return [octets[a:b] for a, b in zip([0, *cuts], [*cuts, len(octets)], strict=True)]
