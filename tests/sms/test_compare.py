"""Segments held to those of an implementation that nobody here wrote."""

import smsutil
from hypothesis import given, settings
from hypothesis import strategies as st

from smppgw import sms
from tests.sms.compare import difference, texts


def test_twenty_thousand_texts_around_the_borders_are_cut_as_smsutil_cuts_them() -> None:
    assert [(fault, text) for text in texts(20_000, seed=2) if (fault := difference(text))] == []


@settings(max_examples=500)
@given(st.text(max_size=400))
def test_any_text_is_cut_as_smsutil_cuts_it(text: str) -> None:
    assert difference(text) is None


def test_the_generated_texts_reach_both_alphabets_and_many_segments() -> None:
    composed = [sms.compose(text) for text in texts(2000, seed=2)]
    sizes = {(one.encoding, len(one.segments)) for one in composed}
    assert {("gsm7", 1), ("gsm7", 2), ("gsm7", 3), ("gsm7", 4)} <= sizes
    assert {("ucs2", 1), ("ucs2", 2), ("ucs2", 3), ("ucs2", 7)} <= sizes


def test_an_escape_is_no_character_though_smsutil_takes_it_for_one() -> None:
    assert smsutil.split("a\x1b").encoding == "gsm0338"
    assert sms.compose("a\x1b").encoding == "ucs2"
