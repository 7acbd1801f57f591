"""Findings: what the exploration has to say, in plain words."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field

#: Rows that a finding shows as examples.
MOST_ROWS = 20


@dataclass(frozen=True)
class Finding:
    """One thing worth knowing.

    Attributes:
        severity: 3 would spoil the result, 2 deserves a decision, 1 is good to know.
        title: a short sentence.
        text: what it means and what to do, naming the config key.
        rows: examples, dictionaries with equal keys.
    """

    severity: int
    title: str
    text: str
    rows: Sequence[dict] = field(default_factory=list)

    def plain(self) -> dict:
        """As JSON; only the first `MOST_ROWS` examples."""
        assert self.severity in (1, 2, 3), self.severity
        return {**asdict(self), "rows": list(self.rows)[:MOST_ROWS]}


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """By severity; equal ones stay in their order."""
    return sorted(findings, key=lambda finding: -finding.severity)


def share(part: float, whole: float) -> str:
    """`12 %`, with a digit more below ten per cent; `0 %` of nothing."""
    percent = 100 * part / whole if whole else 0.0
    return f"{percent:.0f} %" if percent >= 10 or percent == 0 else f"{percent:.2g} %"


def number(value: float) -> str:
    """A number for people: four significant digits, thousands separated."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
