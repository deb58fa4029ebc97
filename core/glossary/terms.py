"""The terms of the glossary, each declared once: name, one line of help, a paragraph and a picture."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import plotly.graph_objects as go

from core.figures import term_pictures as pictures
from core.figures import watch_pictures
from core.figures.style import Translate
from core.messages import N_


@dataclass(frozen=True)
class Term:
    """A term of the product.

    name     its name in addresses
    help     one line, shown as the help of a figure or a field
    text     a paragraph: how it is computed, how to read it, what it does not tell
    draw     function that draws the picture of the term
    names    names of the metrics of runs and of the options that it explains
    """

    name: str
    label: str
    help: str
    text: str
    draw: Callable[[Translate], go.Figure]
    names: tuple[str, ...] = ()


def _index_by_name(*terms: Term) -> Mapping[str, Term]:
    return {term.name: term for term in terms}


TERMS = _index_by_name(
    Term(
        "threshold",
        N_("Threshold"),
        N_("Score above which a row is flagged."),
        N_(
            "Every row has a score: the higher, the more abnormal. Rows with a score above the threshold are flagged. "
            "A low threshold finds more anomalies and raises more false alarms; a high threshold does the opposite."
        ),
        pictures.draw_threshold,
        ("threshold",),
    ),
    Term(
        "false-alarm-rate",
        N_("False-alarm rate"),
        N_("How often a normal row is flagged by mistake."),
        N_(
            "The target is the rate that the threshold allows, for instance one false alarm a month for each entity. "
            "The measured rate stands next to it. Without labels, true alarms are part of the measured rate, so it can "
            "be higher than the target although nothing is wrong."
        ),
        pictures.draw_false_alarms,
        ("alarm_rate", "promised_rate"),
    ),
    Term(
        "contamination",
        N_("Contamination"),
        N_("Share of the rows that are flagged, whatever their scores."),
        N_(
            "With a contamination of 1 %, the hundredth part of the rows with the highest scores is flagged, even if "
            "all rows are normal. Nothing is known about false alarms. Prefer a threshold with a target false-alarm "
            "rate, and use the contamination for comparison with other programs."
        ),
        pictures.draw_contamination,
        ("contamination",),
    ),
    Term(
        "spread",
        N_("Spread (σ)"),
        N_("Usual size of the deviations. A value that is 3 σ away is three times as far as usual."),
        N_(
            "The spread σ says how far the values of an entity usually lie from the expected value. About 95 % of the "
            "usual values lie within 2 σ. Deviations in spreads can be compared between entities of different size."
        ),
        pictures.draw_spread,
    ),
    Term(
        "severity",
        N_("Severity"),
        N_("How unusual an alarm is, in words, to decide which one to look at first."),
        N_(
            "For rows, the severity is the rarity of the score among the training rows: extreme, one in 10,000; rare, "
            "one in 1,000; notable, one in 100. For forecasts, it is the distance from the interval, in widths of the "
            "interval, together with the duration. It does not say how much the event costs."
        ),
        pictures.draw_severity,
    ),
    Term(
        "incident",
        N_("Incident"),
        N_("Flagged rows of one entity that follow one another count once."),
        N_(
            "A fault often lasts for several rows. They form one incident, which is listed by its row with the highest "
            "score. The number of incidents says how often somebody has to look, the number of rows how long the "
            "faults last."
        ),
        pictures.draw_incident,
    ),
    Term(
        "watch",
        N_("Watch"),
        N_("A saved question that is asked again by itself, and tells people what it finds."),
        N_(
            "A watch reads what is new at its source, lets a model judge these rows as the page would, and opens "
            "incidents. Alarms of one entity that touch in time are one incident, from its beginning to its end."
        ),
        watch_pictures.draw_watch,
    ),
    Term(
        "tick",
        N_("Tick"),
        N_("One time that a watch is asked, by its schedule."),
        N_(
            "Each tick judges the rows that came since the one before. No row is judged twice, and a late one is "
            "judged when it comes. Ticks that were missed while nothing ran are made up by one."
        ),
        watch_pictures.draw_ticks,
    ),
    Term(
        "recipient",
        N_("Recipient"),
        N_("A person or a channel that is told about incidents: by mail, webhook or chat."),
        N_(
            "A recipient has a language, quiet hours and a largest number of messages an hour. Incidents beyond it "
            "wait and come together in one message. In quiet hours, only incidents of the highest severity are told."
        ),
        watch_pictures.draw_messages,
    ),
    Term(
        "maintenance-window",
        N_("Maintenance window"),
        N_("A stretch of time in which the incidents of a watch are not announced."),
        N_(
            "During planned work, alarms are expected. Incidents are opened as always, so that nothing is lost, but "
            "nobody is told. A window happens once, or again and again."
        ),
        watch_pictures.draw_maintenance,
    ),
    Term(
        "replay",
        N_("Replay"),
        N_("A watch on the past: the incidents that it would have opened, at each threshold."),
        N_(
            "The rows of the past are judged in the order of time, as the watch would have judged them. Against "
            "verdicts or labels, it shows how many incidents are true and how many faults are found, before anybody is "
            "told."
        ),
        watch_pictures.draw_replay,
    ),
    Term(
        "precision",
        N_("Precision"),
        N_("Share of the alarms that are true. 100 % means no false alarm."),
        N_(
            "Of ten alarms, of which eight are true, the precision is 80 %. It does not tell how many anomalies were "
            "missed: this is the recall. The two are read together."
        ),
        partial(pictures.draw_hits, kind="precision"),
        ("precision", "verdict_precision"),
    ),
    Term(
        "recall",
        N_("Recall (sensitivity)"),
        N_("Share of the anomalies that are found. 100 % means that none was missed."),
        N_(
            "Of ten anomalies, of which six are flagged, the recall is 60 %. A threshold that flags every row has a "
            "recall of 100 %, so the recall alone says little. The two are read together: recall and precision."
        ),
        partial(pictures.draw_hits, kind="recall"),
        ("recall", "sensitivity", "planted_recall"),
    ),
    Term(
        "f1",
        N_("F1"),
        N_("Precision and recall in one number, from 0 (worst) to 1 (best), at one threshold."),
        N_(
            "F1 is the harmonic mean of precision and recall: it is high only if both are. The best F1 uses the "
            "threshold that fits the labels best. Nobody knows this threshold in advance, so F1 on new data is lower. "
            "Event F1 counts whole events instead of rows."
        ),
        pictures.draw_f1,
        ("f1", "event_f1"),
    ),
    Term(
        "affiliation-f1",
        N_("Affiliation F1"),
        N_("F1 that also gives credit for alarms close to an anomaly, from 0 to 1."),
        N_(
            "An alarm a few rows before or after a labelled anomaly is useful to people, but F1 counts it as false. "
            "Affiliation F1 measures the distance in time between alarms and anomalies instead. Random "
            "alarms also reach high values: compare it with that of random scores."
        ),
        pictures.draw_affiliation,
        ("affiliation_f1",),
    ),
    Term(
        "auc-roc",
        N_("AUC-ROC"),
        N_("Chance that an anomaly has a higher score than a normal row: 0.5 is random, 1 is perfect."),
        N_(
            "The ROC curve shows, for every threshold, the share of anomalies found and the share of normal rows "
            "flagged. AUC-ROC is the area below it. Where anomalies are rare it looks better than the alarms are: one "
            "per cent of many normal rows are many false alarms."
        ),
        pictures.draw_roc,
        ("auc_roc",),
    ),
    Term(
        "auc-pr",
        N_("AUC-PR"),
        N_("Mean precision over all thresholds, from the share of anomalies (random) to 1 (perfect)."),
        N_(
            "The curve shows, for every threshold, the recall and the precision. AUC-PR is the area below it. It is "
            "strict where anomalies are rare. Random scores reach the share of the anomalies in the data, for example "
            "0.02."
        ),
        pictures.draw_precision_recall,
        ("auc_pr",),
    ),
    Term(
        "vus-pr",
        N_("VUS-PR"),
        N_("AUC-PR for series: alarms slightly before or after an anomaly count in part. From 0 to 1."),
        N_(
            "Labels of series are rarely exact to the row. VUS-PR extends each labelled anomaly by windows of growing "
            "length, computes AUC-PR for each window and takes the mean. It needs no threshold. Compare only values "
            "that were computed with the same window."
        ),
        pictures.draw_vus,
        ("vus_pr", "vus_roc"),
    ),
    Term(
        "backtest",
        N_("Backtest"),
        N_("Forecasts of past days, made with what was known at that time and compared with what happened."),
        N_(
            "The model is trained on the days before the test only. It then forecasts the test days one by one. The "
            "errors tell what to expect of future forecasts, as long as the future resembles the past."
        ),
        pictures.draw_backtest,
        ("backtest_from",),
    ),
    Term(
        "naive-forecast",
        N_("Naive forecast"),
        N_("Repeats the last value, or the value of one season before. A useful model has a smaller error."),
        N_(
            "Seasonal naive repeats the same weekday of last week, or the same time of the day before. It learns "
            "nothing and costs nothing. The skill says by how much a model reduces its error: 0 is no better, 1 is "
            "perfect, below 0 is worse."
        ),
        pictures.draw_naive,
        ("skill", "skill_naive1", "skill_naive7"),
    ),
    Term(
        "wape",
        N_("WAPE"),
        N_("Mean size of the error in percent of the mean amount. Lower is better; 0 % is perfect."),
        N_(
            "Weighted absolute percentage error: the sum of the absolute errors divided by the sum of the amounts. A "
            "WAPE of 5 % means that a forecast of 100 is wrong by 5 on average. Large entities count more than small "
            "ones."
        ),
        pictures.draw_errors,
        ("wape",),
    ),
    Term(
        "mase",
        N_("MASE"),
        N_("Error divided by the error of the naive forecast. Below 1 is better than naive."),
        N_(
            "Mean absolute scaled error: the mean error of the forecasts divided by the mean error of repeating the "
            "value of one season before. It has no unit, so it can be compared between entities of different size."
        ),
        pictures.draw_scaled_errors,
        ("mase",),
    ),
    Term(
        "quantile-loss",
        N_("Quantile loss (WQL)"),
        N_("Error of the median and of the interval together. Lower is better."),
        N_(
            "A forecast of quantiles says, for instance, that 90 % of the values stay below 120. The quantile loss "
            "grows with the distance of the measured value from each quantile, more on the side that should be rare. "
            "The mean weighted quantile loss divides it by the amounts."
        ),
        pictures.draw_quantile_loss,
        ("quantile_loss", "mwql"),
    ),
    Term(
        "interval",
        N_("Prediction interval"),
        N_("Range that contains the measured value with the stated probability, for instance 90 %."),
        N_(
            "The intervals are conformal: their width comes from errors of past forecasts, without an assumption about "
            "their distribution. An interval of 90 % is wrong on one usual day in ten. A value outside it is unusual, "
            "not necessarily a fault."
        ),
        pictures.draw_interval,
        ("quantiles", "level"),
    ),
    Term(
        "coverage",
        N_("Coverage"),
        N_("Share of the measured values inside their interval. It should be close to the stated probability."),
        N_(
            "The nominal coverage is the share that the interval should contain, for instance 90 %. The measured "
            "coverage is what the backtest found. Below the nominal value the intervals are too narrow, above it they "
            "are too wide."
        ),
        pictures.draw_coverage,
        ("coverage", "coverage_50", "coverage_ahead"),
    ),
    Term(
        "silhouette",
        N_("Silhouette"),
        N_("How well the clusters are separated: 1 clearly, 0 not at all, below 0 wrongly."),
        N_(
            "For every point, the distance to its own cluster is compared with that to the nearest other cluster. The "
            "mean over all points helps to choose the number of clusters. It favours round clusters of similar size."
        ),
        pictures.draw_silhouette,
        ("silhouette",),
    ),
    Term(
        "drift",
        N_("Drift (PSI)"),
        N_("Change of the values since the training: above 0.1 moderate, above 0.25 major."),
        N_(
            "The population stability index compares the distribution of new values with that of the training data. A "
            "model that was trained on other values may raise false alarms or miss anomalies: check its results, or "
            "train it again."
        ),
        pictures.draw_drift,
        ("psi",),
    ),
    Term(
        "erlang",
        N_("Erlang"),
        N_("Traffic of a trunk: the mean number of calls at the same time."),
        N_(
            "Thirty calls of two minutes within one hour occupy the trunk for sixty minutes: one Erlang. The number of "
            "lines needed grows with it."
        ),
        pictures.draw_erlang,
    ),
    Term(
        "ccr",
        N_("Call completion ratio (CCR)"),
        N_("Share of the call attempts that are answered."),
        N_(
            "Answered calls divided by all attempts of an interval. With few attempts the ratio varies by chance, so "
            "its interval is wider then. It is undefined without attempts."
        ),
        pictures.draw_completion,
        ("ccr",),
    ),
)
"""All terms by name, in the order of the page: alarms, quality of detectors, forecasts, clusters and data."""

_TERM_BY_METRIC = {name: term for term in TERMS.values() for name in term.names}


def find_term(name: str) -> Term | None:
    """Return the term with this name, or the one that explains this metric or option; None if there is none.

    Example:
        >>> [term.label for term in map(find_term, ("wape", "event_f1", "seconds")) if term]
        ['WAPE', 'F1']
    """
    return TERMS.get(name) or _TERM_BY_METRIC.get(name)
