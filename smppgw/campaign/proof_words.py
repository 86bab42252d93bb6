"""The words of a proof's page, in the languages it can be written in: tables and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Language:
    """One language: how it writes numbers, and what everything is called.

    Attributes:
        code: As HTML has it.
        decimal: Between a number's whole and its parts.
        thousands: Between each three digits.
        percent: Behind a share.
        date: A day, for strftime.
        short_date: A day without its year.
        words: Sentences and titles, by name; some have {places} to fill.
        states: What a state of a message is called, and what it means.
        actions: What an action of the audit is called.
        details: How a detail of the audit is told; those not named are not shown.
        reasons: What our own words for a failure are; the operator's stand as they are.
    """

    code: str
    decimal: str
    thousands: str
    percent: str
    date: str
    short_date: str
    words: Mapping[str, str]
    states: Mapping[str, tuple[str, str]]
    actions: Mapping[str, str]
    details: Mapping[str, str]
    reasons: Mapping[str, str]


FRENCH = Language(
    code="fr",
    decimal=",",
    thousands="\u202f",
    percent="\u00a0%",
    date="%d/%m/%Y",
    short_date="%d/%m",
    words={
        "title": "Preuve d’envoi",
        "job": "Envoi n° {job}",
        "written": "Établie le {at}<br/>par {by}",
        "somebody": "une personne non enregistrée",
        "exercise": "EXERCICE",
        "exercise_note": "Cet envoi était un exercice. Aucun danger n’était annoncé.",
        "open": "<strong>État provisoire.</strong> L’envoi n’est pas terminé : {moving} "
        "peuvent encore changer d’état. Établissez une nouvelle preuve quand il le sera.",
        "lead": "Le {at}, {by} a ordonné {what} pour <strong>{tenant}</strong>, à {people}. "
        "<strong>{delivered}</strong>{share} à l’heure de ce document{soon}.",
        "alert": "l’envoi d’une <strong>alerte</strong>",
        "alert_drill": "l’envoi d’une <strong>alerte d’exercice</strong>",
        "service": "l’envoi d’un message de service",
        "promotional": "l’envoi d’un message d’information",
        "person": "{n} destinataire",
        "people": "{n} destinataires",
        "message": "{n} message",
        "messages": "{n} messages",
        "none_delivered": "Aucun message n’avait été remis",
        "one_delivered": "1 message avait été remis",
        "delivered": "{n} messages avaient été remis",
        "soon": " ; 95\u00a0% d’entre eux l’étaient en {time}",
        "figure_total": "destinataires",
        "figure_accepted": "pris en charge par l’opérateur",
        "figure_delivered": "remis au téléphone",
        "figure_failed": "non remis, refusés, périmés ou inconnus",
        "order": "L’ordre",
        "ordered_by": "Ordonné par",
        "tenant": "Pour le compte de",
        "class": "Nature",
        "class_alert": "Alerte",
        "class_service": "Message de service",
        "class_promotional": "Message d’information ou de promotion",
        "purpose": "Objet",
        "label": "Libellé",
        "sender": "Expéditeur affiché",
        "created_at": "Enregistré le",
        "starts_at": "Départ prévu le",
        "first_submit": "Premier message parti",
        "last_submit": "Dernier message parti",
        "expires_at": "Valable jusqu’au",
        "never": "pas encore",
        "text": "Le texte",
        "as_ordered": "Tel qu’ordonné",
        "as_sent": "Tel qu’envoyé",
        "as_ordered_and_sent": "Tel qu’ordonné et envoyé",
        "segments_one": "{encoding}, 1 SMS par destinataire",
        "segments": "{encoding}, {n} SMS par destinataire",
        "personal": "Texte personnel : chaque {{colonne}} a été remplacée par la valeur du "
        "destinataire. {segments} SMS en tout.",
        "text_purged": "Le texte a été effacé le {at}, au terme de sa durée de conservation.",
        "outcome": "Le résultat",
        "state": "État",
        "meaning": "Ce que cela veut dire",
        "count": "Messages",
        "share": "Part",
        "total": "Total",
        "delivered_note": "« Remis » est ce que dit l’accusé de réception de l’opérateur. Il ne "
        "dit pas que la personne a lu le message.",
        "delays": "Les délais",
        "since": "comptés depuis le {at}",
        "point": "Moment",
        "of_messages": "Messages",
        "within": "{share}\u00a0% en",
        "all_within": "Tous en",
        "curve": "Les messages au fil du temps",
        "curve_accepted": "pris en charge par l’opérateur",
        "curve_delivered": "remis au téléphone",
        "curve_mark": "95\u00a0% des remis : {time}",
        "curve_beyond": "Hors du graphique : {n} plus tard, le dernier après {time}.",
        "curve_axis": "temps écoulé depuis le départ",
        "errors": "Les causes d’échec",
        "error": "Cause",
        "did": "Qui a fait quoi",
        "did_note": "extrait du journal d’audit",
        "entry": "N°",
        "at": "Date et heure",
        "actor": "Qui",
        "action": "Action",
        "details": "Précisions",
        "no_entry": "Le journal d’audit ne dit rien de cet envoi.",
        "check": "Vérifier ce document",
        "audit_sound": "Journal d’audit",
        "sound": "intact : {n}, vérifiées une à une",
        "broken": "ROMPU : {problem}",
        "entry_count_one": "{n} entrée",
        "entry_count": "{n} entrées",
        "audit_head": "Dernière empreinte",
        "content": "Empreinte de l’ordre",
        "software": "Logiciel",
        "check_note": "L’empreinte SHA-256 de ce fichier est inscrite au journal d’audit, à la "
        "suite de l’entrée ci-dessus. Pour comparer : <code>sha256sum</code> sur le fichier, et "
        "<code>smppgw audit list --job {job}</code>. Un fichier modifié n’a plus cette empreinte.",
        "sign_date": "Fait à, le",
        "sign_name": "Nom, qualité et signature",
        "list": "Liste des messages",
        "list_note": "Heures de {zone}, du {day} sauf mention contraire.",
        "numbers_masked": "Les numéros sont masqués.",
        "numbers_hashed": "Les numéros sont remplacés par leur empreinte à clé.",
        "numbers_clear": "Les numéros sont en clair : ce document contient des données "
        "personnelles.",
        "numbers_purged": "Les numéros ont été remplacés par leur empreinte à clé le {at}, au "
        "terme de leur durée de conservation.",
        "number": "Numéro",
        "submitted": "Parti",
        "accepted": "Pris en charge",
        "done": "Issue connue",
        "parts": "SMS",
        "ids": "Références de l’opérateur",
        "why": "Cause",
        "page": "Preuve d’envoi n° {job}",
    },
    states={
        "queued": ("En attente", "n’est pas encore parti"),
        "submitting": ("En cours d’envoi", "parti ; l’opérateur n’a pas encore répondu"),
        "accepted": (
            "Pris en charge",
            "l’opérateur l’a pris ; aucun accusé de réception à ce jour",
        ),
        "delivered": ("Remis", "remis au téléphone"),
        "undelivered": ("Non remis", "l’opérateur n’a pas pu le remettre"),
        "rejected": ("Refusé", "l’opérateur l’a refusé"),
        "expired": ("Périmé", "n’a pas pu partir pendant sa durée de validité"),
        "cancelled": ("Annulé", "annulé avant d’être parti"),
        "suppressed": ("Écarté", "retenu avant de partir, par exemple pour une opposition"),
        "unknown": ("Inconnu", "parti, mais sans réponse de l’opérateur : peut-être arrivé"),
    },
    actions={
        "job.submitted": "Envoi ordonné",
        "job.paused": "Envoi mis en pause",
        "job.resumed": "Envoi repris",
        "job.cancelled": "Envoi annulé",
        "job.retried": "Nouvel essai demandé",
        "proof.written": "Preuve établie",
    },
    details={
        "messages": "{}",
        "segments": "{} SMS",
        "queued": "{} en attente",
        "states": "état : {}",
        "format": "format {}",
        "sha256": "SHA-256 {}",
    },
    reasons={
        "no answer": "sans réponse",
        "opted out": "opposition du destinataire",
        "erased": "effacé à la demande de la personne",
    },
)

ENGLISH = Language(
    code="en",
    decimal=".",
    thousands=",",
    percent="%",
    date="%Y-%m-%d",
    short_date="%m-%d",
    words={
        "title": "Proof of sending",
        "job": "Job {job}",
        "written": "Written on {at}<br/>by {by}",
        "somebody": "somebody not recorded",
        "exercise": "DRILL",
        "exercise_note": "This was a drill. No danger was announced.",
        "open": "<strong>Not final.</strong> The job has not ended: {moving} may still change "
        "state. Write another proof when it has.",
        "lead": "On {at}, {by} ordered {what} for <strong>{tenant}</strong>, to {people}. "
        "<strong>{delivered}</strong>{share} by the time of this document{soon}.",
        "alert": "an <strong>alert</strong>",
        "alert_drill": "an <strong>alert as a drill</strong>",
        "service": "a service message",
        "promotional": "a promotional message",
        "person": "{n} recipient",
        "people": "{n} recipients",
        "message": "{n} message",
        "messages": "{n} messages",
        "none_delivered": "No message had been delivered",
        "one_delivered": "1 message had been delivered",
        "delivered": "{n} messages had been delivered",
        "soon": "; 95% of them were within {time}",
        "figure_total": "recipients",
        "figure_accepted": "accepted by the operator",
        "figure_delivered": "delivered to the phone",
        "figure_failed": "undelivered, rejected, expired or unknown",
        "order": "The order",
        "ordered_by": "Ordered by",
        "tenant": "On behalf of",
        "class": "Kind",
        "class_alert": "Alert",
        "class_service": "Service message",
        "class_promotional": "Promotional message",
        "purpose": "Purpose",
        "label": "Label",
        "sender": "Sender shown",
        "created_at": "Recorded",
        "starts_at": "To leave from",
        "first_submit": "First message left",
        "last_submit": "Last message left",
        "expires_at": "Valid until",
        "never": "not yet",
        "text": "The text",
        "as_ordered": "As ordered",
        "as_sent": "As sent",
        "as_ordered_and_sent": "As ordered and sent",
        "segments_one": "{encoding}, 1 SMS a recipient",
        "segments": "{encoding}, {n} SMS a recipient",
        "personal": "A personal text: each {{column}} was replaced by the recipient's value. "
        "{segments} SMS in all.",
        "text_purged": "The text was erased on {at}, when it had been kept for its time.",
        "outcome": "The outcome",
        "state": "State",
        "meaning": "What it means",
        "count": "Messages",
        "share": "Share",
        "total": "Total",
        "delivered_note": "“Delivered” is what the operator's receipt says. It does not say that "
        "the person has read the message.",
        "delays": "The delays",
        "since": "counted from {at}",
        "point": "Point",
        "of_messages": "Messages",
        "within": "{share}% within",
        "all_within": "All within",
        "curve": "The messages over time",
        "curve_accepted": "accepted by the operator",
        "curve_delivered": "delivered to the phone",
        "curve_mark": "95% of those delivered: {time}",
        "curve_beyond": "Outside the chart: {n} later, the last after {time}.",
        "curve_axis": "time since the start",
        "errors": "The reasons for failures",
        "error": "Reason",
        "did": "Who did what",
        "did_note": "from the audit trail",
        "entry": "No.",
        "at": "Date and time",
        "actor": "Who",
        "action": "Action",
        "details": "Details",
        "no_entry": "The audit trail says nothing of this job.",
        "check": "Checking this document",
        "audit_sound": "Audit trail",
        "sound": "intact: {n}, checked one by one",
        "broken": "BROKEN: {problem}",
        "entry_count_one": "{n} entry",
        "entry_count": "{n} entries",
        "audit_head": "Last hash",
        "content": "Hash of the order",
        "software": "Software",
        "check_note": "The SHA-256 of this file is written to the audit trail behind the entry "
        "above. To compare: <code>sha256sum</code> of the file, and "
        "<code>smppgw audit list --job {job}</code>. A file that was changed has another.",
        "sign_date": "Place and date",
        "sign_name": "Name, office and signature",
        "list": "List of messages",
        "list_note": "Times of {zone}, of {day} unless said otherwise.",
        "numbers_masked": "The numbers are masked.",
        "numbers_hashed": "The numbers are replaced by their keyed hashes.",
        "numbers_clear": "The numbers are in clear: this document holds personal data.",
        "numbers_purged": "The numbers were replaced by their keyed hashes on {at}, when they had "
        "been kept for their time.",
        "number": "Number",
        "submitted": "Left",
        "accepted": "Accepted",
        "done": "Outcome known",
        "parts": "SMS",
        "ids": "Operator's references",
        "why": "Reason",
        "page": "Proof of sending, job {job}",
    },
    states={
        "queued": ("Queued", "has not left yet"),
        "submitting": ("Submitting", "left; the operator has not answered yet"),
        "accepted": ("Accepted", "the operator has it; no receipt so far"),
        "delivered": ("Delivered", "delivered to the phone"),
        "undelivered": ("Undelivered", "the operator could not deliver it"),
        "rejected": ("Rejected", "the operator refused it"),
        "expired": ("Expired", "could not leave while it was valid"),
        "cancelled": ("Cancelled", "cancelled before it left"),
        "suppressed": ("Suppressed", "held back before it left, for an opt-out for example"),
        "unknown": ("Unknown", "left, but the operator did not answer: it may have arrived"),
    },
    actions={
        "job.submitted": "Job ordered",
        "job.paused": "Job paused",
        "job.resumed": "Job resumed",
        "job.cancelled": "Job cancelled",
        "job.retried": "Sent again",
        "proof.written": "Proof written",
    },
    details={
        "messages": "{}",
        "segments": "{} SMS",
        "queued": "{} queued",
        "states": "state: {}",
        "format": "format {}",
        "sha256": "SHA-256 {}",
    },
    reasons={},
)

LANGUAGES = {language.code: language for language in (FRENCH, ENGLISH)}
