"""A job's text and an account's habits → submit_sm templates.

The template of a text that is the same for all is made once and kept for the jobs at work; a
personal text makes its own. Both are composed by the same function that counted and priced them at
submission.
"""

import json
from collections import OrderedDict

from smppgw import sms
from smppgw.config import Smsc
from smppgw.ledger.turn import Claim, JobText
from smppgw.smpp.pdu import Addresses, Concatenation, SubmitTemplate
from smppgw.smpp.receipt import asks_receipt
from smppgw.smpp.session import Submit

_JOBS_KEPT = 256
_FLASH = 0x10  # message class 0 (3GPP TS 23.038, 4)


class Renderer:
    """Makes the submit_sm of one account."""

    def __init__(self, smsc: Smsc) -> None:
        self._smsc = smsc
        self._kept: OrderedDict[int, list[SubmitTemplate]] = OrderedDict()

    def submits(self, claim: Claim, job: JobText) -> list[Submit]:
        """Render the segments of a claim.

        Args:
            claim: which segments of which message.
            job: the job it belongs to.

        Returns:
            One for each of the claim's numbers, in order.
        """
        templates = self._kept.get(claim.job_id) or self._templates(claim, job)
        destination = claim.recipient[1:]
        if claim.total == 1:
            return [
                Submit(claim.message_id << 8 | 1, claim.attempt, 1, templates[0], destination, 0)
            ]
        # Drawn per destination: successive texts to one phone differ, and a text that is taken up
        # again after a crash goes on under the reference it began with.
        reference = (int(destination) + claim.job_id) & 0xFF
        return [
            Submit(
                claim.message_id << 8 | number,
                claim.attempt,
                claim.total,
                templates[number - 1],
                destination,
                reference,
            )
            for number in claim.numbers
        ]

    def _templates(self, claim: Claim, job: JobText) -> list[SubmitTemplate]:
        if claim.fields is not None:
            text = sms.Template(job.text).fill(json.loads(claim.fields))
            return self._render(text, job)
        templates = self._render(sms.Template(job.text).fill({}), job)
        self._kept[job.job_id] = templates
        if len(self._kept) > _JOBS_KEPT:
            self._kept.popitem(last=False)
        return templates

    def _render(self, text: str, job: JobText) -> list[SubmitTemplate]:
        composed = sms.compose(text, job.rewrite)
        total = len(composed.segments)
        addresses = addresses_for(job.sender, self._smsc)
        return [
            SubmitTemplate(
                addresses,
                user_data,
                data_coding=composed.data_coding | (_FLASH if job.flash else 0),
                registered_delivery=int(
                    asks_receipt(self._smsc.receipts, number=number, total=total)
                ),
                concatenation=Concatenation(number, total) if total > 1 else None,
            )
            for number, user_data in enumerate(composed.segments, 1)
        ]


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
