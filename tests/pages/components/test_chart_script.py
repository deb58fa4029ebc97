"""The script of charts is run before the first chart comes, and only where there may be one."""

import re

from pages.components.chart_script import CHART_WIDGET, SCRIPT_FOLDER, build_script
from pages.gate.content_security import build_policy, hash_scripts


def test_script_names_the_script_of_charts_and_is_allowed() -> None:
    [name] = re.findall(r"\./static/js/([\w.-]+\.js)", build_script())
    assert name.startswith(f"{CHART_WIDGET}.")
    assert (SCRIPT_FOLDER / name).is_file()
    assert hash_scripts([build_script()])[0] in build_policy("localhost")
