"""The exceptions of smppgw, drawn as a tree.

    SmppgwError                 whatever a person may be told; never a traceback
    ├── ConfigError             config.toml: every mistake at once                    (status 2)
    ├── InputError              a file, a text or an option cannot be used            (status 2)
    │   ├── NumberError         a cell is no mobile number, and why
    │   └── TemplateError       a text with {placeholders} that cannot be filled
    ├── OperationError          it was asked for properly and could not be done       (status 1)
    │   ├── DatabaseError       the ledger cannot be opened, read or written
    │   │   └── ContradictionError  it is not what the gateway takes it for
    │   └── GatewayRunningError a gateway already serves this database
    └── ProtocolError           SMPP
        ├── LocalProtocolError  we asked a session for what its state does not allow
        └── RemoteProtocolError the peer sent what cannot be read

Outcomes are not exceptions: a refused submit_sm, a throttling answer, an expired message, an
unreadable receipt are stored and counted. A message of an exception never holds a number or a text
of a citizen.
"""

from collections.abc import Sequence


class SmppgwError(Exception):
    """Base of all; its text is one or two sentences that say what happened and what to do next."""

    exit_status = 1


class ConfigError(SmppgwError):
    """The configuration cannot be used; `problems` holds a sentence for each mistake."""

    exit_status = 2

    def __init__(self, source: str, problems: Sequence[str]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{source}: {problem}" for problem in self.problems))


class InputError(SmppgwError):
    """A file, a text or an option cannot be used as it is."""

    exit_status = 2


class NumberError(InputError):
    """A cell is not a mobile number that can be written to.

    `reason` is one of `invalid`, `landline`, `machine`, `short`, `ambiguous`; the number itself is
    not part of the message.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class TemplateError(InputError):
    """A text with {placeholders} is malformed or names a column that the file does not have."""


class OperationError(SmppgwError):
    """What was asked for is proper and could not be done."""


class DatabaseError(OperationError):
    """The ledger's file cannot be opened, read or written."""


class ContradictionError(DatabaseError):
    """The ledger contradicts the gateway, or its own rules; nothing was recorded."""


class GatewayRunningError(OperationError):
    """Another gateway process serves this database."""


class ProtocolError(SmppgwError):
    """SMPP went wrong."""


class LocalProtocolError(ProtocolError):
    """We asked a session for something that its state does not allow; nothing was written."""


class RemoteProtocolError(ProtocolError):
    """The peer broke a body, which is answered with a status."""
