"""Result table of a benchmark: lines with a ratio or a figure, its spread and its target."""

from dataclasses import astuple, dataclass
from pathlib import Path

HEADS = ("measured", "result", "spread", "from", "target", "")


@dataclass(frozen=True)
class Line:
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


def ratio(
    measured: str, ours: list[float], theirs: list[float], *, unit: str = "s", target: float | None = None
) -> Line:
    """Return the ratio of our median to theirs; the spread is that of the ratios of single repetitions."""
    each = [one / other for one, other in zip(ours, theirs, strict=True)]
    found = median(ours) / median(theirs)
    return Line(
        measured,
        f"{found:.2f} x",
        f"{min(each):.2f} – {max(each):.2f}",
        f"{median(ours):.3g} {unit} : {median(theirs):.3g} {unit}",
        *judged(found, target, "x"),
    )


def figure(measured: str, values: list[float], unit: str, target: float | None = None) -> Line:
    """Return the median of the repetitions."""
    found = median(values)
    return Line(
        measured,
        f"{found:.3g} {unit}",
        f"{min(values):.3g} – {max(values):.3g}",
        f"{len(values)} repetitions",
        *judged(found, target, unit),
    )


def judged(found: float, target: float | None, unit: str) -> tuple[str, str]:
    """Return the target as text, and "met" or "MISSED"; ("", "") without a target."""
    return ("", "") if target is None else (f"≤ {target:.3g} {unit}", "met" if found <= target else "MISSED")


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


def show(title: str, lines: list[Line]) -> None:
    """Print the lines as an aligned table."""
    rows = [HEADS, *(astuple(line) for line in lines)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEADS))]
    print(f"\n{title}")
    for row in rows:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
