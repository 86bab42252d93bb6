"""SMPP 3.4, ESME side, pure: octets and `now` in, octets and values out.

`pdu` frames, `status` judges answers, `receipt` reads deliver_sm, `session` keeps one session's
state. No I/O, no clock, no log, no randomness.
"""

from smppgw.smpp.receipt import Receipt, parse_receipt

__all__ = ["Receipt", "parse_receipt"]
