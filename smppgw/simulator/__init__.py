"""An SMSC for trials, tests and benchmarks: it behaves, and later misbehaves, on request.

`codec` turns octets into values, `behaviour` decides, `receipts` writes what phones are said to
have done, `record` notes every PDU, `server` holds connections and time. Nothing here is shared
with the gateway but the exception tree, so that neither can hide the other's mistakes.
"""

from smppgw.simulator.behaviour import Behaviour, parse_outcomes
from smppgw.simulator.server import Simulator

__all__ = ["Behaviour", "Simulator", "parse_outcomes"]
