"""What the clients are told."""

import sys

import pytest

from smppgw.bench.peers.task import TEXT, Task, destination
from smppgw.sms import compose, normalise_number


def test_a_client_reads_the_task_that_was_written_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    task = Task("127.0.0.1", 2775, "bench", "-secret", 100, 5000)
    monkeypatch.setattr(sys, "argv", ["client", *task.options()])
    assert Task.from_command_line() == task


@pytest.mark.parametrize("ordinal", [0, 1, 999_999, 9_999_999])
def test_every_recipient_is_a_mobile_number_that_submit_would_keep(ordinal: int) -> None:
    assert normalise_number("+" + destination(ordinal)) == "+" + destination(ordinal)


def test_the_text_is_one_segment_that_every_client_writes_with_the_same_octets() -> None:
    composed = compose(TEXT)
    assert composed.encoding == "gsm7"
    assert composed.segments == [TEXT.encode("ascii")]
