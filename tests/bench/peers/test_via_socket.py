"""The bare client's own octets, as somebody else's codec reads them."""

import smpp34

from smppgw.bench.peers.task import SENDER, TEXT, destination
from smppgw.bench.peers.via_socket import _submit_sm


def test_its_submit_sm_is_the_one_that_the_peers_send() -> None:
    read = smpp34.decode(_submit_sm(7))
    assert isinstance(read, smpp34.SubmitSm)
    assert (read.source_addr_ton, read.source_addr) == (5, SENDER)
    assert (read.dest_addr_ton, read.dest_addr_npi) == (1, 1)
    assert read.destination_addr == destination(7)
    assert read.registered_delivery == 1
    assert read.short_message == TEXT.encode()
    assert read.sequence_number == 9
