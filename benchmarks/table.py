"""Plain-text tables of figures."""

import math
from collections.abc import Mapping, Sequence


def number(value: float | None) -> str:
    """Three figures are what a measurement here is worth; a missing one is blank."""
    if value is None or math.isnan(value):
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def table(
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    cells: Mapping[tuple[str, str], float | None],
) -> str:
    """`cells` are found under (row, column)."""
    lines = [[title, *columns]]
    lines += [[row, *(number(cells.get((row, column))) for column in columns)] for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns) + 1)]
    text = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    text.insert(1, "-" * max(map(len, text)))
    return "\n".join(text)
