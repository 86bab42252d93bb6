"""What people write and whom they write to, pure: text and cells in, octets and numbers out.

`alphabet` knows GSM 03.38 and rewrites what it lacks, `segments` cuts a text into what a submit_sm
carries, `template` fills {column} placeholders, `numbers` reads phone numbers. No I/O, no clock, no
log, no randomness.
"""

from smppgw.sms.alphabet import REWRITES
from smppgw.sms.numbers import normalise_number
from smppgw.sms.segments import Composed, compose
from smppgw.sms.template import Template

__all__ = ["REWRITES", "Composed", "Template", "compose", "normalise_number"]
