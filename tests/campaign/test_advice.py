"""What a text and the hour should make somebody think twice about."""

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from smppgw.campaign.advice import on_hours, on_length, on_text
from smppgw.campaign.hours import Calendar
from smppgw.config import Config

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


def told(
    begin: datetime,
    seconds: float,
    *,
    job_class: str = "promotional",
    prefixes: tuple[str, ...] = ("",),
    accounts: tuple[tuple[str, ...], ...] = ((),),
    taken: bool = True,
    profile: dict[str, dict[str, Any]] | None = None,
    **rules: Any,
) -> list[str]:
    """Say what is told of a job, to accounts that keep to these profiles."""
    config = Config.model_validate(
        {
            "smsc": [
                {
                    "name": f"account-{number}",
                    "host": "127.0.0.1",
                    "system_id": "x",
                    "password": "x",
                    "profiles": {"promotional": names},
                }
                for number, names in enumerate(accounts)
            ],
            "tenant": [{"name": "mairie", "sender": "MAIRIE"}],
            "class": {"promotional": rules},
            "profile": profile or {},
        }
    )
    takers = dict.fromkeys(prefixes, config.smsc if taken else ())
    return list(on_hours(Calendar(config), job_class, begin, seconds, takers))


def test_sending_that_ends_at_closing_time_is_not_told_and_a_second_later_is() -> None:
    assert told(TUESDAY, 9 * 3600) == []
    assert told(TUESDAY, 9 * 3600 + 1) == [
        "Sending would not end before 20:00: it pauses then and goes on Wednesday at 08:00."
    ]


def test_a_pause_over_sunday_says_when_sending_goes_on() -> None:
    assert told(TUESDAY + timedelta(days=4), 10 * 3600) == [
        "Sending would not end before 20:00: it pauses then and goes on Monday at 08:00."
    ]


@pytest.mark.parametrize(
    ("begin", "first"),
    [
        (TUESDAY.replace(hour=8), None),
        (TUESDAY.replace(hour=7, minute=59), "Tuesday 24 November at 08:00"),
        (TUESDAY.replace(hour=19, minute=59), None),
        (TUESDAY.replace(hour=20), "Wednesday 25 November at 08:00"),
        (TUESDAY + timedelta(days=4), None),  # Saturday
        (TUESDAY + timedelta(days=5), "Monday 30 November at 08:00"),
        (datetime(2026, 12, 25, 11, tzinfo=PARIS), "Saturday 26 December at 08:00"),
    ],
)
def test_outside_the_hours_of_its_class_a_job_is_told_when_it_begins(
    begin: datetime, first: str | None
) -> None:
    assert told(begin, 1) == (
        []
        if first is None
        else [
            "Promotional messages leave from 08:00 to 20:00, Monday to Saturday, holidays "
            f"excepted: the first leaves on {first}."
        ]
    )


def test_a_job_that_waits_and_then_pauses_is_told_both() -> None:
    assert [one.split(":")[0] for one in told(TUESDAY.replace(hour=22), 13 * 3600)] == [
        "Promotional messages leave from 08",
        "Sending would not end before Wednesday at 20",
    ]
    assert told(TUESDAY.replace(hour=22), 13 * 3600)[1].endswith("goes on Thursday at 08:00.")


@pytest.mark.parametrize("job_class", ["alert", "service"])
def test_a_class_without_hours_is_never_told(job_class: str) -> None:
    assert told(TUESDAY.replace(hour=3), 10**6, job_class=job_class) == []


def test_days_without_hours_end_at_midnight_and_a_far_day_has_its_date() -> None:
    rules: dict[str, Any] = {"profiles": ["day"], "profile": {"day": {"days": ["tue"]}}}
    assert told(TUESDAY, 13 * 3600, **rules) == []
    assert told(TUESDAY, 13 * 3600 + 60, **rules) == [
        "Sending would not end before Wednesday at 00:00: "
        "it pauses then and goes on Tuesday 1 December at 00:00."
    ]
    assert told(TUESDAY + timedelta(days=1), 1, **rules) == [
        "Promotional messages leave on Tuesday: the first leaves on Tuesday 1 December at 00:00."
    ]


def test_days_in_a_row_without_hours_are_told_as_from_one_to_another() -> None:
    weekdays = {"day": {"days": ["mon", "tue", "wed", "thu", "fri"], "holidays": False}}
    assert told(TUESDAY + timedelta(days=4), 1, profiles=["day"], profile=weekdays) == [
        "Promotional messages leave Monday to Friday, holidays excepted: "
        "the first leaves on Monday 30 November at 00:00."
    ]


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "every day"),
        (["fri", "wed", "thu"], "Wednesday to Friday"),
        (["sat", "sun"], "Saturday and Sunday"),
        (["mon", "wed", "sat"], "Monday, Wednesday and Saturday"),
        (["sun"], "Sunday"),
    ],
)
def test_days_are_named_as_people_do(days: list[str], words: str) -> None:
    said = told(TUESDAY.replace(hour=23), 1, days=days, holidays=True)
    assert said[0].startswith(f"Promotional messages leave from 08:00 to 20:00, {words}: the ")


def test_overseas_is_told_by_its_own_clock_and_each_zone_once() -> None:
    at_four = TUESDAY.replace(hour=16, minute=30)  # 19:30 in Réunion, 11:30 in Martinique
    assert told(at_four, 3600, prefixes=("", "+33", "+262", "+2626", "+596")) == [
        "Sending to numbers under +262 would not end before 20:00, by their time: "
        "it pauses then and goes on Wednesday at 08:00."
    ]
    assert told(TUESDAY, 3600, prefixes=("+596",)) == [
        "Promotional messages to numbers under +596 leave from 08:00 to 20:00, Monday to Saturday, "
        "holidays excepted, by their time: the first leaves on Tuesday 24 November at 08:00."
    ]


LATE = {"hours": ["14:00", "22:00"]}
EARLY = {"hours": ["06:00", "12:00"]}
BOTH = {"late": LATE, "early": EARLY}


def test_a_job_leaves_by_whichever_account_is_open() -> None:
    assert told(TUESDAY, 3600, accounts=(("late",), ("early",)), profile=BOTH) == []
    assert told(TUESDAY, 3601, accounts=(("late",), ("early",)), profile=BOTH) == [
        "Sending would not end before 12:00: it pauses then and goes on Tuesday at 14:00."
    ]
    meets = {"late": {"hours": ["12:00", "22:00"]}, "early": EARLY}
    assert told(TUESDAY, 9 * 3600, accounts=(("late",), ("early",)), profile=meets) == []
    assert told(TUESDAY, 3600, accounts=(("late",),), profile=BOTH) == [
        "Promotional messages leave from 14:00 to 20:00, Monday to Saturday, holidays excepted: "
        "the first leaves on Tuesday 24 November at 14:00."
    ]


def test_accounts_that_take_turns_without_a_gap_are_never_told() -> None:
    halves = {
        "week": {"days": ["mon", "tue", "wed"]},
        "end": {"days": ["thu", "fri", "sat", "sun"]},
    }
    rules: dict[str, Any] = {"profiles": ["any"], "profile": {**halves, "any": {}}}
    assert told(TUESDAY, 10**7, accounts=(("week",), ("end",)), **rules) == []


def test_hours_that_leave_no_moment_open_are_told() -> None:
    said = told(TUESDAY, 1, profile=BOTH, accounts=(("late",),), hours=["08:00", "12:00"])
    assert said == [
        "Promotional messages would not leave within 400 days: "
        "the hours of the class and of the accounts leave no moment open."
    ]


def test_a_pause_without_an_end_is_told() -> None:
    shut = {"late": {**LATE, "from": date(2026, 11, 25)}}
    said = told(TUESDAY, 3601, profile=shut, accounts=(("late",),), hours=["08:00", "12:00"])
    assert said == [
        "Sending would not end before 12:00: it pauses then and does not go on within 400 days."
    ]


def test_of_a_prefix_that_no_account_takes_nothing_is_told() -> None:
    assert told(TUESDAY.replace(hour=23), 1, accounts=((),))
    assert told(TUESDAY.replace(hour=23), 1, taken=False) == []


def test_the_hour_that_the_clock_skips_does_not_count_as_time_to_send() -> None:
    begin = datetime(2026, 3, 29, 1, tzinfo=PARIS)
    rules: dict[str, Any] = {"hours": ["00:00", "04:00"], "days": ["sun"]}
    assert told(begin, 2 * 3600, **rules) == []
    assert told(begin, 2 * 3600 + 1, **rules)[0].startswith("Sending would not end before 04:00")
