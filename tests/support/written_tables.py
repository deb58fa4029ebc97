"""Files that write one truth in many forms, and the outcome of reading them back: right, asked, refused or wrong."""

import csv
import io
import random
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from core.data.dataset import Dataset, make_clock_labels
from core.data.ingest.loading import load
from core.data.quality.findings import QUESTION_KINDS
from core.errors import InputError

Outcome = Literal["right", "asked", "refused", "wrong"]

FRENCH_MONTHS = (
    *("janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre"),
    *("novembre", "décembre"),
)
PROFILE_STEPS = {"profile": "1h", "half-hours": "30min", "hours 1 to 24": "1h"}
ENTITIES = {"names": ["Nord", "Sud-Est"], "numeric key": ["101", "102"], "staggered": ["EAST", "NORTH", "WEST"]}
OPTIONS: dict[str, tuple[str, ...]] = {
    "delimiter": (",", ";", "\t", "|"),
    "decimal": (".", ","),
    "thousands": ("", "", " ", "\u202f", "'", "other"),
    "dates": (
        *("%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M"),
        *("%d.%m.%y %H:%M", "%d-%m-%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%d.%m.%Y, %H:%M:%S", "%Y%m%dT%H%M"),
        *("%d %b %Y %H:%M", "french months", "epoch s", "epoch ms", "range", "date and clock", "date and hour"),
        *("hour ending", "parts", "excel", "unnamed", "offset", "midnight with offset"),
    ),
    "step": ("15min", "1h", "1D"),
    "digits": ("2", "2", "0", "3"),
    "layout": ("single", "two measures", "names", "numeric key", "staggered", "profile", "half-hours", "hours 1 to 24"),
    "preamble": ("", "", "title", "comment", "metadata"),
    "footer": ("", "", "end", "total"),
    "extra": (
        *("", "", "quality", "attack", "empty", "percent", "units row", "trailing delimiter", "repeated header"),
        *("repeated column", "two header rows", "minus sign"),
    ),
    "encoding": ("utf-8", "utf-8-sig", "utf-16", "cp1252"),
}


@dataclass(frozen=True)
class FileForm:
    """Form of a written file; every field is one of `OPTIONS`."""

    delimiter: str
    decimal: str
    thousands: str
    dates: str
    step: str
    digits: str
    layout: str
    preamble: str
    footer: str
    extra: str
    encoding: str
    seed: int = 0


def draw_form(seed: int) -> FileForm:
    """Draw a form; the same seed gives the same form."""
    generator = random.Random(seed)
    return FileForm(
        **{field.name: generator.choice(OPTIONS[field.name]) for field in fields(FileForm) if field.name != "seed"},
        seed=seed,
    )


@dataclass(frozen=True)
class Truth:
    """Values of a written file: entity, time and one column per measurement, without the order of the rows."""

    frame: pd.DataFrame

    def equals(self, dataset: Dataset) -> bool:
        """Tell whether a dataset holds the same entities, times and values."""
        series = dataset.to_series() if dataset.profile else dataset
        if len(series) != len(self.frame) or series.values.shape[1] != self.frame.shape[1] - 2:
            return False
        read = pd.DataFrame(series.values).assign(entity=np.asarray(series.entity, dtype=object), time=series.time)
        if self.frame["entity"].nunique() == 1:
            read["entity"] = ""
        written = self.frame.set_axis([*range(self.frame.shape[1] - 2), "entity", "time"], axis=1)
        read, written = (frame.sort_values(["entity", "time"]).reset_index(drop=True) for frame in (read, written))
        return (
            read["entity"].astype(str).equals(written["entity"].astype(str))
            and (pd.DatetimeIndex(read["time"]) == pd.DatetimeIndex(written["time"])).all()
            and bool(
                np.allclose(read.iloc[:, :-2].to_numpy(float), written.iloc[:, :-2].to_numpy(float), equal_nan=True)
            )
        )


def make_truth(form: FileForm) -> Truth:
    """Return the values of a file: forty days of a profile, else sixty days or two weeks per entity."""
    generator = np.random.default_rng(form.seed)
    step = form.step
    if form.layout in PROFILE_STEPS:
        step = PROFILE_STEPS[form.layout]
    elif form.dates in ("date and hour", "hour ending"):
        step = "1h"
    elif form.dates == "midnight with offset":
        step = "1D"
    days = 40 if form.layout in PROFILE_STEPS else 60 if step == "1D" else 14
    start = pd.Timestamp("2023-01-01") + pd.Timedelta(days=int(generator.integers(0, 600)))
    times = pd.date_range(start, start + pd.Timedelta(days=days), freq=step, inclusive="left")
    entities = ENTITIES.get(form.layout, [""])
    columns = ["load", "flow"] if form.layout == "two measures" else ["load"]
    parts = []
    for number, entity in enumerate(entities):
        low, high, digits = (0, 100, 1) if form.extra == "percent" else (-50, 2500, int(form.digits))
        own_times = times[number * len(times) // 8 :] if form.layout == "staggered" else times
        values = {column: np.round(generator.uniform(low, high, len(own_times)), digits) for column in columns}
        parts.append(pd.DataFrame({**values, "entity": entity, "time": own_times}))
    return Truth(pd.concat(parts, ignore_index=True))


def write_table(form: FileForm, truth: Truth, folder: Path) -> Path:
    """Write the truth in a form; return the file."""
    header, rows = _build_profile(form, truth) if form.layout in PROFILE_STEPS else _build_rows(form, truth)
    width = len(header)
    text = io.StringIO()
    writer = csv.writer(text, delimiter=form.delimiter, lineterminator="\n")
    if form.preamble == "title":
        text.write("Export of the measurements\n\n")
    if form.preamble == "comment":
        text.write("# made by a program\n# version 2\n")
    if form.preamble == "metadata":
        writer.writerow([f"key {n}" for n in range(width + 3)])
        writer.writerow([f"text {n}" for n in range(width + 3)])
    end = [""] if form.extra == "trailing delimiter" else []
    if form.extra == "two header rows":
        writer.writerow(["", *["plant"] * (width - 1)])
    writer.writerow(header)
    if form.extra == "units row" and form.layout not in PROFILE_STEPS:
        writer.writerow(["kW" if name in ("load", "flow") else "" for name in header])
    for number, row in enumerate(rows):
        if form.extra == "repeated header" and number == len(rows) // 2:
            writer.writerow(header)
        writer.writerow([*row, *end])
    if form.footer == "end":
        text.write("End of file\n")
    if form.footer == "total":
        writer.writerow(["Total", *[""] * (width - 1), *end])
    path = folder / "table.csv"
    path.write_text(text.getvalue(), encoding=form.encoding)
    return path


def _build_rows(form: FileForm, truth: Truth) -> tuple[list[str], list[list[str]]]:
    frame = truth.frame
    if form.layout == "staggered":
        frame = frame.pivot(index="time", columns="entity", values="load").reset_index()
    time_columns = _write_times(form, pd.DatetimeIndex(frame["time"]))
    header, columns = list(time_columns), list(time_columns.values())
    if form.layout in ("names", "numeric key"):
        header.append("site" if form.layout == "names" else "meter")
        columns.append(list(frame["entity"]))
    for name in [name for name in frame.columns if name not in ("entity", "time")]:
        repetitions = 2 if form.extra == "repeated column" else 1
        header += [str(name)] * repetitions
        columns += [[_write_number(form, value) for value in frame[name]]] * repetitions
    words = {"quality": ("measured", "estimated"), "attack": ("Normal", "Attack"), "empty": ("", "")}
    if form.extra in words:
        header.append({"quality": "quality", "attack": "Normal/Attack", "empty": "comment"}[form.extra])
        columns.append([words[form.extra][int(number % 7 == 3)] for number in range(len(frame))])
    return header, [list(row) for row in zip(*columns, strict=True)]


def _build_profile(form: FileForm, truth: Truth) -> tuple[list[str], list[list[str]]]:
    count = pd.Timedelta(days=1) // pd.Timedelta(PROFILE_STEPS[form.layout])
    values = truth.frame["load"].to_numpy().reshape(-1, count)
    days = pd.DatetimeIndex(truth.frame["time"]).normalize()[::count]
    names = [f"HE{hour}" for hour in range(1, 25)] if form.layout == "hours 1 to 24" else list(make_clock_labels(count))
    formats = {"%d/%m/%Y %H:%M": "%d/%m/%Y", "%m/%d/%Y %H:%M": "%m/%d/%Y", "%d.%m.%y %H:%M": "%d.%m.%y"}
    dates = days.strftime(formats.get(form.dates, "%Y-%m-%d"))
    return ["date", *names], [
        [date, *(_write_number(form, value) for value in row)] for date, row in zip(dates, values, strict=True)
    ]


def _write_times(form: FileForm, times: pd.DatetimeIndex) -> dict[str, list[str]]:
    if form.dates == "french months":
        return {"date": [f"{t.day} {FRENCH_MONTHS[t.month - 1]} {t.year} {t:%H:%M}" for t in times]}
    if form.dates in ("epoch s", "epoch ms"):
        factor = 1 if form.dates == "epoch s" else 1000
        return {"timestamp": [str(int(t.timestamp()) * factor) for t in times]}
    if form.dates == "range":
        end = times + pd.Timedelta("15min")
        return {"date": [f"{a:%d.%m.%Y %H:%M} - {b:%d.%m.%Y %H:%M}" for a, b in zip(times, end, strict=True)]}
    if form.dates == "date and clock":
        return {"Date": list(times.strftime("%Y-%m-%d")), "Heure": list(times.strftime("%H:%M"))}
    if form.dates == "date and hour":
        return {"date": list(times.strftime("%Y-%m-%d")), "hour": [str(hour) for hour in times.hour]}
    if form.dates == "hour ending":
        return {"date": list(times.strftime("%Y-%m-%d")), "Hour Ending": [str(hour + 1) for hour in times.hour]}
    if form.dates == "parts":
        names = {"year": times.year, "month": times.month, "day": times.day, "hour": times.hour, "minute": times.minute}
        return {name: [str(number) for number in numbers] for name, numbers in names.items()}
    if form.dates == "excel":
        days = (times - pd.Timestamp("1899-12-30")) / pd.Timedelta(days=1)
        return {"date": [f"{day:.6f}".replace(".", form.decimal) for day in days]}
    if form.dates in ("offset", "midnight with offset"):
        return {"date": list(times.strftime("%Y-%m-%dT%H:%M:%S+02:00"))}
    name = "" if form.dates == "unnamed" else "date"
    return {name: list(times.strftime("%Y-%m-%d %H:%M:%S" if form.dates == "unnamed" else form.dates))}


def _write_number(form: FileForm, value: float) -> str:
    if np.isnan(value):
        return ""
    if form.extra == "percent":
        return f"{value:.1f}".replace(".", form.decimal) + " %"
    is_cp1252 = form.encoding == "cp1252"
    marks = {"other": "." if form.decimal == "," else ",", "\u202f": "\u00a0" if is_cp1252 else "\u202f"}
    thousands = marks.get(form.thousands, form.thousands)
    text = f"{value:,.{form.digits}f}".replace(",", "\0").replace(".", form.decimal).replace("\0", thousands)
    return text.replace("-", "\u2013" if is_cp1252 else "\u2212") if form.extra == "minus sign" else text


def read_back(form: FileForm, folder: Path) -> tuple[Outcome, str]:
    """Write a file in a form and read it; return the outcome and what was said."""
    truth = make_truth(form)
    path = write_table(form, truth, folder)
    try:
        dataset = load([path])
    except InputError as error:
        return "refused", str(error)
    notes = "; ".join(str(note.message) for note in dataset.notes)
    if truth.equals(dataset):
        return "right", notes
    is_asked = any(note.kind in QUESTION_KINDS for note in dataset.notes)
    return ("asked" if is_asked else "wrong"), f"{dataset.layout} {dataset.columns[:4]} {dataset.entities[:3]} {notes}"
