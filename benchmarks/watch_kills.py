"""Workers that are killed in the middle of ticks: rows that are lost or judged twice, and incidents told twice."""

import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from sqlalchemy import select

from benchmarks.report import ResultLine, check_target
from core.settings import ROOT
from core.storage.watches.tables import ANNOUNCEMENTS
from core.watches.announcing import Announcement
from core.watches.watch import Recipient
from tests.support.killed_ticks import HOURS_PER_FILE, open_workspace
from tests.support.watched_power import ENTITIES, fit_power_model, watch_inbox

KILLS, SEED = int(os.environ.get("WATCH_KILLS", "200")), 7
WATCH = "killed"


def main() -> list[ResultLine]:
    """Kill the workers, and compare what is stored with what arrived."""
    with tempfile.TemporaryDirectory(prefix="vigie-watch-") as name:
        workspace = open_workspace(Path(name))
        run_id = fit_power_model(workspace)
        recipient = Recipient(name="night-shift", channel="mail", address="night@example.org")
        workspace.watches.recipients.save_recipient(recipient)
        watch_inbox(workspace, run_id, WATCH, recipients=(recipient.name,))
        command = [sys.executable, "-m", "tests.support.killed_ticks", name, WATCH, str(KILLS), str(SEED)]
        files = int(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
        records = workspace.watches.ticks.list_ticks(WATCH, 100_000)
        bodies = workspace.watches.database.read(lambda session: session.scalars(select(ANNOUNCEMENTS.c.body)).all())
        incidents = workspace.watches.incidents.list_incidents(watch=WATCH, limit=100_000)
    announcements = [Announcement.model_validate_json(body) for body in bodies]
    opened = Counter(each.change.incident.id for each in announcements if each.change.kind == "opened")
    arrived = files * HOURS_PER_FILE * len(ENTITIES)
    judged = sum(record.rows_new for record in records)
    repeated = sum(record.rows_corrected for record in records) + max(judged - arrived, 0)
    untold = sum(incident.id not in opened for incident in incidents)
    again = sum(count - 1 for count in opened.values())
    return [
        ResultLine(
            "workers killed", str(KILLS), "", f"{len(records)} ticks, {arrived:,} rows, {len(incidents)} incidents"
        ),
        ResultLine("rows lost", str(max(arrived - judged, 0)), "", "", *check_target(max(arrived - judged, 0), 0, "")),
        ResultLine("rows judged twice", str(repeated), "", "", *check_target(repeated, 0, "")),
        ResultLine("incidents not announced", str(untold), "", "", *check_target(untold, 0, "")),
        ResultLine("incidents announced twice", str(again), "", "", *check_target(again, 0, "")),
    ]
