"""One truth written in thousands of forms and read back: right, asked, refused or wrong.

The forms combine delimiter, decimal mark, thousands separator, date format, layout, lines around the table and flags.
"""

import os
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.report import ResultLine
from tests.support.written_tables import draw_form, read_back

FILES = int(os.environ.get("VIGIE_INTAKE_FILES", "5000"))
MIN_RIGHT_SHARE = 0.97


def main() -> list[ResultLine]:
    """Write and read the files; a wrong reading without a question is the worst outcome."""
    counts: Counter[str] = Counter()
    with TemporaryDirectory(prefix="vigie-bench-") as folder:
        for seed in range(FILES):
            outcome, explanation = read_back(draw_form(seed), Path(folder))
            counts[outcome] += 1
            if outcome == "wrong":
                print(f"wrong: {draw_form(seed)}: {explanation}")
    right_share = counts["right"] / FILES
    return [
        ResultLine(
            "read right",
            f"{right_share:.2%}",
            basis=f"{FILES} files",
            target=f"≥ {MIN_RIGHT_SHARE:.0%}",
            verdict="met" if right_share >= MIN_RIGHT_SHARE else "MISSED",
        ),
        *(ResultLine(f"{outcome}", f"{counts[outcome] / FILES:.2%}") for outcome in ("asked", "refused")),
        ResultLine(
            "wrong without a word",
            f"{counts['wrong'] / FILES:.2%}",
            target="0",
            verdict="met" if not counts["wrong"] else "MISSED",
        ),
    ]
