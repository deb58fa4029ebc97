"""Data of the run card of images."""

from dataclasses import replace

from core.messages import N_, Message
from core.phrases import to_rare_percent
from core.runs.card_data import CardData, build_score_histogram, to_finite
from core.runs.card_model import CardThreshold, Picture, ScoreCard
from core.tasks.images.comparison_result import ImageComparison
from core.tasks.images.model_result import ImageModelResult, ImageScores

MODEL_COUNTS = (
    "rows_fitted",
    "rows_scored",
    "anomalies",
    "auc_roc",
    "auc_pr",
    "sensitivity",
    "specificity",
    "collapsed",
)
SCORE_COUNTS = ("rows_scored", "anomalies", "auc_roc", "auc_pr")
RATE_REASON = N_("Computed from {count} held-out normal images. Target share of normal images above it: {share}.")


def describe(result: ImageModelResult | ImageScores | ImageComparison) -> CardData:
    """Return threshold, figures, picture and notes of a model, of scores, or of a comparison."""
    if isinstance(result, ImageComparison):
        return _describe_comparison(result)
    metrics = result.metrics()
    is_model = isinstance(result, ImageModelResult)
    return CardData(
        files=result.data.files,
        threshold=_describe_threshold(result),
        counts={name: metrics[name] for name in (MODEL_COUNTS if is_model else SCORE_COUNTS) if name in metrics},
        picture=_build_picture(result),
        notes=result.notes,
    )


def _describe_threshold(result: ImageModelResult | ImageScores) -> CardThreshold | None:
    if result.threshold is None or result.promised_rate is None:
        return None
    if isinstance(result, ImageModelResult):
        spec, count, measured = result.spec, result.counts.held_out, to_finite(result.alarm_rate)
    else:
        spec, count, measured = result.model_spec, result.held_out_count, None
    reason = Message(RATE_REASON, {"count": count, "share": to_rare_percent(result.promised_rate)})
    return CardThreshold(
        result.threshold, "conformal", spec.false_alarm_rate, "rows", reason, result.promised_rate, measured
    )


def _build_picture(result: ImageModelResult | ImageScores) -> Picture | None:
    picture = build_score_histogram(result.rows["score"], float("nan"))
    if picture is None:
        return None
    return replace(picture, title=Message(N_("Scores of the images")), mark=result.threshold)


def _describe_comparison(result: ImageComparison) -> CardData:
    ranking = result.ranking
    names = ("auc_roc", "auc_pr", "worst", "seconds")
    lines = tuple(
        (str(line["detector"]), tuple(to_finite(line[name]) for name in names)) for line in ranking.to_dict("records")
    )
    means = {str(line["detector"]): to_finite(line["auc_roc"]) for line in ranking.to_dict("records")}
    return CardData(
        files=result.data.files,
        score_card=ScoreCard(names, lines),
        counts={name: result.metrics()[name] for name in ("cells", "cells_failed")},
        picture=Picture(
            "bars", Message(N_("Mean AUC-ROC by detector")), tuple(means), {"auc_roc": tuple(means.values())}
        ),
        notes=result.notes,
    )
