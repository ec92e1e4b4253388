"""Tables as Markdown to read and LaTeX to print."""

from __future__ import annotations

from collections.abc import Sequence

from crgan.report.html import Table


def markdown(table: Table) -> str:
    """A table with its caption above and its note below."""
    lines = [f"**{table.caption}**", "", _piped(table.columns), _piped(["---"] * len(table.columns)), *(_piped(row) for row in table.rows)]
    return "\n".join([*lines, "", *([table.note, ""] if table.note else [])])


def latex(table: Table) -> str:
    """A ``table`` environment for the package booktabs."""
    body = [" & ".join(_escaped(cell) for cell in row) + r" \\" for row in (table.columns, *table.rows)]
    caption = f"{table.caption}. {table.note}".strip()
    return "\n".join(
        [
            r"\begin{table}",
            rf"  \caption{{{_escaped(caption)}}}",
            rf"  \begin{{tabular}}{{{'l' * table.names}{'r' * (len(table.columns) - table.names)}}}",
            r"    \toprule",
            f"    {body[0]}",
            r"    \midrule",
            *(f"    {line}" for line in body[1:]),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _piped(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "−": "$-$"}


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(letter, f"\\{letter}" if letter in "&%$#_{}" else letter) for letter in text)
