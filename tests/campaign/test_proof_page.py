"""The page of a proof: what stands on it, in both languages, and what can never stand on it."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smppgw.campaign.proof import Chain, Facts, mask
from smppgw.campaign.proof_page import page_chunks
from smppgw.campaign.proof_words import ENGLISH, FRENCH, LANGUAGES, Language
from smppgw.ledger.audit import ACTIONS, Entry, Head
from smppgw.ledger.evidence import Sent
from smppgw.ledger.turn import MESSAGE_STATES
from tests.campaign.proofs import HEAD, START, facts, sent

BOTH = pytest.mark.parametrize("language", LANGUAGES.values(), ids=LANGUAGES)
DRILL = {"exercise": True}


class Read(HTMLParser):
    """What a browser sees: tags, and the text outside of the style sheet."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._style = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._style = tag == "style"
        self.text += "" if tag in ("b", "i", "strong", "code", "small") else "\n"

    def handle_endtag(self, tag: str) -> None:
        self._style = False

    def handle_data(self, data: str) -> None:
        self.text += "" if self._style else data.replace("\u202f", " ").replace("\u00a0", " ")


def page_of(made: Facts, messages: list[Sent], language: Language = FRENCH) -> str:
    return "".join(page_chunks(made, messages, mask, language))


def read(messages: list[Sent], language: Language = FRENCH, **changed: Any) -> str:
    return Read(page_of(facts(messages, **changed), messages, language)).text


def lot() -> list[Sent]:
    """Return a message in each state."""
    never = {"submitted_at": None, "accepted_at": None, "done_at": None}
    times: dict[str, dict[str, Any]] = {
        "queued": never,
        "submitting": {"accepted_at": None, "done_at": None},
        "accepted": {"done_at": None},
        "undelivered": {"error": "UNDELIV err:003"},
        "rejected": {"accepted_at": None, "error": "ESME_RINVDSTADR"},
        "expired": never,
        "cancelled": never,
        "suppressed": {**never, "error": "opted out"},
        "unknown": {"accepted_at": None, "done_at": None, "error": "no answer"},
    }
    return [
        sent(number, state, **times.get(state, {})) for number, state in enumerate(MESSAGE_STATES)
    ]


@BOTH
def test_both_languages_have_all_the_words(language: Language) -> None:
    assert language.words.keys() == FRENCH.words.keys()
    assert language.states.keys() == set(MESSAGE_STATES)
    assert language.actions.keys() == FRENCH.actions.keys()
    assert language.details.keys() == FRENCH.details.keys()
    assert language.actions.keys() <= set(ACTIONS)
    for name, words in language.words.items():
        assert places(words) == places(FRENCH.words[name]), name


def places(words: str) -> list[str]:
    return sorted(re.findall(r"(?<!\{)\{\w+\}", words))


@BOTH
def test_a_page_says_every_state_that_there_is_and_what_it_means(language: Language) -> None:
    text = read(lot(), language)
    for title, meaning in language.states.values():
        assert title in text
        assert meaning in text


def test_a_page_says_in_one_sentence_who_was_warned_when_and_how_soon() -> None:
    messages = [sent(number, done_at=START + 100 * number) for number in range(1200)]
    messages.append(sent(1200, "undelivered"))
    text = read(messages)
    assert (
        "Le 25/11/2026 02:33:05, garde a ordonné l’envoi d’une alerte pour saint-martin, à 1 201 "
        "destinataires. 1 200 messages avaient été remis (99,9 %) à l’heure de ce document ; "
        "95 % d’entre eux l’étaient en 1 min 54 s."
    ) in " ".join(text.split())


@pytest.mark.parametrize(
    ("delivered", "failed", "said"),
    [(0, 1, "Aucun message n’avait été remis à"), (1, 0, "1 message avait été remis (100,0 %) à")],
)
def test_the_sentence_is_right_also_of_one_and_of_none(
    delivered: int, failed: int, said: str
) -> None:
    text = read([sent()] * delivered + [sent(1, "rejected")] * failed)
    assert f"à 1 destinataire. {said}" in " ".join(text.split())


def test_a_share_is_never_all_where_one_is_missing_nor_nothing_where_one_is_there() -> None:
    text = read([sent(number) for number in range(4999)] + [sent(4999, "undelivered")])
    assert "4 999 99,9 %\nremis au téléphone" in text
    assert "\n1 0,1 %\n" in text


@BOTH
def test_a_drill_says_so_everywhere(language: Language) -> None:
    word = {"fr": "EXERCICE", "en": "DRILL"}[language.code]
    page = page_of(facts([sent()], job=DRILL), [sent()], language)
    assert page.count(word) == 4  # the title, the foot of each sheet, the stamp, the band
    assert f"<strong>{word}</strong>" in page
    assert word not in page_of(facts([sent()]), [sent()], language)


@BOTH
def test_what_can_still_change_makes_a_page_provisional(language: Language) -> None:
    word = {"fr": "État provisoire.", "en": "Not final."}[language.code]
    assert word in read(lot(), language)
    assert word not in read([sent()], language)


def test_a_text_stands_as_ordered_and_as_sent_where_they_differ() -> None:
    text = read([sent()])
    assert "Crue : montez à l’étage." in text
    assert "Crue : montez à l'étage." in text
    assert "GSM 03.38, 1 SMS par destinataire" in text
    same = read([sent()], ordered={"text": "Crue"})
    assert same.count("\nCrue") == 2  # the text, and the label
    assert "Tel qu’ordonné et envoyé" in same


def test_a_personal_text_and_one_that_is_gone_are_told_as_such() -> None:
    text = read([sent()], ordered={"text": "Bonjour {prenom}"})
    assert "Bonjour {prenom}" in text
    assert "chaque {colonne} a été remplacée" in text
    gone = read([sent()], ordered={"text": None, "text_purged_at": START})
    assert "Le texte a été effacé le 25/11/2026 02:33:05" in gone


def test_the_audit_is_told_to_be_intact_or_broken() -> None:
    assert "intact : 4 entrées" in read([sent()])
    assert HEAD in read([sent()])
    broken = Chain(Head(3, 4, HEAD), ["Entry 2 is missing."])
    assert "ROMPU : Entry 2 is missing." in read([sent()], chain=broken)


def test_who_did_what_is_told_in_words() -> None:
    actions = [
        Entry(3, START, "garde", "job.submitted", 12, {"messages": 4890, "tenant": "x"}, ""),
        Entry(4, START, "", "job.retried", 12, {"messages": 1, "states": ["unknown"]}, ""),
        Entry(5, START, "maire", "proof.written", 12, {"sha256": "ab" * 32}, ""),
        Entry(6, START, "maire", "purge.done", 12, "no JSON", ""),
    ]
    text = read([sent()], actions=actions)
    assert "Envoi ordonné\n4 890 messages\n" in text
    assert "une personne non enregistrée\nNouvel essai demandé\n1 message, état : Inconnu" in text
    assert f"SHA-256 {'ab' * 32}" in text
    assert "purge.done\nno JSON" in text
    assert "ne dit rien de cet envoi" in read([sent()], actions=[])


def test_a_message_has_a_row_with_its_times_and_another_day_is_told() -> None:
    messages = [
        sent(1),
        sent(2, "unknown", done_at=START + 86_400_000, accepted_at=None, error="no answer"),
        sent(3, smsc_message_ids=("a1", "b2"), segments=2),
    ]
    text = read(messages)
    assert "\n1\n+336****0001\nRemis\n02:33:06\n02:33:07\n02:33:10\n1\n7e0001\n\n" in text
    assert (
        "\n2\n+336****0002\nInconnu\n02:33:06\n–\n26/11 02:33:05\n1\n7e0002\nsans réponse" in text
    )
    assert "\n2\na1, b2\n" in text
    assert "du 25/11/2026 sauf mention contraire" in text


@pytest.mark.parametrize("numbers", ["masked", "hashed", "clear"])
def test_a_page_says_in_which_form_its_numbers_are(numbers: str) -> None:
    assert FRENCH.words[f"numbers_{numbers}"] in read([sent()], numbers=numbers)


def test_numbers_that_retention_took_are_said_to_be_gone() -> None:
    text = read([sent(number="#" + "ab" * 32)], ordered={"numbers_purged_at": START})
    assert "remplacés par leur empreinte à clé le 25/11/2026 02:33:05" in text


@BOTH
@pytest.mark.parametrize("messages", [[], [sent()], lot()], ids=["none", "one", "each state"])
def test_a_page_nests_its_tags_and_loads_and_runs_nothing(
    language: Language, messages: list[Sent]
) -> None:
    page = page_of(facts(messages, job=DRILL), messages, language)
    seen = Read(page)
    assert {tag for tag, _ in seen.tags}.isdisjoint(
        {"script", "link", "img", "iframe", "object", "embed", "form", "base", "a"}
    )
    for _, attributes in seen.tags:
        assert not any(name.startswith("on") or name in ("src", "href") for name in attributes)
    assert "url(" not in page
    assert "@import" not in page
    assert "default-src 'none'" in page
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
    # All but the list, whose rows leave out their end tags, is well-formed as XML too.
    body = page[page.index("<body>") : page.index('<section class="list">')] + "</body>"
    ElementTree.fromstring(body)


HOSTILE = '<script>alert("x")</script>&\'"></td></table><b>'


def test_what_people_and_operators_wrote_is_text_and_never_markup() -> None:
    written = {
        "tenant": HOSTILE, "sender": HOSTILE, "label": HOSTILE, "ordered_by": HOSTILE,
        "purpose": HOSTILE,
    }  # fmt: skip
    message = sent(number=f"#{HOSTILE}", smsc_message_ids=(HOSTILE,), error=HOSTILE)
    bad = message._replace(state="undelivered")
    actions = [
        Entry(3, START, HOSTILE, HOSTILE, 12, {"sha256": HOSTILE, "states": [HOSTILE]}, HOSTILE),
        Entry(4, START, HOSTILE, HOSTILE, 12, HOSTILE, HOSTILE),
    ]
    made = facts(
        [message, bad],
        job=written,
        ordered={"text": f"{HOSTILE} ’", "content": HOSTILE},
        actions=actions,
        chain=Chain(Head(1, 1, HOSTILE), [HOSTILE]),
        written_by=HOSTILE,
        version=HOSTILE,
    )
    page = "".join(page_chunks(made, [message, bad], str, FRENCH))
    clean = "".join(page_chunks(facts([sent(), sent(1, "undelivered")]), [], str, FRENCH))
    assert "<script" not in page
    tags = {tag for tag, _ in Read(page).tags}
    assert tags <= {tag for tag, _ in Read(clean).tags} | {"code", "strong"}
    assert Read(page).text.count(HOSTILE) == 30


@settings(max_examples=60)
@given(
    delays=st.lists(st.integers(0, 10**8), min_size=1, max_size=40),
    late=st.integers(0, 10**9),
)
def test_the_chart_stays_within_its_frame_whatever_the_delays(delays: list[int], late: int) -> None:
    messages = [
        sent(at, accepted_at=START + delay, done_at=START + delay + late)
        for at, delay in enumerate(delays)
    ]
    svg = chart(page_of(facts(messages), messages))
    ticks = [node for node in svg if node.get("text-anchor") == "middle"]
    assert 2 <= len(ticks) - 1 <= 9  # beside the words below them
    for x, y in points(svg):
        assert 52 <= x <= 656
        assert 30 <= y <= 230
    for line in ("accepted", "delivered"):
        drawn = next(node.get("d") for node in svg if node.get("class") == line)
        heights = [float(pair.split()[1]) for pair in str(drawn)[1:].split("L")]
        assert heights == sorted(heights, reverse=True)  # what has come stays


def chart(page: str) -> ElementTree.Element:
    return ElementTree.fromstring(page[page.index("<svg") : page.index("</svg>") + 6])


def points(svg: ElementTree.Element) -> Iterator[tuple[float, float]]:
    for node in svg:
        if node.get("class") in ("accepted", "delivered") and "L" in str(node.get("d")):
            for pair in str(node.get("d"))[1:].split("L"):
                x, y = pair.split()
                yield float(x), float(y)


def test_stragglers_do_not_flatten_the_chart_and_are_counted_beside_it() -> None:
    messages = [sent(number, done_at=START + 100 * number) for number in range(1000)]
    messages[0] = sent(0, done_at=START + 6 * 3_600_000)
    text = read(messages)
    assert "Hors du graphique : 1 message plus tard, le dernier après 6 h 00 min." in text
    assert "3 min" not in text


@pytest.mark.parametrize(
    ("last_s", "ticks"),
    [
        (0.35, ["0,0 s", "0,1 s", "0,2 s", "0,3 s", "0,4 s"]),
        (50, ["0 s", "10 s", "20 s", "30 s", "40 s", "50 s"]),
        (290, ["0 min", "1 min", "2 min", "3 min", "4 min", "5 min"]),
        (13_000, ["0 min", "30 min", "60 min", "90 min"]),
        (86_400 * 3, ["0 h", "12 h", "24 h", "36 h"]),
    ],
)
def test_the_axis_of_time_has_round_ticks(last_s: float, ticks: list[str]) -> None:
    messages = [sent(accepted_at=START, done_at=START + int(last_s * 1000))]
    svg = chart(page_of(facts(messages), messages))
    told = [str(node.text) for node in svg if node.get("text-anchor") == "middle"]
    assert [tick.replace("\u00a0", " ") for tick in told][: len(ticks)] == ticks


def test_a_page_is_written_as_its_messages_are_read() -> None:
    count = 0

    def reading() -> Iterator[Sent]:
        nonlocal count
        for count in range(10_000):
            yield sent(count)

    chunks = page_chunks(facts([sent()]), reading(), mask, ENGLISH)
    assert not any("<tr><td>1<td>" in next(chunks) for _ in range(3))
    assert count == 0
    assert "<tr><td>1<td>" in next(chunks)
    assert 0 < count < 1000
