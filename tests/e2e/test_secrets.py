"""No number, no name and no text of a citizen in what anybody may read: logs, metrics, listings."""

import asyncio
import csv
import json
import re
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from smppgw.ledger import audit
from smppgw.ledger.jobs import list_jobs
from smppgw.simulator import Behaviour, Simulator
from tests.e2e.processes import PASSWORD, SYSTEM_ID, Site, number, wait_until

FIRST, RECIPIENTS = 47_100, 24
NAMES = ("Zéphyrine", "Ysaline", "Théophraste", "Wandrille")
TEXT = "Bonjour {prenom}, votre rendez-vous de radiologie est avancé à jeudi."
INBOUND = "STOP, laissez Ysaline tranquille"
SECRETS = (*NAMES, "radiologie", "rendez-vous", "laissez", "tranquille")
CONFIRMATION = "Vous ne recevrez plus de messages."


class Smsc:
    """A simulated SMSC on a thread of its own, to which a test can tell what phones write."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._listening = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self.port = 0

    async def _serve(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        async with Simulator(self._behaviour) as self._simulator:
            self.port = self._simulator.port
            self._listening.set()
            await self._ended.wait()

    def deliver(self, source: str, text: str) -> None:
        """Have a phone write to the commune."""
        self._loop.call_soon_threadsafe(self._simulator.deliver, source, "STMARTIN", text)

    @contextmanager
    def __call__(self) -> Iterator["Smsc"]:
        self._thread.start()
        assert self._listening.wait(10)
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join(10)


def writings(e164: str) -> re.Pattern[str]:
    """Match a number however it is written: with 33, 0 or neither, with anything between pairs."""
    digits = e164.removeprefix("+33")
    return re.compile(r"[ .\-\u00a0\u202f]?".join(digits))


def personal_list(site: Site) -> str:
    """Write a list with a name for each number, and with cells that hold no number at all."""
    name = "patients.csv"
    with (site.folder / name).open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, delimiter=";")
        rows.writerow(("Prénom", "Portable"))
        for at in range(RECIPIENTS):
            rows.writerow((NAMES[at % len(NAMES)], number(FIRST + at).replace("+33", "0")))
        rows.writerow((NAMES[0], number(FIRST)))
        rows.writerow((NAMES[1], "01 00 00 00 23"))
    return name


def test_no_number_name_or_text_is_in_logs_metrics_status_or_audit(site: Site) -> None:
    behaviour = Behaviour(
        system_id=SYSTEM_ID,
        password=PASSWORD,
        outcomes={"DELIVRD": 2, "UNDELIV": 1},
        faults=("refuse:5", "no-answer-lost:7"),
        seed=4,
    )
    said: dict[str, str] = {}
    with Smsc(behaviour)() as smsc:
        config = site.configure(port=smsc.port, response_timeout="500ms")
        with config.open("a", encoding="utf-8") as file:
            file.write(f'\n[optouts]\nconfirmation = "{CONFIRMATION}"\n')
        gateway = site.gateway()
        gateway.popen.send_signal(signal.SIGUSR1)  # the trace of PDUs, masked
        gateway.err.wait_for(lambda lines: any('"trace.on"' in line for line in lines))
        submitted = site.run(
            "submit", "--recipients", personal_list(site), "--text", TEXT, "--json"
        )
        said["submit's stderr"] = submitted.stderr
        job = json.loads(submitted.stdout)["job"]
        smsc.deliver(number(FIRST + 2)[1:], INBOUND)
        smsc.deliver("0600047109", "Merci, Wandrille")

        def ended() -> bool:
            with site.ledger() as db:
                counts = next(one for one in list_jobs(db) if one.job_id == job).counts
                texts = db.execute(
                    "SELECT count(*) FROM inbound WHERE asks IS NULL AND source <> ''"
                ).fetchone()
                optouts = db.execute("SELECT count(*) FROM optout").fetchone()
            moving = counts["queued"] + counts["submitting"] + counts["accepted"]
            return moving == 0 and texts == (2,) and optouts == (1,)

        wait_until(ended, "the outcomes, the texts and the opt-out")
        counts = site.job(job)["counts"]
        assert counts["rejected"]
        assert counts["undelivered"]
        assert counts["unknown"]
        commands = {
            "status": ("status", "--json"),
            "jobs show": ("jobs", "show", str(job), "--json"),
            "a refused submit": ("submit", "--to", number(FIRST)[:9], "--text", INBOUND, "--json"),
            "person erase": ("person", "erase", number(FIRST + 5), "--json"),
        }
        with ThreadPoolExecutor() as pool:
            ended_runs = pool.map(lambda words: site.run(*words), commands.values())
            runs = dict(zip(commands, ended_runs, strict=True))
        assert [ended.returncode for ended in runs.values()] == [0, 0, 2, 0]
        said |= {name: ended.stdout + ended.stderr for name, ended in runs.items()}
        status, said["metrics"] = site.get("/metrics")
        assert status == 200
        gateway.popen.send_signal(signal.SIGTERM)
        gateway.err.wait_for(lambda lines: any('"gateway.draining"' in line for line in lines))
        gateway.end()  # a second time: it need not wait for the answers that never come
    said["the gateway's stdout"] = "\n".join(gateway.out.lines)
    said["the gateway's log"] = "\n".join(gateway.err.lines)
    with site.ledger() as db:
        entries = audit.entries(db)
    actions = {entry.action for entry in entries}
    assert {"job.submitted", "optout.added", "person.erased"} <= actions
    said["the audit"] = "\n".join(map(repr, entries))
    assert len(said["the gateway's log"]) > 10_000  # the trace is there
    for where, text in said.items():
        for at in range(RECIPIENTS):
            found = writings(number(FIRST + at)).search(text)
            assert found is None, (where, text[found.start() - 80 : found.end() + 20])
        for secret in SECRETS:
            assert secret not in text, (where, secret)
            assert json.dumps(secret)[1:-1] not in text, (where, secret)
