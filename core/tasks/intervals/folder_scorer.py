"""Scorer of batches by calibrated intervals: every dataset of a batch gets a forecaster of its own."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa

from core.batch.read_files import SourceDataset
from core.batch.scorer import SUMMARY_SCHEMA, TIMESTAMP_TYPE, WORD_TYPE, BatchTables, encode_words, to_utf8
from core.data.ingest.files import SkippedFile
from core.errors import InputError
from core.messages import N_, Message
from core.progress import Progress
from core.tasks.intervals.judging import MeasureJudgement, judge_measures, read_measures
from core.tasks.intervals.result import JUDGED, NAIVE
from core.tasks.intervals.spec import IntervalsFolderSpec
from core.tasks.intervals.tables import MeasureData

EVENTS, MODELS = "events", "models"
MAX_ENTITIES = 20  # named in the reason of a skipped file
SCORES_SCHEMA = pa.schema(
    {
        "file": WORD_TYPE,
        "entity": WORD_TYPE,
        "measure": WORD_TYPE,
        "time": TIMESTAMP_TYPE,
        **dict.fromkeys(("y", "yhat", "yhat_lower", "yhat_upper", "distance", "score"), pa.float64()),
        "anomaly": pa.bool_(),
    }
)
SERIES_SCHEMA = SUMMARY_SCHEMA.insert(2, pa.field("measure", pa.string()))
EVENTS_SCHEMA = pa.schema(
    {
        **dict.fromkeys(("file", "entity", "measure", "kind", "severity"), pa.string()),
        **dict.fromkeys(("start", "end", "peak"), TIMESTAMP_TYPE),
        **dict.fromkeys(("y", "yhat", "distance", "rel_distance"), pa.float64()),
        **dict.fromkeys(("steps", "points"), pa.int32()),
        "score": pa.float64(),
        "is_open": pa.bool_(),
    }
)
MODELS_SCHEMA = pa.schema(
    {
        **dict.fromkeys(("file", "measure"), pa.string()),
        "entities": pa.int32(),
        "rows": pa.int64(),
        "step_s": pa.float64(),
        **dict.fromkeys(("horizon", "calibration_windows", "test_windows"), pa.int32()),
        **dict.fromkeys(("first_judged", "last_judged"), TIMESTAMP_TYPE),
        **dict.fromkeys(("spikes", "imputed", "silent"), pa.int64()),
        **dict.fromkeys(("mwql", "mwql_naive"), pa.float64()),
    }
)
"""One row per dataset of a batch and measure, each with a forecaster of its own.

entities       number of series
rows           number of rows that were read
horizon, calibration_windows, test_windows  as in `JudgingSpec`; those of data whose length differs may differ
first_judged, last_judged  first and last step of the judged period (local clock)
spikes, imputed, silent  values that the forecaster saw replaced or filled; zeros that were taken as missing
mwql           mean weighted quantile loss of the forecaster; `mwql_naive`: of seasonal naive, NaN where not compared
"""


@dataclass(frozen=True)
class IntervalsScorer:
    """Judges the series of a batch by `spec`. Implements `core.batch.scorer.BatchScorer`."""

    spec: IntervalsFolderSpec

    def score_datasets(self, sources: Iterable[SourceDataset], skipped: list[SkippedFile]) -> BatchTables:
        """Return the judged points, one summary per series and measure, the events, and the models.

        A dataset that cannot be judged, because it is too short or has no even step, is added to `skipped`.
        """
        parts = []
        for source in sources:
            try:
                parts.append(self._judge(source))
            except InputError as error:
                reason = _describe_reason(source, error)
                skipped += [SkippedFile(name, reason) for name in source.file_names]
        return _join_parts(parts)

    def _judge(self, source: SourceDataset) -> BatchTables:
        dataset = source.dataset
        spec, measures = read_measures(replace(self.spec, value=self.spec.choose_measures(dataset)), dataset)
        _, judgement = judge_measures(spec, dataset, measures, Progress())
        names = [str(name) for name in judgement.rows["entity"].cat.categories]
        files = {name: to_utf8(source.get_file(name)) for name in names}
        judged = judgement.rows[(judgement.rows["phase"] == JUDGED) & judgement.rows["distance"].notna()]
        return BatchTables(
            _build_scores(judged, files),
            _build_summary(judged, files),
            int(judged["anomalous"].sum()),
            {EVENTS: _build_events(judgement.events, files), MODELS: _build_models(spec, source, measures, judgement)},
        )


def _describe_reason(source: SourceDataset, error: InputError) -> Message:
    """Return why a dataset was not judged, with the names of its entities: other parts of its file may be judged."""
    entities = source.dataset.entities
    names = ", ".join(entities[:MAX_ENTITIES]) + (" …" if len(entities) > MAX_ENTITIES else "")
    values = {"reason": str(error), "count": len(entities), "entities": names}
    return Message(N_("{reason} Series that are not judged: {count} ({entities})."), values)


def _join_parts(parts: Sequence[BatchTables]) -> BatchTables:
    others = {EVENTS: EVENTS_SCHEMA.empty_table(), MODELS: MODELS_SCHEMA.empty_table()}
    return BatchTables(
        pa.concat_tables([SCORES_SCHEMA.empty_table(), *(part.scores for part in parts)]).unify_dictionaries(),
        pa.concat_tables([SERIES_SCHEMA.empty_table(), *(part.summary for part in parts)]),
        sum(part.anomalies for part in parts),
        {name: pa.concat_tables([empty, *(part.others[name] for part in parts)]) for name, empty in others.items()},
    )


# ---- tables of one dataset ------------------------------------------------------------------------------------------


def _build_scores(judged: pd.DataFrame, files: dict[str, str]) -> pa.Table:
    """Return the judged points, entity after entity; `files` is the source file of every entity."""
    numbers = ("time", "y", "yhat", "yhat_lower", "yhat_upper", "distance", "score")
    entities, measures = judged["entity"].cat, judged["measure"].cat
    return pa.table(
        {
            "file": encode_words(list(files.values()), entities.codes.to_numpy()),
            "entity": encode_words([to_utf8(name) for name in files], entities.codes.to_numpy()),
            "measure": encode_words(list(measures.categories), measures.codes.to_numpy()),
            **{name: pa.array(judged[name].to_numpy()) for name in numbers},
            "anomaly": judged["anomalous"].to_numpy(),
        }
    ).cast(SCORES_SCHEMA)


def _build_summary(judged: pd.DataFrame, files: dict[str, str]) -> pa.Table:
    """Return one row per entity and measure, in the order of the data; without a judged point, `rows` is 0."""
    groups = judged.groupby(["measure", "entity"], observed=False, sort=True)
    outside = judged[judged["anomalous"]].groupby(["measure", "entity"], observed=False, sort=True)["time"]
    table = groups.agg(
        rows=("time", "size"),
        first=("time", "first"),
        last=("time", "last"),
        max_score=("score", "max"),
        anomalies=("anomalous", "sum"),
    )
    table = table.assign(first_anomaly=outside.first(), last_anomaly=outside.last()).reset_index()
    names = [str(name) for name in table["entity"]]
    table = table.assign(
        file=[files[name] for name in names],
        entity=[to_utf8(name) for name in names],
        measure=table["measure"].astype(str),
    )
    return _to_arrow(table, SERIES_SCHEMA)


def _build_events(events: pd.DataFrame, files: dict[str, str]) -> pa.Table:
    names = [str(name) for name in events["entity"]]
    table = events.assign(
        file=[files[name] for name in names],
        entity=[to_utf8(name) for name in names],
        measure=events["measure"].astype(str),
    )
    return _to_arrow(table, EVENTS_SCHEMA)


def _build_models(
    spec: IntervalsFolderSpec, source: SourceDataset, measures: Sequence[MeasureData], judgement: MeasureJudgement
) -> pa.Table:
    assert spec.test_windows is not None
    assert spec.horizon is not None
    records = []
    for data in measures:
        series, scores = data.history, judgement.scores
        lines = scores[(scores["measure"] == data.measure) & (scores["entity"] == "")].set_index("model")["mwql"]
        records.append(
            {
                "file": to_utf8(source.name or source.file_names[0]),
                "measure": data.measure,
                "entities": len(series.entities),
                "rows": len(source.dataset),
                "step_s": series.step.total_seconds(),
                "horizon": spec.horizon,
                "calibration_windows": spec.calibration_windows,
                "test_windows": spec.test_windows,
                "first_judged": series.local_times[len(series) - spec.test_windows * spec.horizon],
                "last_judged": series.local_times[-1],
                "spikes": int(data.cleaned.is_spike.sum()),
                "imputed": int(data.cleaned.is_imputed.sum()),
                "silent": int(data.cleaned.is_silent.sum()),
                "mwql": float(lines[spec.forecaster.name]),
                "mwql_naive": float(lines.get(NAIVE, np.nan)),
            }
        )
    return _to_arrow(pd.DataFrame(records), MODELS_SCHEMA)


def _to_arrow(table: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """Return the columns of `schema`, without the metadata of pandas."""
    return pa.Table.from_pandas(table[schema.names], schema, preserve_index=False).replace_schema_metadata()
