"""Sockets and struct alone: how fast the SMSC can be driven by a client that does next to nothing.

Every submit_sm is made before the watch starts; what arrives is only counted and acknowledged.
"""

import socket
import struct

from smppgw.bench.peers.task import SENDER, TEXT, Task, Watch, destination

READ_OCTETS = 1 << 18
TIMEOUT_S = 30

# SMPP 3.4 issue 1.2, 3.2 and 5.1.2.1
_HEADER = struct.Struct(">IIII")
_BIND_TRANSCEIVER, _SUBMIT_SM, _DELIVER_SM, _UNBIND = 0x09, 0x04, 0x05, 0x06
_BIND_TRANSCEIVER_RESP, _SUBMIT_SM_RESP, _DELIVER_SM_RESP = 0x80000009, 0x80000004, 0x80000005


def main() -> None:
    """Send the messages of the command line."""
    task = Task.from_command_line()
    submits = [_submit_sm(ordinal) for ordinal in range(task.messages)]
    with socket.socket() as connection:
        connection.settimeout(TIMEOUT_S)
        connection.connect((task.host, task.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(_bind(task))
        if _HEADER.unpack(_read_pdu(connection)[: _HEADER.size])[1:3] != (
            _BIND_TRANSCEIVER_RESP,
            0,
        ):
            raise SystemExit("the SMSC refuses the bind")
        watch = Watch()
        _drive(connection, submits, task.window)
        watch.report(task.messages)
        connection.sendall(_HEADER.pack(_HEADER.size, _UNBIND, 0, 0x7FFFFFFF))


def _drive(connection: socket.socket, submits: list[bytes], window: int) -> None:
    """Keep the window full until every receipt has come."""
    unpack, pack = _HEADER.unpack_from, _HEADER.pack
    sent = receipts = 0
    answered, rest = 0, b""
    out: list[bytes] = []
    while receipts < len(submits):
        until = min(answered + window, len(submits))
        out += submits[sent:until]
        sent = max(sent, until)
        if out:
            connection.sendall(b"".join(out))
            out.clear()
        data = connection.recv(READ_OCTETS)
        if not data:
            raise SystemExit("the SMSC closed the connection")
        data, at = rest + data, 0
        while len(data) - at >= _HEADER.size:
            length, command_id, status, sequence = unpack(data, at)
            if len(data) - at < length:
                break
            at += length
            if command_id == _SUBMIT_SM_RESP:
                if status:
                    raise SystemExit(f"the SMSC refused a message with status {status:#x}")
                answered += 1
            elif command_id == _DELIVER_SM:
                receipts += 1
                out.append(pack(17, _DELIVER_SM_RESP, 0, sequence) + b"\0")
        rest = data[at:]
    connection.sendall(b"".join(out))


def _read_pdu(connection: socket.socket) -> bytes:
    data = b""
    while len(data) < 4 or len(data) < int.from_bytes(data[:4]):
        more = connection.recv(READ_OCTETS)
        if not more:
            raise SystemExit("the SMSC closed the connection")
        data += more
    return data


def _bind(task: Task) -> bytes:
    body = b"%b\0%b\0\0\x34\0\0\0" % (task.system_id.encode(), task.password.encode())
    return _HEADER.pack(_HEADER.size + len(body), _BIND_TRANSCEIVER, 0, 1) + body


def _submit_sm(ordinal: int) -> bytes:
    """Write one submit_sm that asks for a receipt (4.4.1)."""
    text = TEXT.encode()
    body = b"\0\5\0%b\0\1\1%b\0\0\0\0\0\0\1\0\0\0%c%b" % (
        SENDER.encode(),
        destination(ordinal).encode(),
        len(text),
        text,
    )
    return _HEADER.pack(_HEADER.size + len(body), _SUBMIT_SM, 0, ordinal + 2) + body


if __name__ == "__main__":
    main()
