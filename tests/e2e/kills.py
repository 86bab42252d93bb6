"""kill -9 of real processes at random moments under full-speed load: `make kills KILLS=50`.

The gateway is killed and started again, on one database and against one SMSC, until it has died as
often as was asked; then what waits is sent, and the SMSC's record tells how often each message was
accepted. Three quarters of the kills fall at a random moment of full speed, the others at one of
starting, recovering and binding. `submit` is killed at random moments of a long list.

    python -m tests.e2e.kills --kills 50 [--seed N]      prints the figures; 1 where one is wrong
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smppgw.ledger.upkeep import verify
from tests.e2e.processes import ANY_NUMBER, PATIENCE_S, Process, Site, Smsc, shown, wait_until

WINDOW = 100
CLASSES = {"hold": "service", "resend": "alert"}
LONGEST_LIFE_S = 0.6  # at full speed
LONGEST_START_S = 1.2  # about as long as a gateway takes to be bound
HASTY = 0.25  # of the kills fall before the gateway is at full speed
RECORD = "record.jsonl"


@dataclass
class Figures:
    """What became of the messages of one run.

    Attributes:
        policy: for unknown outcomes, hold or resend.
        kills: how often the gateway was killed.
        messages: that submit acknowledged.
        seconds: of the whole run.
        lost: never seen by the SMSC, and not told to be unknown; and, once what is unknown was
            retried, never seen by it at all.
        repeated: submit_sm beyond the first of its message, before anybody asked for it.
        doubtful: segments that were in flight at a kill, by the log of the next gateway.
        unknown: messages in doubt when everything had come to rest and late receipts had come.
        most_submitting: after any one kill.
        repeated_on_demand: submit_sm beyond the first, after `jobs retry --unknown`.
        states: of all messages at the end.
        problems: what `verify` says at the end.
    """

    policy: str
    kills: int
    messages: int = 0
    seconds: float = 0.0
    lost: int = 0
    repeated: int = 0
    doubtful: int = 0
    unknown: int = 0
    most_submitting: int = 0
    repeated_on_demand: int = 0
    states: Counter[str] | None = None
    problems: tuple[str, ...] = ()

    def violations(self) -> list[str]:
        """Say which promise is broken, a sentence each."""
        most = WINDOW * self.kills
        repeated, unknown = (0, most) if self.policy == "hold" else (most, 0)
        broken = [
            (self.lost, 0, "messages are lost"),
            (self.repeated, repeated, "submit_sm were repeated"),
            (self.unknown, unknown, "messages are left in doubt"),
            (self.most_submitting, WINDOW, "segments were in flight at one kill"),
            (self.repeated_on_demand, self.repeated, "were repeated, the retried ones too"),
        ]
        said = [
            f"{found} {what}: at most {limit}" for found, limit, what in broken if found > limit
        ]
        if self.states != {"delivered": self.messages}:
            said.append(f"not everything was brought to its end: {dict(self.states or {})}")
        return [*said, *self.problems]


class Run:
    """One gateway that dies again and again, and comes back."""

    def __init__(self, site: Site, policy: str, rows: int, chance: random.Random) -> None:
        self._site = site
        self._rows = rows
        self._chance = chance
        self._class = CLASSES[policy]
        self._texts: dict[int, str] = {}  # by job: each has one of its own, to be told apart
        self._smsc: Smsc = site.smsc("--record", RECORD)
        site.configure(port=self._smsc.port, window=WINDOW)
        self._lives: list[Process] = []

    def play(self, policy: str, kills: int) -> Figures:
        """Kill, come back, bring everything to its end; returns the figures."""
        began, figures = time.monotonic(), Figures(policy, kills)
        self._submit()
        for _ in range(kills):
            self._live_and_die()
            flying = self._total()["submitting"]
            figures.most_submitting = max(figures.most_submitting, flying)
            if self._total()["queued"] < self._rows // 2:
                self._submit()
        gateway = self._start()
        self._settle()
        figures.messages = self._rows * len(self._texts)
        figures.doubtful = sum(
            event["unknown_segments"]
            for life in self._lives
            for event in life.events("gateway.started")
        )
        # The SMSC's record lags behind: what it has receipts for it has seen.
        delivered = self._total()["delivered"]
        wait_until(lambda: len(self._sent()) >= delivered, "the record of what was delivered")
        sent = self._sent()
        # What arrived is settled by its receipt, so that a retry repeats nothing.
        never_sent = figures.messages - len(sent)
        wait_until(lambda: self._total()["unknown"] <= never_sent, "the late receipts")
        figures.unknown, states = self._total()["unknown"], self._states()
        figures.repeated = sum(sent.values()) - len(sent)
        figures.lost = sum(
            state != "unknown" and message not in sent for message, state in states.items()
        )
        figures.lost += figures.messages - len(states)
        for job, document in self._jobs().items():
            if document["counts"]["unknown"]:
                self._site.read("jobs", "retry", str(job), "--unknown")
        self._settle()
        figures.states = Counter(self._states().values())
        assert gateway.end() == 0
        assert self._smsc.end() == 0
        sent = self._sent()
        figures.repeated_on_demand = sum(sent.values()) - len(sent)
        figures.lost += figures.messages - len(sent)
        with self._site.ledger() as db:
            figures.problems = tuple(verify(db))
        log = "\n".join(line for life in self._lives for line in life.err.lines)
        assert ANY_NUMBER.search(log) is None
        figures.seconds = time.monotonic() - began
        return figures

    def _submit(self) -> None:
        text = f"Essai {len(self._texts)}"
        first = self._rows * len(self._texts)
        path = write_list(self._site, range(first, first + self._rows))
        job = self._site.submit("--recipients", path, "--class", self._class, text=text)
        assert job["recipients"]["queued"] == self._rows
        self._texts[job["job"]] = text

    def _start(self) -> Process:
        gateway = self._site.start("run")
        self._lives.append(gateway)
        return gateway

    def _live_and_die(self) -> None:
        gateway = self._start()
        life_s = self._chance.uniform(0, LONGEST_START_S)
        if self._chance.random() >= HASTY:
            gateway.err.wait_for(lambda lines: any('"event": "link.bound"' in one for one in lines))
            life_s = self._chance.uniform(0, LONGEST_LIFE_S)
        kill(gateway, life_s)

    def _settle(self) -> None:
        """Wait until nothing moves any more."""

        def rests() -> bool:
            total = self._total()
            return total["queued"] + total["submitting"] + total["accepted"] == 0

        wait_until(rests, "the end of all jobs", 3 * PATIENCE_S)

    def _jobs(self) -> dict[int, dict[str, Any]]:
        return {document["job"]: document for document in self._site.jobs()}

    def _total(self) -> Counter[str]:
        total = Counter[str]()
        for document in self._jobs().values():
            shown(document["counts"])
            total.update(document["counts"])
        return total

    def _states(self) -> dict[tuple[str, str], str]:
        """Return the state of each message, by text and recipient."""
        return {
            (text, number): state
            for job, text in self._texts.items()
            for number, state in self._site.states(job).items()
        }

    def _sent(self) -> Counter[tuple[str, str]]:
        """Return how often the SMSC accepted each message, by text and recipient."""
        sent = Counter[tuple[str, str]]()
        with (self._site.folder / RECORD).open(encoding="utf-8") as record:
            for line in record:
                if '"direction": "received", "command": "submit_sm",' in line:
                    pdu = json.loads(line)
                    text = bytes.fromhex(pdu["short_message"]).decode("ascii")
                    sent[text, f"+{pdu['destination']}"] += 1
        return sent


def write_list(site: Site, ordinals: range) -> str:
    """Write a list of invented numbers, a million of which are different; returns its name."""
    path = site.folder / "list.csv"
    path.write_text("Portable\n" + "\n".join(f"0600{each:06d}" for each in ordinals), "utf-8")
    return path.name


def kill(process: Process, life_s: float) -> bool:
    """Kill a process that has lived so long, as it may be with it; returns whether it lived."""
    try:
        process.popen.wait(life_s)
    except subprocess.TimeoutExpired:
        process.popen.kill()
        process.wait()
        return True
    process.wait()
    return False


def kill_gateways(site: Site, policy: str, kills: int, rows: int, seed: int) -> Figures:
    """Kill the gateway so often at random moments of sending jobs of so many rows."""
    return Run(site, policy, rows, random.Random(seed)).play(policy, kills)


def kill_submits(site: Site, kills: int, rows: int, seed: int) -> dict[str, int]:
    """Kill `submit` so often at random moments of a list, then submit it with the same key.

    Returns:
        How many were killed before they had ended, and how many of them left the whole job and no
        job.

    Raises:
        AssertionError: a job was there in part, or not although it had been acknowledged, or its
            key could not be used again, or something of it was left behind.
    """
    chance, outcomes = random.Random(seed), Counter(killed=0, whole=0, absent=0)
    path = write_list(site, range(rows))
    words = ("submit", "--recipients", path, "--text", "Essai", "--json", "--key")

    def submit(key: str) -> Process:
        return site.start(*words, key)

    def visible() -> dict[int, int]:
        return {
            job["job"]: job["counts"]["total"] for job in site.jobs() if job["state"] != "loading"
        }

    began = time.monotonic()
    assert submit("first").wait() == 0
    whole_s = time.monotonic() - began
    for attempt in range(kills):
        before = visible()
        loader = submit(f"key {attempt}")
        outcomes["killed"] += kill(loader, chance.uniform(0, whole_s))
        new = visible().items() - before.items()
        assert {total for _, total in new} <= {rows}
        assert len(new) <= 1
        assert new or not loader.out.lines, "an acknowledged job is not there"
        outcomes["whole" if new else "absent"] += 1
        again = submit(f"key {attempt}")
        assert again.wait() == 0, again.err.lines
        document = json.loads(again.out.lines[0])
        assert visible().items() - before.items() == {(document["job"], rows)}
    with site.ledger() as db:
        (messages,) = db.execute("SELECT count(*) FROM message").fetchone()
        assert messages == rows * (kills + 1)
        assert list(verify(db)) == []
    return dict(outcomes)


def main() -> int:
    """Kill as often as is asked, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--rows", type=int, default=20_000, help="in each of the jobs")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    wrong = []
    for policy in CLASSES:
        with tempfile.TemporaryDirectory() as folder:
            site = Site(Path(folder))
            try:
                figures = kill_gateways(site, policy, options.kills, options.rows, options.seed)
            finally:
                site.stop()
        wrong += figures.violations()
        print(
            f"{policy:6}  {figures.kills} kills, {figures.messages} messages, {figures.lost} lost,"
            f" {figures.repeated} repeated, {figures.doubtful} in flight at a kill,"
            f" {figures.unknown} left unknown, {figures.repeated_on_demand} repeated after"
            f" `jobs retry --unknown`; {figures.seconds:.0f} s",
            flush=True,
        )
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder))
        site.configure()
        try:
            outcomes = kill_submits(site, 10, 200_000, options.seed)
        finally:
            site.stop()
    print("submit  " + ", ".join(f"{count} {name}" for name, count in outcomes.items()))
    for violation in wrong:
        print(violation)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
