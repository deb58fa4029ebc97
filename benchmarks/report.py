"""Result table of a benchmark: lines with a ratio or a figure, its spread and its target."""

from dataclasses import astuple, dataclass
from pathlib import Path

COLUMN_HEADS = ("measured", "result", "spread", "from", "target", "")


@dataclass(frozen=True)
class ResultLine:
    """One line of the result table.

    spread   lowest to highest value of the repetitions
    basis    the two sides of a ratio, as medians
    target   the accepted values
    verdict  "met" or "MISSED"; "" without a target
    """

    measured: str
    result: str
    spread: str = ""
    basis: str = ""
    target: str = ""
    verdict: str = ""


def build_ratio(
    measured: str, ours: list[float], theirs: list[float], *, unit: str = "s", target: float | None = None
) -> ResultLine:
    """Return the ratio of our median to theirs; the spread is that of the ratios of single repetitions."""
    ratios = [our_value / their_value for our_value, their_value in zip(ours, theirs, strict=True)]
    result = median(ours) / median(theirs)
    return ResultLine(
        measured,
        f"{result:.2f} x",
        f"{min(ratios):.2f} – {max(ratios):.2f}",
        f"{median(ours):.3g} {unit} : {median(theirs):.3g} {unit}",
        *check_target(result, target, "x"),
    )


def build_figure(measured: str, values: list[float], unit: str, target: float | None = None) -> ResultLine:
    """Return the median of the repetitions."""
    result = median(values)
    return ResultLine(
        measured,
        f"{result:.3g} {unit}",
        f"{min(values):.3g} – {max(values):.3g}",
        f"{len(values)} repetitions",
        *check_target(result, target, unit),
    )


def check_target(result: float, target: float | None, unit: str) -> tuple[str, str]:
    """Return the target as text, and "met" or "MISSED"; ("", "") without a target."""
    return ("", "") if target is None else (f"≤ {target:.3g} {unit}", "met" if result <= target else "MISSED")


def median(values: list[float]) -> float:
    """Return the median of `values`."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def peak_mb() -> float:
    """Return the peak memory of this process in MB.

    `ru_maxrss` is not used, because it starts with the memory of the parent process.
    """
    [line] = [
        line for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines() if line.startswith("VmHWM")
    ]
    return int(line.split()[1]) * 1024 / 1e6


def print_table(title: str, lines: list[ResultLine]) -> None:
    """Print the lines as an aligned table."""
    rows = [COLUMN_HEADS, *(astuple(line) for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMN_HEADS))]
    print(f"\n{title}")
    for row in rows:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
