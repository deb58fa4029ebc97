"""First look at a dataset."""

from pathlib import Path

import pandas as pd

from core.data.ingest.loading import load
from core.data.overview import MAX_LINES, count_lines, describe_columns, describe_entities, select_lines
from core.data.read_options import DETECT_ALL
from core.figures.overview import draw_overview


def test_overview_names_every_column_with_its_role_and_range(tmp_path: Path) -> None:
    """Also unnamed and repeated columns: each can be given another role."""
    path = tmp_path / "a.csv"
    rows = ("2024-01-01,north,5,1,,ok", "2024-01-02,north,,2,,late", "2024-01-01,south,7,3,,ok")
    path.write_text("\n".join(("day,site,MW,MW,,note", *rows)))
    columns = describe_columns(load([path], DETECT_ALL))
    by_name = {column.reading.name: column for column in columns}
    assert (by_name["MW"].lowest, by_name["MW"].highest, by_name["MW"].missing) == (5, 7, 1)
    assert by_name["day"].highest == pd.Timestamp("2024-01-02")
    assert by_name["day"].reading.first_cells[0] == "2024-01-01"
    assert by_name["MW (2)"].reading.role == "measure"
    assert by_name["site"].reading.role == "entity"


def test_overview_tells_span_and_step_of_each_entity(tmp_path: Path) -> None:
    rows = [f"{time},quick,1" for time in pd.date_range("2024-01-01", periods=30, freq="15min")]
    rows += [f"{time},slow,2" for time in pd.date_range("2024-02-01", periods=30, freq="h")]
    (tmp_path / "a.csv").write_text("time,site,MW\n" + "\n".join(rows))
    quick, slow = describe_entities(load([tmp_path / "a.csv"]))
    assert (quick.entity, quick.step, quick.rows) == ("quick", pd.Timedelta("15min"), 30)
    assert (slow.start, slow.step) == (pd.Timestamp("2024-02-01"), pd.Timedelta("1h"))


def test_overview_draws_a_line_per_entity_or_measurement(tmp_path: Path) -> None:
    days = pd.date_range("2024-01-01", periods=4)
    table = pd.DataFrame({f"kpi{number}": range(4) for number in range(9)})
    table.assign(day=days).to_csv(tmp_path / "one.csv", index=False)
    dataset = load([tmp_path / "one.csv"])
    assert (len(select_lines(dataset)), count_lines(dataset)) == (MAX_LINES, 9)
    figure = draw_overview(select_lines(dataset), dataset.unit)
    assert [list(trace.y) for trace in figure.data] == [[0, 1, 2, 3]] * MAX_LINES
    pd.concat([table[["kpi0"]].assign(day=days, site=name) for name in ("a", "b")]).to_csv(tmp_path / "two.csv")
    assert list(select_lines(load([tmp_path / "two.csv"]))) == ["a", "b"]
