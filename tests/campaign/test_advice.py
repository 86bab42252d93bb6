"""What a text and the hour should make somebody think twice about."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from smppgw.campaign.advice import on_hours, on_length, on_text
from smppgw.config import ClassRules, PromotionalRules

PARIS = ZoneInfo("Europe/Paris")
TUESDAY = datetime(2026, 11, 24, 11, tzinfo=PARIS)


def said(text: str, job_class: str = "service", sender: str = "STMARTIN") -> str:
    return "\n".join(on_text(text, job_class=job_class, sender=sender))


@pytest.mark.parametrize(
    "text",
    [
        "Voir https://exemple.fr.",
        "Voir HTTP://exemple.fr.",
        "Voir www.exemple.fr.",
        "Voir exemple.fr/eau.",
        "{{Voir}} mairie-stm.fr/a?b=1.",
    ],
)
def test_a_link_under_a_short_code_is_told_and_under_a_name_is_not(text: str) -> None:
    assert "short code 36111" in said(text, sender="36111")
    assert said(text) == ""


def test_a_short_code_without_a_link_is_not_told() -> None:
    assert said("Rendez-vous à 8 h, place Saint-Martin/marché.", sender="36111") == ""


@pytest.mark.parametrize(
    "text",
    [
        "L'eau sera coupée jeudi de",
        "Rendez-vous devant la mairie, à l'",
        "Rendez-vous devant la mairie, à l’",
        "Pensez à apporter :\n- un pull,",
        "Coupure d'eau jeudi…",
        "Coupure d'eau jeudi...",
        "Coupure (rue de l'Église",
        "« Fête du village, samedi",
        "Fermé le [jour",
        "a" * 160,
        "Ouvert le samedi et LE ",
    ],
)
def test_a_text_that_looks_cut_is_told(text: str) -> None:
    assert "looks cut" in said(text)


@pytest.mark.parametrize(
    "text",
    [
        "L'eau sera coupée jeudi",
        "Merci {prenom}",
        "Fête samedi :) (place du marché)",
        "Bravo :-(",
        "a" * 159,
        "a" * 161,
        "« Bal » à 21 h.",
        "{{accolade}}",
        "Écoles fermées : voir le site",
    ],
)
def test_a_text_that_is_whole_is_not(text: str) -> None:
    assert said(text) == ""


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("Fête samedi. STOP au 36111", True),
        ("Fête samedi. stop 36111", True),
        ("Fête samedi.", False),
        ("Fête non-stoppée.", False),
    ],
)
def test_a_promotional_text_says_how_to_be_left_alone(text: str, fine: bool) -> None:
    assert ("left alone" not in said(text, "promotional")) == fine
    assert "left alone" not in said(text, "service")
    assert "left alone" not in said(text, "alert")


def test_more_than_three_segments_are_told() -> None:
    assert list(on_length(3)) == []
    assert "takes 4 segments" in next(on_length(4))


# Hours


def hours(begin: datetime, seconds: float, rules: ClassRules | None = None) -> str:
    return "\n".join(on_hours(rules or PromotionalRules(), "promotional", begin, seconds))


def test_sending_that_ends_at_closing_time_is_not_told_and_a_second_later_is() -> None:
    assert hours(TUESDAY, 9 * 3600) == ""
    assert "must stop at 20:00: about 0 %" in hours(TUESDAY, 9 * 3600 + 1)
    assert "about 50 % of the segments" in hours(TUESDAY, 18 * 3600)


@pytest.mark.parametrize(
    ("begin", "open_now"),
    [
        (TUESDAY.replace(hour=8), True),
        (TUESDAY.replace(hour=7, minute=59), False),
        (TUESDAY.replace(hour=19, minute=59), True),
        (TUESDAY.replace(hour=20), False),
        (TUESDAY + timedelta(days=4), True),  # Saturday
        (TUESDAY + timedelta(days=5), False),
    ],
)
def test_outside_the_hours_of_its_class_a_job_is_told(begin: datetime, open_now: bool) -> None:
    told = hours(begin, 1)
    assert (told == "") == open_now
    assert open_now or "on mon, tue, wed, thu, fri, sat from 08:00 to 20:00" in told


def test_a_class_without_hours_is_never_told() -> None:
    assert hours(TUESDAY.replace(hour=3), 10**6, ClassRules()) == ""


def test_days_without_hours_end_at_midnight() -> None:
    rules = ClassRules(days=("tue",))
    assert hours(TUESDAY, 13 * 3600, rules) == ""
    assert "must stop at 00:00" in hours(TUESDAY, 13 * 3600 + 60, rules)
    assert "messages are sent on tue, and now" in hours(TUESDAY + timedelta(days=1), 1, rules)
