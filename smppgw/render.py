"""A job's text and an account's habits → submit_sm templates.

The template of a text that is the same for all is made once and kept for the jobs at work; a
personal text makes its own. Both are composed by the same function that counted and priced them at
submission, and an account's habits never change how many segments there are: alphabet and long_text
agree among the accounts that take a class.
"""

import json
from collections import OrderedDict
from datetime import UTC, datetime

from smppgw import sms
from smppgw.config import Smsc
from smppgw.ledger.claim import Claim, JobText
from smppgw.ledger.keys import SEGMENT_BITS
from smppgw.smpp.pdu import Addresses, Concatenation, SubmitTemplate
from smppgw.smpp.receipt import asks_receipt
from smppgw.smpp.session import Submit
from smppgw.sms.alphabet import decode_gsm, pack

_JOBS_KEPT = 256
_FLASH = 0x10  # message class 0 (3GPP TS 23.038, 4)
_FILL_BITS = 1  # behind a header of 6 octets, up to the next septet


class _Job:
    """What all messages of a job share, and its templates where they serve all."""

    def __init__(self, job: JobText, smsc: Smsc) -> None:
        self.text = sms.Template(job.text)
        self.addresses = addresses_for(job.sender, smsc)
        self.validity_period = _absolute_time(job.expires_at) if smsc.validity_period else ""
        self.templates: list[SubmitTemplate] | None = None


class Renderer:
    """Makes the submit_sm of one account."""

    def __init__(self, smsc: Smsc) -> None:
        self._smsc = smsc
        # By job and validity, which a retry prolongs.
        self._kept: OrderedDict[tuple[int, int], _Job] = OrderedDict()

    def submits(self, claim: Claim, job: JobText) -> list[Submit]:
        """Render the segments of a claim.

        Args:
            claim: which segments of which message.
            job: the job it belongs to.

        Returns:
            One for each of the claim's numbers, in order; none where the text has another number of
            segments than at submission, because long_text or alphabet was changed since.
        """
        kept = self._kept.get((claim.job_id, job.expires_at)) or self._keep(job)
        templates = kept.templates
        if claim.fields is not None:
            templates = self._render(kept.text.fill(json.loads(claim.fields)), job, kept)
        elif templates is None:
            templates = kept.templates = self._render(kept.text.fill({}), job, kept)
        if len(templates) != claim.total:
            return []
        destination = claim.recipient[1:]
        segments = claim.message_id << SEGMENT_BITS
        if claim.total == 1:
            return [Submit(segments | 1, claim.attempt, 1, templates[0], destination, 0)]
        # Drawn per destination: successive texts to one phone differ, and a text that is taken up
        # again after a crash goes on under the reference it began with.
        reference = (int(destination) + claim.job_id) & 0xFF
        return [
            Submit(
                segments | number,
                claim.attempt,
                claim.total,
                templates[number - 1],
                destination,
                reference,
            )
            for number in claim.numbers
        ]

    def _keep(self, job: JobText) -> _Job:
        if len(self._kept) >= _JOBS_KEPT:
            self._kept.popitem(last=False)
        kept = self._kept[job.job_id, job.expires_at] = _Job(job, self._smsc)
        return kept

    def _render(self, text: str, job: JobText, kept: _Job) -> list[SubmitTemplate]:
        smsc = self._smsc
        composed = sms.compose(text, job.rewrite, latin1=smsc.alphabet == "latin1")
        segments = composed.segments
        as_payload = smsc.long_text == "payload" and len(segments) > 1
        if as_payload:
            segments = [b"".join(segments)]
        total = len(segments)
        in_header = total > 1 and smsc.long_text == "udh"
        if composed.encoding == "gsm7":
            segments = [self._octets(septets, in_header) for septets in segments]
        return [
            SubmitTemplate(
                kept.addresses,
                user_data,
                data_coding=composed.data_coding | (_FLASH if job.flash else 0),
                registered_delivery=int(asks_receipt(smsc.receipts, number=number, total=total)),
                concatenation=Concatenation(number, total, smsc.long_text) if total > 1 else None,
                as_payload=as_payload,
                validity_period=kept.validity_period,
            )
            for number, user_data in enumerate(segments, 1)
        ]

    def _octets(self, septets: bytes, in_header: bool) -> bytes:
        """Write septets as the account wants them at data_coding 0."""
        match self._smsc.alphabet:
            case "latin1":
                return decode_gsm(septets).encode("latin-1")
            case "gsm7-packed":
                return pack(septets, _FILL_BITS if in_header else 0)
            case _:
                return septets


def addresses_for(sender: str, smsc: Smsc) -> Addresses:
    """Number both addresses (SMPP 3.4 issue 1.2, 5.2.5 and 5.2.6).

    A name is alphanumeric (TON 5), a short code network specific (TON 3), a long number
    international (TON 1, NPI 1); an account may fix each.
    """
    source = sender.removeprefix("+")
    if not source.isdigit():
        ton, npi = 5, 0
    elif len(source) <= 6:
        ton, npi = 3, 0
    else:
        ton, npi = 1, 1
    return Addresses(
        source,
        ton if smsc.source_ton == "auto" else smsc.source_ton,
        npi if smsc.source_npi == "auto" else smsc.source_npi,
        1 if smsc.dest_ton == "auto" else smsc.dest_ton,
        1 if smsc.dest_npi == "auto" else smsc.dest_npi,
    )


def _absolute_time(milliseconds: int) -> str:
    """Write a time as the SMSC reads it: UTC, to the second (SMPP 3.4 issue 1.2, 7.1.1)."""
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%y%m%d%H%M%S}000+"
