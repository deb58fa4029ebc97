import pytest
from tests.test_forecast_page import *
from tests.test_forecast_page import place, at, small, weather, digest  # noqa
def test_hourly(place, small, weather, digest):
    found, run = forecast(small, forecasters()["ridge"](), Plan(horizon=2, resolution="hour"), tables=(weather,), at=place, by=BOB)
    for view in ("Forecast","Back-test","Errors","Intervals","What matters","What if"):
        app = shown(digest, run.id, view)
        assert not app.error, errors(app)
        print(view, [g.label for g in app.segmented_control], [g.options for g in app.segmented_control])
    app = shown(digest, run.id, "Errors"); widget(app,"segmented_control","errors-by").set_value("hour").run(); assert not app.exception and not app.error
    app = shown(digest, run.id, "Intervals"); widget(app,"segmented_control","coverage-by").set_value("hour").run(); assert not app.exception and not app.error
    app = shown(digest, run.id, "What if"); widget(app,"slider","if-warmer").set_value(-4.0).run(); assert not app.exception and not app.error
    t = next(f.value for f in app.dataframe if "changed" in f.value); print(t.head())
    app = shown(digest, run.id, "Forecast"); t = next(f.value for f in app.dataframe if "assumed" in f.value); print(t.head(30)); print(len(t))
