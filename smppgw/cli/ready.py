"""`ready`: can an alert leave now?"""

import shutil
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from smppgw.campaign.budget import month_of
from smppgw.campaign.readiness import Bind, Seen, evaluate, limited
from smppgw.cli.ledger import open_ledger
from smppgw.cli.output import err, json_option, out, show_json, table
from smppgw.config import Config, load
from smppgw.errors import DatabaseError
from smppgw.ledger import jobs
from smppgw.ledger.database import Locks
from smppgw.ledger.standing import Standing, require_writable, spent, standing


@click.command()
@json_option
@click.pass_obj
def ready(config_path: Path | None, as_json: bool) -> int:
    """Say whether an alert could leave now, and what to do where it could not.

    Exit status 1 where anything stands against it. Fit for a timer: it changes nothing.
    """
    config = load(config_path, secrets=False)
    conditions = evaluate(config, look(config))
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


def look(config: Config, used: Mapping[str, int] | None = None) -> Seen:
    """Look at the gateway and its database from outside.

    Args:
        config: the configuration.
        used: segments of the month by tenant, where they have been counted a moment ago.
    """
    path, now = config.gateway.database, time.time_ns() // 1_000_000
    running, binds, problem = False, [], None
    stands = Standing(0, None)
    try:
        with open_ledger(path) as db:
            locks = Locks(path)
            try:
                running = locks.gateway_running()
            finally:
                locks.close()
            binds = [Bind(row.smsc, row.bind, row.state, row.reason) for row in jobs.links(db)]
            stands = standing(db)
            if used is None:
                at = datetime.fromtimestamp(now / 1000, ZoneInfo(config.gateway.timezone))
                first, last = (int(moment.timestamp() * 1000) for moment in month_of(at))
                used = spent(db, limited(config), first, last)
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
        spent=used or {},
        latest_at=stands.latest_at,
        drilled_at=stands.drilled_at,
        now=now,
    )
