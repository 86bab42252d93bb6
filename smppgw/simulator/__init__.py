"""An SMSC for trials, tests and benchmarks: it behaves, and misbehaves on request.

`codec` turns octets into values, `behaviour` decides about submit_sm and `conduct` about sessions,
`faults` is the table of what can go wrong, `receipts` and `texts` write deliver_sm, `record` notes
every PDU and `witness` what truly happened, `session` is a connection, `server` holds them and the
time. Nothing here is shared with the gateway but the exception tree, so that neither can hide the
other's mistakes.
"""

from smppgw.simulator.behaviour import Behaviour, parse_outcomes
from smppgw.simulator.faults import describe_faults, parse_faults
from smppgw.simulator.server import Simulator
from smppgw.simulator.witness import Witness

__all__ = [
    "Behaviour",
    "Simulator",
    "Witness",
    "describe_faults",
    "parse_faults",
    "parse_outcomes",
]
