"""What a receipt says: the text of SMPP 3.4 appendix B in the body of a deliver_sm, TLVs beside it.

    id:IIIIIIIIII sub:001 dlvrd:001 submit date:YYMMDDhhmm done date:YYMMDDhhmm stat:DDDDDDD err:EEE
    text:the first 20 characters

Its addresses are those of the submit_sm, swapped; its dates are local time, as SMSCs write them.
`ReceiptWriter.write` is the fast path, for receipts without faults; `write_bent` its plain twin,
which knows every dialect. Pure: the wall clock is handed in.

Source: SMPP 3.4 issue 1.2, 4.6.1 and appendix B.
"""

import time
from collections.abc import Sequence

from smppgw.simulator import codec
from smppgw.simulator.behaviour import STATES, Behaviour, Decision, Notice
from smppgw.simulator.codec import Submit
from smppgw.simulator.witness import Accepted, Told

_TEXT_CHARACTERS = 20
# esm_class to sm_default_msg_id of a deliver_sm, all of them 0 or empty but the first
_RECEIPT_OCTETS = bytes((codec.ESM_CLASS_RECEIPT, 0, 0, 0, 0, 0, 0, codec.DATA_CODING_DEFAULT, 0))

# A vendor's own, from the range that SMPP 3.4 issue 1.2, 5.3.1 keeps for them.
VENDOR_TLV = {0x1501: b"smsc"}
# Words that are none of appendix B's, for what was delivered and for what was not.
_UNKNOWN_WORDS = {False: ("DELIVERED_OK", "SEEN"), True: ("GIVEN_UP", "NO_ROUTE")}


class Receipt(bytes):
    """The body of a receipt that knows how it travels and what it tells."""

    command_id = codec.DELIVER_SM
    word = ""  # what it tells, whatever its text calls it
    accepted: Accepted | None = None  # the submit_sm that it is about, where a witness looks on
    told: Told | None = None  # its last sending


class ReceiptWriter:
    """Writes receipts; keeps what is the same for every one of a minute."""

    def __init__(self, behaviour: Behaviour) -> None:
        """Take what a receipt depends on."""
        delays = (behaviour.latency_s, behaviour.receipt_delay_s)
        self._done_after_s = sum(delays) if behaviour.receipt_lead_s is None else delays[0]
        self._tlvs = behaviour.receipt_tlvs
        self._faults = behaviour.active_faults
        self._written = 0  # bent receipts
        self._outcomes = tuple(behaviour.outcomes)
        self._minutes = (-1, -1)
        self._middles: dict[str, bytes] = {}

    def write(
        self, submits: Sequence[Submit], decisions: Sequence[Decision], wall_s: float
    ) -> list[bytes]:
        """Write the receipts that a batch is owed (0.5 µs each).

        Args:
            submits: the batch.
            decisions: one for each.
            wall_s: when it was submitted, seconds since 1970.

        Returns:
            Bodies of deliver_sm, without header; none for a decision without `receipt_id`.
        """
        middles = self._middles_at(wall_s)
        plain = not self._tlvs
        bodies = []
        for submit, (_, _, receipt_id, outcome, _, _, _) in zip(submits, decisions, strict=True):
            if receipt_id is None:
                continue
            _, source, destination, esm_class, _, data_coding, user_data, _ = submit
            if data_coding == codec.DATA_CODING_UCS2 or esm_class & codec.ESM_CLASS_UDHI:
                user_data = _plain_text(user_data, esm_class, data_coding)
            message = b"id:%b%b%b" % (receipt_id, middles[outcome], user_data[:_TEXT_CHARACTERS])
            body = b"\0%b%b%b%c%b" % (destination, source, _RECEIPT_OCTETS, len(message), message)
            bodies.append(body if plain else body + _tlvs(receipt_id, outcome))
        return bodies

    def write_bent(self, submit: Submit, decision: Decision, wall_s: float) -> list[Receipt]:
        """Write all receipts of one submit_sm, as the faults will have them.

        Args:
            submit: it.
            decision: about it.
            wall_s: when it was submitted, seconds since 1970.
        """
        if decision.receipt_id is None:
            return []
        notices = decision.notices or (Notice(decision.outcome, codec.ESM_CLASS_RECEIPT),)
        return [self._write_one(submit, decision.receipt_id, notice, wall_s) for notice in notices]

    def _write_one(
        self, submit: Submit, receipt_id: bytes, notice: Notice, wall_s: float
    ) -> Receipt:
        faults = self._faults
        word, esm_class = notice
        if "receipt-esm-0" in faults:
            esm_class = 0
        tlvs = _tlvs(receipt_id, word) if self._has_tlvs() else b""
        if "unknown-tlvs" in faults:
            tlvs += codec.encode_tlvs(VENDOR_TLV)
        if "receipt-data-sm" in faults:
            head = b"\0" + submit.destination + submit.source
            receipt = Receipt(head + bytes((esm_class, 0, codec.DATA_CODING_DEFAULT)) + tlvs)
            receipt.command_id = codec.DATA_SM
        else:
            text, data_coding = self._text(submit, receipt_id, word, wall_s), 0
            if "receipt-ucs2" in faults:
                text = text.decode("latin-1").encode("utf-16-be")
                data_coding = codec.DATA_CODING_UCS2
            receipt = Receipt(
                codec.message_body(submit.destination, submit.source, esm_class, data_coding, text)
                + tlvs
            )
        receipt.word = word
        self._written += 1
        return receipt

    def _has_tlvs(self) -> bool:
        if "receipt-text-only" in self._faults:
            return False
        asked_for = ("receipt-tlvs", "receipt-tlvs-only", "receipt-data-sm")
        return self._tlvs or not self._faults.keys().isdisjoint(asked_for)

    def _text(self, submit: Submit, receipt_id: bytes, word: str, wall_s: float) -> bytes:
        faults = self._faults
        if "receipt-tlvs-only" in faults:
            return b""
        called = word
        if "receipt-unknown-word" in faults:
            words = _UNKNOWN_WORDS[STATES.get(word, STATES["UNKNOWN"]).failure]
            called = words[self._written % len(words)]
        if "receipt-missing-fields" in faults:
            return b"id:%b stat:%b" % (receipt_id, called.encode("ascii"))
        dates = (_date(wall_s), _date(wall_s + self._done_after_s))
        head = b"id:" + receipt_id + _middle(word, *dates, called)
        if "receipt-cut" in faults:
            return head[: head.index(b" err:")]
        user_data = _plain_text(submit.user_data, submit.esm_class, submit.data_coding)
        return head + user_data[:_TEXT_CHARACTERS]

    def _middles_at(self, wall_s: float) -> dict[str, bytes]:
        """Return what stands between id and text, by outcome."""
        done_s = wall_s + self._done_after_s
        minutes = (int(wall_s // 60), int(done_s // 60))
        if minutes != self._minutes:
            self._minutes = minutes
            self._middles = {
                word: _middle(word, _date(wall_s), _date(done_s)) for word in self._outcomes
            }
        return self._middles


def _middle(word: str, submitted: str, done: str, called: str = "") -> bytes:
    state = STATES.get(word, STATES["UNKNOWN"])
    return (
        f" sub:001 dlvrd:{state.delivered:03d} submit date:{submitted} done date:{done}"
        f" stat:{called or word} err:{state.error:03d} text:"
    ).encode("latin-1")


def _date(wall_s: float) -> str:
    return time.strftime("%y%m%d%H%M", time.localtime(wall_s))


def _tlvs(receipt_id: bytes, outcome: str) -> bytes:
    state = STATES.get(outcome, STATES["UNKNOWN"]).message_state
    return codec.encode_tlvs(
        {
            codec.TLV_RECEIPTED_MESSAGE_ID: receipt_id + b"\0",
            codec.TLV_MESSAGE_STATE: bytes((state,)),
        }
    )


def _plain_text(user_data: bytes, esm_class: int, data_coding: int) -> bytes:
    """Drop the user data header; write UCS2 in ASCII, as the receipt itself has data_coding 0."""
    if esm_class & codec.ESM_CLASS_UDHI and user_data:
        user_data = user_data[1 + user_data[0] :]
    if data_coding == codec.DATA_CODING_UCS2:
        characters = user_data[: 2 * _TEXT_CHARACTERS].decode("utf-16-be", "replace")
        user_data = characters.encode("ascii", "replace")
    return user_data
