"""What a receipt says: the text of SMPP 3.4 appendix B in the body of a deliver_sm, TLVs beside it.

    id:IIIIIIIIII sub:001 dlvrd:001 submit date:YYMMDDhhmm done date:YYMMDDhhmm stat:DDDDDDD err:EEE
    text:the first 20 characters

Its addresses are those of the submit_sm, swapped; its dates are local time, as SMSCs write them.
Pure: the wall clock is handed in. Source: SMPP 3.4 issue 1.2, 4.6.1 and appendix B.
"""

import time
from collections.abc import Sequence

from smppgw.simulator import codec
from smppgw.simulator.behaviour import STATES, Behaviour, Decision
from smppgw.simulator.codec import Submit

_TEXT_CHARACTERS = 20
# esm_class to sm_default_msg_id of a deliver_sm, all of them 0 or empty but the first
_RECEIPT_OCTETS = bytes((codec.ESM_CLASS_RECEIPT, 0, 0, 0, 0, 0, 0, codec.DATA_CODING_DEFAULT, 0))


class ReceiptWriter:
    """Writes receipts; keeps what is the same for every one of a minute."""

    def __init__(self, behaviour: Behaviour) -> None:
        """Take what a receipt depends on."""
        delays = (behaviour.latency_s, behaviour.receipt_delay_s)
        self._done_after_s = delays[0] if behaviour.early_receipts else sum(delays)
        self._tlvs = behaviour.receipt_tlvs
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
        for submit, (_, _, receipt_id, outcome, _) in zip(submits, decisions, strict=True):
            if receipt_id is None:
                continue
            _, source, destination, esm_class, _, data_coding, user_data = submit
            if data_coding == codec.DATA_CODING_UCS2 or esm_class & codec.ESM_CLASS_UDHI:
                user_data = _plain_text(user_data, esm_class, data_coding)
            message = b"id:%b%b%b" % (receipt_id, middles[outcome], user_data[:_TEXT_CHARACTERS])
            body = b"\0%b%b%b%c%b" % (destination, source, _RECEIPT_OCTETS, len(message), message)
            bodies.append(body if plain else body + _tlvs(receipt_id, outcome))
        return bodies

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


def _middle(word: str, submitted: str, done: str) -> bytes:
    state = STATES.get(word, STATES["UNKNOWN"])
    return (
        f" sub:001 dlvrd:{state.delivered:03d} submit date:{submitted} done date:{done}"
        f" stat:{word} err:{state.error:03d} text:"
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
