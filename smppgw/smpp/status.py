"""command_status → what to do about it: one table.

A status that is not in the table keeps its number: vendor codes (0x400 to 0x4FF) and reserved ones
are counted under it and refuse the message for good, unless an account's configuration sorts them.

Source: SMPP 3.4 issue 1.2, table 5-2.
"""

from enum import Enum
from typing import NamedTuple


class Verdict(Enum):
    """What an answer to a submit_sm means for the message, the account and the link."""

    ACCEPTED = "accepted"  # the SMSC has it
    SLOW_DOWN = "slow-down"  # the account slows; the segment goes back, no attempt is used
    TRY_LATER = "try-later"  # again after a growing delay, until the attempts are used up
    REFUSED = "refused"  # never again
    STOP_LINK = "stop-link"  # this session cannot submit: the segment goes back, the link pauses


class Status(NamedTuple):
    """A command_status: the specification's name and what to do when it answers a submit_sm."""

    name: str
    verdict: Verdict


TABLE: dict[int, Status] = {
    0x00: Status("ESME_ROK", Verdict.ACCEPTED),
    0x01: Status("ESME_RINVMSGLEN", Verdict.REFUSED),
    0x02: Status("ESME_RINVCMDLEN", Verdict.REFUSED),
    0x03: Status("ESME_RINVCMDID", Verdict.REFUSED),
    0x04: Status("ESME_RINVBNDSTS", Verdict.STOP_LINK),
    0x05: Status("ESME_RALYBND", Verdict.STOP_LINK),
    0x06: Status("ESME_RINVPRTFLG", Verdict.REFUSED),
    0x07: Status("ESME_RINVREGDLVFLG", Verdict.REFUSED),
    0x08: Status("ESME_RSYSERR", Verdict.TRY_LATER),
    0x0A: Status("ESME_RINVSRCADR", Verdict.REFUSED),
    0x0B: Status("ESME_RINVDSTADR", Verdict.REFUSED),
    0x0C: Status("ESME_RINVMSGID", Verdict.REFUSED),
    0x0D: Status("ESME_RBINDFAIL", Verdict.STOP_LINK),
    0x0E: Status("ESME_RINVPASWD", Verdict.STOP_LINK),
    0x0F: Status("ESME_RINVSYSID", Verdict.STOP_LINK),
    0x11: Status("ESME_RCANCELFAIL", Verdict.REFUSED),
    0x13: Status("ESME_RREPLACEFAIL", Verdict.REFUSED),
    0x14: Status("ESME_RMSGQFUL", Verdict.SLOW_DOWN),
    0x15: Status("ESME_RINVSERTYP", Verdict.REFUSED),
    0x33: Status("ESME_RINVNUMDESTS", Verdict.REFUSED),
    0x34: Status("ESME_RINVDLNAME", Verdict.REFUSED),
    0x40: Status("ESME_RINVDESTFLAG", Verdict.REFUSED),
    0x42: Status("ESME_RINVSUBREP", Verdict.REFUSED),
    0x43: Status("ESME_RINVESMCLASS", Verdict.REFUSED),
    0x44: Status("ESME_RCNTSUBDL", Verdict.REFUSED),
    0x45: Status("ESME_RSUBMITFAIL", Verdict.TRY_LATER),
    0x48: Status("ESME_RINVSRCTON", Verdict.REFUSED),
    0x49: Status("ESME_RINVSRCNPI", Verdict.REFUSED),
    0x50: Status("ESME_RINVDSTTON", Verdict.REFUSED),
    0x51: Status("ESME_RINVDSTNPI", Verdict.REFUSED),
    0x53: Status("ESME_RINVSYSTYP", Verdict.STOP_LINK),
    0x54: Status("ESME_RINVREPFLAG", Verdict.REFUSED),
    0x55: Status("ESME_RINVNUMMSGS", Verdict.REFUSED),
    0x58: Status("ESME_RTHROTTLED", Verdict.SLOW_DOWN),
    0x61: Status("ESME_RINVSCHED", Verdict.REFUSED),
    0x62: Status("ESME_RINVEXPIRY", Verdict.REFUSED),
    0x63: Status("ESME_RINVDFTMSGID", Verdict.REFUSED),
    0x64: Status("ESME_RX_T_APPN", Verdict.TRY_LATER),
    0x65: Status("ESME_RX_P_APPN", Verdict.REFUSED),
    0x66: Status("ESME_RX_R_APPN", Verdict.REFUSED),
    0x67: Status("ESME_RQUERYFAIL", Verdict.REFUSED),
    0xC0: Status("ESME_RINVOPTPARSTREAM", Verdict.REFUSED),
    0xC1: Status("ESME_ROPTPARNOTALLWD", Verdict.REFUSED),
    0xC2: Status("ESME_RINVPARLEN", Verdict.REFUSED),
    0xC3: Status("ESME_RMISSINGOPTPARAM", Verdict.REFUSED),
    0xC4: Status("ESME_RINVOPTPARAMVAL", Verdict.REFUSED),
    0xFE: Status("ESME_RDELIVERYFAILURE", Verdict.TRY_LATER),
    0xFF: Status("ESME_RUNKNOWNERR", Verdict.TRY_LATER),
}

# What a refused bind says about trying again: these will not mend themselves, a person has to.
BIND_HOPELESS = frozenset({0x0E, 0x0F, 0x53})


def status_of(command_status: int) -> Status:
    """Return the table's row, or one that keeps the number and refuses."""
    return TABLE.get(command_status) or Status(f"0x{command_status:08X}", Verdict.REFUSED)
