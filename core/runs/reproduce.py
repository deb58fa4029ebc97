"""The command line that repeats a run, made from what the run kept of its question."""

import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any

PROGRAM = ("python", "-m", "core")


def command_line(task: str, question: Mapping[str, Any], recalibrated: bool = False) -> str:
    """The command, quoted for a shell; "" for a task that no command answers.

    question      as the result keeps it, its dataset being stored in the data folder
    recalibrated  a forecast whose intervals were made anew
    """
    if task == "forecast" and recalibrated:
        words = ["forecast", question["dataset"], f"--recalibrate={question['fitted_by']}"]
    elif task in COMMANDS:
        words = list(COMMANDS[task](question))
    else:
        return ""
    return shlex.join([*PROGRAM, *words])


def _detect(asked: Mapping[str, Any]) -> Iterator[str]:
    yield from ("detect", asked["dataset"])
    if asked["fitted_by"]:
        yield f"--model={asked['fitted_by']}"
    else:
        yield from (
            f"--detector={asked['detector']}",
            f"--compare-with={asked['compare_with']}",
            f"--incomplete={asked['incomplete']}",
        )
        yield f"--contamination={asked['contamination']!r}"
        if asked["risk"] is not None:
            yield f"--risk={asked['risk']!r}"
        yield from _settings(asked)
    yield from _selection(asked)


def _cluster(asked: Mapping[str, Any]) -> Iterator[str]:
    yield from ("cluster", asked["dataset"])
    if asked["fitted_by"]:
        yield f"--model={asked['fitted_by']}"
    else:
        yield f"--clusterer={asked['clusterer']}"
        yield from (f"--{name}={asked[name]}" for name in ("of", "look", "incomplete", "components"))
        yield from _settings(asked)
    yield from _selection(asked)


def _forecast(asked: Mapping[str, Any]) -> Iterator[str]:
    yield from ("forecast", asked["dataset"])
    if asked["driver_tables"]:
        yield f"--drivers={asked['driver_tables']}"
    if asked["fitted_by"]:  # entities and plan are those of the model
        yield f"--model={asked['fitted_by']}"
        return
    yield from (
        f"--forecaster={asked['forecaster']}",
        f"--horizon={asked['horizon']}",
        f"--resolution={asked['resolution']}",
    )
    if asked["measure"]:
        yield f"--measure={asked['measure']}"
    yield f"--weather={asked['weather'].replace(' ', '-')}"
    yield f"--backtest-from={asked['backtest_from']}"
    yield f"--quantiles={','.join(map(repr, asked['quantiles']))}"
    yield from _settings(asked)
    yield from _selection(asked)


def _sequences(asked: Mapping[str, Any]) -> Iterator[str]:
    if asked["fitted_by"]:
        yield from ("sequences", "score", asked["dataset"], f"--model={asked['fitted_by']}")
    else:
        yield from (
            "sequences",
            "train",
            asked["dataset"],
            f"--detector={asked['detector']}",
            f"--until={asked['until']}",
        )
        yield from _threshold(asked)
        yield f"--scaling={asked['scaling']}"
        if asked["counts"]:
            yield "--counts"
        yield from _settings(asked)
    yield from _selection(asked)


def _threshold(asked: Mapping[str, Any]) -> Iterator[str]:
    kind, amount = asked["asked"], asked["amount"]
    per = "1000" if asked["per"] == "1000 rows" else asked["per"]
    options = {
        "alarms": f"--alarms-per-{per}={amount!r}",
        "pot": f"--risk={amount!r}",
        "contamination": f"--contamination={amount!r}",
    }
    yield options.get(kind, "--best-f1")


def _settings(asked: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"--set={name}={value}" for name, value in asked["settings"].items())


def _selection(asked: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"--entity={entity}" for entity in asked["entities"])
    yield from (f"--{name}={asked[name]}" for name in ("start", "end") if asked[name])


COMMANDS: dict[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    "anomalies": _detect,
    "clusters": _cluster,
    "forecast": _forecast,
    "sequences": _sequences,
}
