"""What people write to be left alone, and what only sounds like it."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppgw.sms.stop import KEYWORDS, STOP, STOP_ALL, asked_to_stop

# Texts that ask for it, as phones send them.
STOPS = [
    "STOP",
    "Stop",
    "stop",
    "sToP",
    " STOP ",
    "\nSTOP\r\n",
    "\xa0STOP\u202f",
    "\ufeffSTOP",
    "STOP\x00",
    "STOP.",
    "STOP !",
    "stop!!!",
    "Stop ?",
    "STOP…",
    '"STOP"',
    "« STOP »",
    "“Stop”",
    "'stop'",
    "(stop)",
    "*STOP*",
    "-STOP-",
    "STOP 🙏",
    "🛑 STOP 🛑",
    "STOP👍🏽",
    "S.T.O.P.",
    "S T O P",
    "ＳＴＯＰ",
    "STOP STOP STOP",
    "stop stop",
    "STOPSMS",
    "Stop SMS",
    "STOP-SMS",
    "STOP_SMS",
    "StopPub",
    "STOP PUB",
    "stop pubs",
    "Stop la pub",
    "stop à la pub svp",
    "stop spam",
    "STOP MMS",
    "stop svp",
    "Stop SVP.",
    "stop stp",
    "stopsvp",
    "STOP s'il vous plaît",
    "stop s'il te plait",
    "stop s’il vous plait merci",
    "STOP merci",
    "stop, merci.",
    "STOP Merci beaucoup",
    "Stop please",
    "STOP 36111",
    "STOP36111",
    "STOP au 36111",
    "STOP SMS au 38222",
    "stop 36 111",
    "STOP 0600000001",
    "STOP 06 00 00 00 01",
    "STOP +33 6 00 00 00 01 merci",
    "Bonjour stop",
    "Bonjour, STOP merci",
    "Bonsoir\nStop\nCordialement",
    "svp stop",
    "Merci, stop",
    "STOP maintenant",
    "stop infos",
    "STOP ALERTE",
    "STOP MESSAGES",
    "Stop les messages",
    "Stop aux textos",
    "STOP newsletter",
    "Stop de m'envoyer des sms",
    "STOP je ne veux plus recevoir vos messages",
    "STOP. Je ne souhaite plus recevoir de SMS, merci.",
    "stop je ne suis pas intéressé",
    "STOP merci de ne plus m'envoyer de sms",
    "STOP je n'habite plus la commune",
    "stop j'ai déménagé",
    "Stop mauvais numéro",
    "STOP ce n'est pas le bon numéro",
    "STOP\n\nEnvoyé de mon téléphone",
    "Stop\n> Fête de l'été samedi 12 juillet à partir de 18 h, place de l'église, venez nombreux",
    # Short, and whose texts they are is said: a name that no list here can hold.
    "STOP Saint-Martin",
    "STOP mairie de Saint-Martin",
    "stop fêtes",
    "Stop cinéma",
    "ARRET",
    "Arrêt",
    "arrêt",
    "ARRÊT",
    "arre\u0302t",
    "ARR?T",
    "arr?t svp",
    "Arret SMS",
    "ARRETSMS",
    "arrêt des sms svp",
    "Arrêt 36111",
    "arrête",
    "Arrêtez",
    "ARR?TEZ",
    "Arrêtez svp",
    "arretez vos messages",
    "Arrêtez de m'envoyer des SMS",
    "arrêtez les sms de la mairie svp",
    "Arrêtez tout de suite",
    "arrêter",
    "Merci d'arrêter",
    "merci d'arrêter les sms",
    "Bonjour, veuillez arrêter de m'envoyer des messages svp",
    "Je veux arrêter les sms",
    "pouvez-vous stopper les sms ?",
    "stoppez les messages",
    "stope",
    "STOPP",
    "sotp",
    "ST0P",
    "désabonnement",
    "Desabonnement",
    "DÉSABONNEMENT",
    "désabonnement sms",
    "Désabonner",
    "desabonnez moi",
    "Désabonnez-moi svp",
    "me désabonner",
    "Je souhaite me désabonner",
    "Bonjour je voudrais me désabonner merci",
    "merci de me désabonner de votre liste",
    "Comment se désabonner ?",
    "demande de désabonnement",
    "désinscription",
    "Désinscription SVP",
    "désinscrire",
    "Veuillez me désinscrire",
    "je me désinscris",
    "désinscription de la liste sms",
    "Unsubscribe",
    "STOP tout de suite",
    "STOP tout de suite svp !",
    "stop toutes ces pubs",
]

ALL = [
    "STOP TOUT",
    "stop tout",
    "Stop tout !",
    "STOP TOUT svp",
    "stop tout merci",
    "STOPTOUT",
    "StopTout",
    "STOP ALL",
    "STOPALL",
    "stop all please",
    "STOP A TOUT",
    "stop à tout",
    "STOP À TOUT !",
    "STOP POUR TOUT",
    "Stop tous",
    "STOP TOUS LES SMS",
    "stop à tous vos messages",
    "STOP toutes les listes",
    "STOP SMS TOUT",
    "arrêtez tout",
    "Arrêtez tout svp",
    "arrete tout",
    "arrêter tout",
    "arrêt total",
    "ARRET TOUT",
    "ARR?T TOUT",
    "Bonjour, STOP TOUT 36111",
    "désabonnement total",
    "désabonnez-moi de tout",
    "désinscription de toutes les listes",
    "unsubscribe all",
    "🛑STOP TOUT🛑",
]

# Texts that have the word in them, or one like it, and ask for nothing of the kind.
OTHERS = [
    "",
    " ",
    "\n",
    "?",
    "👍",
    "Ok",
    "Oui",
    "Non",
    "Merci",
    "Bonjour",
    "merci de",
    "36111",
    "0600000001",
    "Je m'arrête au stop de la place",
    "pouvez-vous stopper le bus ?",
    "Pouvez-vous stopper le bus devant l'école ?",
    "non-stop",
    "Musique non-stop ce soir ?",
    "Journée non stop",
    "Le bus ne marque plus le stop",
    "J'ai grillé un stop",
    "Il y a un stop au bout de la rue",
    "Il s'arrête",
    "Il s'arrête où ?",
    "Le bus s'arrête devant la mairie ?",
    "Je m'arrête à la mairie demain",
    "j'arrête",
    "On arrête quand ?",
    "Je stop au feu",
    "N'arrêtez pas",
    "n'arrêtez pas les sms",
    "Arrêtez pas les sms",
    "Stop pas les messages svp",
    "ne stoppez pas mes alertes",
    "Ne pas me désabonner",
    "je ne veux pas me désinscrire",
    "Arrêt de bus déplacé ?",
    "Arrêt Gare supprimé demain ?",
    "Arrêt maladie",
    "arrêt du car scolaire",
    "Arrêt de la mairie",
    "L'arrêt de bus est où ?",
    "Arrêté municipal du 12 mai ?",
    "Arrêtez le bus devant l'école",
    "Arrêtez la musique svp",
    "Stop ! Il y a un accident devant la mairie",
    "Stop il y a un accident",
    "Stop à la vitesse dans ma rue, c'est dangereux",
    "Stop au bus ?",
    "Stop ou encore ?",
    "Stop covid c'est à quelle heure à la salle des fêtes ?",
    "Un autocollant STOP PUB svp",
    "Bonjour, où trouver un autocollant stop pub ?",
    "Comment avoir un autocollant stop pub",
    "Où est le stop",
    "autostop",
    "Stopover",
    "stoppeur",
    "Top",
    "Stock",
    "Désinscription cantine",
    "désinscription de la cantine lundi",
    "Je souhaite désinscrire ma fille de la cantine",
    "Désabonnement piscine",
    "Pourquoi ce stop ?",
    "Vous dites STOP 36111 mais ça coûte combien ?",
    "Répondez STOP pour ne plus recevoir de messages",
    "Fête de l'été samedi. STOP au 36111",
    "Je n'ai pas eu le message d'hier",
    "annuler",
    "annulez mon rendez-vous svp",
    "Résiliation",
    "fin",
    "quitter",
    "Tout",
    "stop " + "bla " * 200,
]


@pytest.mark.parametrize("text", STOPS)
def test_a_text_that_asks_for_it_is_a_stop(text: str) -> None:
    assert asked_to_stop(text) == STOP


@pytest.mark.parametrize("text", ALL)
def test_everything_is_stopped_where_it_says_so(text: str) -> None:
    assert asked_to_stop(text) == STOP_ALL


@pytest.mark.parametrize("text", OTHERS)
def test_a_text_that_only_holds_the_word_asks_for_nothing(text: str) -> None:
    assert asked_to_stop(text) is None


def test_every_keyword_alone_asks_for_it_and_is_given_once_with_a_reason() -> None:
    words = [word for keyword in KEYWORDS for word in keyword.words.split()]
    assert {asked_to_stop(word) for word in words} == {STOP}
    assert len(words) == len(set(words))
    assert all(keyword.reason for keyword in KEYWORDS)


cases = st.sampled_from([(text, STOP) for text in STOPS] + [(text, STOP_ALL) for text in ALL])
around = st.text(st.sampled_from(" \t\xa0\u202f\u200b.,!;:\"'«»()*-–…🙏🛑😡👍\ufe0f"), max_size=8)


@given(cases, around, around)
def test_blanks_punctuation_and_emoji_around_it_change_nothing(
    case: tuple[str, str], before: str, after: str
) -> None:
    text, asked = case
    assert asked_to_stop(f"{before} {text} {after}") == asked


@given(cases, st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]), st.booleans())
def test_case_and_the_way_of_writing_an_accent_change_nothing(
    case: tuple[str, str], form: str, capitals: bool
) -> None:
    text, asked = case
    written = unicodedata.normalize(form, text.upper() if capitals else text.lower())  # type: ignore[arg-type]  # of the four
    assert asked_to_stop(written) == asked


@given(cases)
def test_accents_left_out_change_nothing(case: tuple[str, str]) -> None:
    text, asked = case
    bare = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
    assert asked_to_stop(bare) == asked


@given(
    st.sampled_from(["demain", "le bus", "voiture", "samedi", "rue", "ecole", "quand"]),
    st.sampled_from(["stop", "STOP", "arrêt", "désabonnement", "arrêtez tout"]),
    st.sampled_from(["", " svp", " la rue", " sms"]),
)
def test_a_text_that_does_not_begin_with_it_asks_for_nothing(
    first: str, keyword: str, last: str
) -> None:
    assert asked_to_stop(f"{first} {keyword}{last}") is None


@given(st.text())
def test_whatever_is_written_gets_an_answer(text: str) -> None:
    assert asked_to_stop(text) in (None, STOP, STOP_ALL)


@given(st.lists(st.sampled_from([*"stopalre\u0301 \n?!1", "tout", "sms", "svp"]), max_size=40))
def test_nothing_is_asked_for_without_a_keyword(parts: list[str]) -> None:
    text = "".join(parts)
    letters = "".join(filter(str.isalnum, unicodedata.normalize("NFKD", text).casefold()))
    if asked_to_stop(text) is not None:
        assert any(
            word in letters or "arrt" in letters for key in KEYWORDS for word in key.words.split()
        )
