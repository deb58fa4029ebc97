"""Table of the candidates of the automatic forecaster on the page."""

from streamlit.testing.v1 import AppTest


def draw_candidates() -> None:
    import pandas as pd

    from core.messages import Message
    from core.tasks.forecast.result import CANDIDATE_COLUMNS
    from pages.components.results.forecast import _show_candidates

    nan, reason = float("nan"), Message("needs about {needed} s more", {"needed": 70}).dump()
    rows = [
        ("season-line 7", 1, 1, 0.08, 0.25, ""),
        ("season-line 7", 2, 3, 0.09, 0.0, ""),
        ("ridge", 1, 1, 0.04, 0.75, ""),
        ("ridge", 2, 3, 0.05, 1.0, ""),
        ("zero-shot", 1, 3, nan, nan, reason),
    ]
    _show_candidates(pd.DataFrame(rows, columns=list(CANDIDATE_COLUMNS)))


def test_candidates_show_errors_weights_and_reasons() -> None:
    app = AppTest.from_function(draw_candidates, default_timeout=60)
    app.run()
    assert not app.exception
    table = app.dataframe[0].value
    assert table.index.tolist() == [
        "Last value, or that of a season before (7)",
        "Ridge",
        "Zero-shot network (Fracast-0)",
    ]
    assert table.loc["Ridge"].tolist() == ["4%", "75%", "5%", "100%", ""]
    assert table.iloc[2].tolist() == ["", "", "", "", "needs about 70 s more"]
