"""A backup made while the gateway sends, and put back, as docs/reliability.md says."""

import shutil
from pathlib import Path

from tests.e2e.processes import Site, duplicates, national, recipients, shown, wait_until

ROWS = 300


def put_back(site: Site) -> Path:
    """Put the backup in the place of the database; returns where what was there has gone."""
    away = site.folder / "away"
    away.mkdir()
    for suffix in ("", "-wal", "-shm"):
        path = site.folder / f"gateway.db{suffix}"
        if path.exists():
            path.rename(away / path.name)
    shutil.copy(site.folder / "copy.db", site.folder / "gateway.db")
    return away


def test_a_backup_put_back_sends_nothing_until_somebody_resumes_and_then_what_it_does_not_know_of(
    site: Site,
) -> None:
    smsc = site.smsc()
    site.configure(port=smsc.port, throughput=200)
    gateway = site.gateway()
    job = site.submit("--recipients", site.write_csv(ROWS))["job"]
    smsc.wait_for("submit_sm", 100)
    assert site.read("backup", "copy.db")["paused_jobs"] == 1
    later = site.submit("--to", national(ROWS))["job"]
    for each in (job, later):
        assert site.watch(each)["state"] == "done"
    assert gateway.end() == 0
    put_back(site)
    assert site.run("verify").returncode == 0
    site.gateway()
    (paused,) = site.jobs()  # the later one is not in the copy
    assert (paused["job"], paused["state"]) == (job, "paused")
    fresh = site.submit("--to", national(1), text="Un autre texte.")
    assert shown(site.watch(fresh["job"])["counts"]) == {"delivered": 1}
    smsc.wait_for("submit_sm", ROWS + 2)
    assert len(smsc.record("submit_sm")) == ROWS + 2  # the gateway sends, and nothing of the copy
    before = shown(site.job(job)["counts"])
    site.read("jobs", "resume", str(job))
    wait_until(lambda: not site.job(job)["counts"]["queued"], "the end of the queue")
    submitted = smsc.final_submits()
    assert submitted.keys() == recipients(ROWS + 1)
    # Whatever the copy took for queued has left once more, but for the text that was another.
    assert duplicates(submitted.values()) - 1 == before["queued"]


def test_a_backup_put_back_and_cancelled_writes_to_nobody_twice(site: Site) -> None:
    smsc = site.smsc()
    site.configure(port=smsc.port, throughput=200)
    gateway = site.gateway()
    job = site.submit("--recipients", site.write_csv(ROWS))["job"]
    smsc.wait_for("submit_sm", 100)
    site.read("backup", "copy.db")
    site.watch(job)
    assert gateway.end() == 0
    put_back(site)
    site.gateway()
    site.read("jobs", "cancel", str(job), "--yes")
    assert site.job(job)["counts"]["queued"] == 0
    assert set(smsc.final_submits().values()) == {1}
