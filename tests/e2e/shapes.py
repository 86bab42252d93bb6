"""The JSON that checks from outside rely on, as data, and whether a document has its shape.

A shape is a type, a set of words, `TIME` (ISO 8601 with offset), a list of one shape, a tuple of
shapes any of which will do, or a dict of exactly these keys.
"""

from datetime import datetime
from typing import Any

TIME = "TIME"
MONEY = {"amount": str, "currency": str}
CLASS = {"alert", "service", "promotional"}
JOB_STATE = {"loading", "scheduled", "queued", "sending", "paused", "done", "cancelled"}

COUNTS = dict.fromkeys(
    (
        "total",
        "queued",
        "submitting",
        "accepted",
        "delivered",
        "undelivered",
        "rejected",
        "expired",
        "cancelled",
        "suppressed",
        "unknown",
    ),
    int,
)

JOB = {
    "job": int,
    "state": JOB_STATE,
    "class": CLASS,
    "tenant": str,
    "sender": str,
    "label": (str, None),
    "purpose": str,
    "exercise": bool,
    "ordered_by": (str, None),
    "created_at": TIME,
    "starts_at": TIME,
    "opens_at": (TIME, None),
    "first_submit_at": (TIME, None),
    "finished_at": (TIME, None),
    "counts": COUNTS,
    "segments": int,
}

REWRITTEN = {"segments": int, "price": (MONEY, None)}

SUBMISSION = {
    "job": (int, None),
    "state": (JOB_STATE, None),
    "class": CLASS,
    "purpose": str,
    "exercise": bool,
    "tenant": str,
    "sender": str,
    "recipients": dict.fromkeys(("read", "queued", "invalid", "duplicate", "opted_out"), int),
    "left_out_file": (str, None),
    "text": {
        "encoding": {"gsm7", "ucs2", "mixed"},
        "segments_min": int,
        "segments_max": int,
        "forces_ucs2": [str],
    },
    "segments": int,
    "segments_ahead": int,
    "budget": (dict.fromkeys(("limit", "used", "after"), int), None),
    "price": (MONEY, None),
    "rewrites": dict.fromkeys(("keep", "gentle", "full"), REWRITTEN),
    "seconds": int,
    "starts_at": (TIME, None),
    "finish_at": TIME,
    "warnings": [str],
}

WAITING = dict.fromkeys(("hours", "scheduled", "paused"), int)
STATUS = {
    "gateway": {"running": bool, "pid": (int, None), "since": (TIME, None)},
    "alert": {"ready": bool, "against": [str]},
    "database": {"path": str, "bytes": int},
    "links": [
        {
            "smsc": str,
            "bind": int,
            "state": {"bound", "connecting", "backoff", "stopped"},
            "reason": (str, None),
            "window": int,
            "outstanding": int,
            "throughput": int,
            "permitted": float,
        }
    ],
    "queue": dict.fromkeys(("alert", "service", "promotional"), int),
    "waiting": dict.fromkeys(("alert", "service", "promotional"), WAITING),
    "unknown": int,
    "receipts": dict.fromkeys(("received", "matched", "parked", "orphan", "duplicate"), int),
}

DEMO = {"job": int, "counts": COUNTS, "seconds": float}


def misfits(value: Any, shape: Any, place: str = "$") -> list[str]:
    """Say where a document differs from its shape; empty where it has it."""
    match shape:
        case dict():
            if not isinstance(value, dict) or value.keys() != shape.keys():
                keys = value.keys() if isinstance(value, dict) else value
                return [f"{place}: {keys} for {shape.keys()}"]
            return [
                fault
                for key, inner in shape.items()
                for fault in misfits(value[key], inner, f"{place}.{key}")
            ]
        case list():
            if not isinstance(value, list):
                return [f"{place}: {value!r} is no list"]
            return [
                fault
                for at, inner in enumerate(value)
                for fault in misfits(inner, shape[0], f"{place}[{at}]")
            ]
        case tuple():
            faults = [misfits(value, one, place) for one in shape]
            return [] if [] in faults else [fault for each in faults for fault in each]
        case set():
            fits = isinstance(value, str) and value in shape
        case None:
            fits = value is None
        case "TIME":
            fits = isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
        case _:
            fits = type(value) is shape
    return [] if fits else [f"{place}: {value!r} is no {shape}"]
