"""`ready`: can an alert leave now?"""

import shutil
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from smppgw.campaign.budget import month_of
from smppgw.campaign.readiness import Bind, Seen, evaluate, limited
from smppgw.cli.output import err, json_option, out, show_json, table
from smppgw.config import Config, load
from smppgw.errors import DatabaseError
from smppgw.ledger import jobs
from smppgw.ledger.database import Locks, explained, open_database
from smppgw.ledger.standing import Standing, require_writable, spent, standing


@click.command()
@json_option
@click.pass_obj
def ready(config_path: Path | None, as_json: bool) -> int:
    """Say whether an alert could leave now, and what to do where it could not.

    Exit status 1 where anything stands against it. Fit for a timer: it changes nothing.
    """
    config = load(config_path, secrets=False)
    conditions = evaluate(config, _look(config))
    failed = [condition.name for condition in conditions if not condition.ok]
    if as_json:
        document = [condition._asdict() for condition in conditions]
        show_json({"ready": not failed, "conditions": document})
    else:
        rows = [("yes" if c.ok else "NO", c.name, c.detail) for c in conditions]
        out.print(table(None, "Ready", "Condition", "Detail", rows=rows))
    if failed:
        err.print(f"An alert may not leave, or not as it should: {', '.join(failed)}.")
    return 1 if failed else 0


def _look(config: Config) -> Seen:
    """Look at the gateway and its database from outside."""
    path, now = config.gateway.database, time.time_ns() // 1_000_000
    running, binds, used, problem = False, [], {}, None
    stands = Standing(0, None)
    try:
        with closing(open_database(path)) as db, explained(path):
            locks = Locks(path)
            try:
                running = locks.gateway_running()
            finally:
                locks.close()
            binds = [Bind(row.smsc, row.bind, row.state, row.reason) for row in jobs.links(db)]
            stands = standing(db)
            first, last = month_of(
                datetime.fromtimestamp(now / 1000, ZoneInfo(config.gateway.timezone))
            )
            used = spent(
                db, limited(config), int(first.timestamp() * 1000), int(last.timestamp() * 1000)
            )
            require_writable(db)
    except DatabaseError as error:
        problem = str(error)
    try:
        free = shutil.disk_usage(path.absolute().parent).free
    except OSError:
        free = None
    return Seen(
        running=running,
        binds=binds,
        database=problem,
        free_octets=free,
        spent=used,
        latest_at=stands.latest_at,
        drilled_at=stands.drilled_at,
        now=now,
    )
