"""Bar charts as SVG, by hand: a few rectangles need no library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

_WIDTH, _LABELS, _FIGURES, _BAR, _GAP, _TOP = 760, 200, 70, 18, 14, 64
_COLOURS = ("#3b6ea5", "#c2703d", "#6a8f4e", "#8b8b8b")


@dataclass(frozen=True, slots=True)
class Chart:
    """Groups of bars, one bar for each series; `limits` are lines at values that should not be passed.

    `rows` holds a value per series for each label, None where there is none.
    """

    title: str
    series: Sequence[str]
    rows: Mapping[str, Sequence[float | None]]
    limits: Mapping[str, float] = field(default_factory=dict)

    def svg(self) -> str:
        """The picture."""
        largest = max([*(value or 0.0 for row in self.rows.values() for value in row), *self.limits.values(), 1e-9])
        scale = (_WIDTH - _LABELS - _FIGURES) / largest
        group = _BAR * len(self.series) + _GAP
        height = _TOP + group * len(self.rows) + 12
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" font-size="13">',
            f"<title>{escape(self.title)}</title>",
            "<style>text {font-family: system-ui, sans-serif}</style>",
            f'<rect width="{_WIDTH}" height="{height}" rx="6" fill="#ffffff"/>',
            _text(12, 24, self.title, weight="600"),
        ]
        for number, name in enumerate(self.series):
            x = _LABELS + number * 160
            parts.append(f'<rect x="{x}" y="36" width="12" height="12" fill="{_COLOURS[number]}"/>')
            parts.append(_text(x + 18, 47, name))
        for number, (label, values) in enumerate(self.rows.items()):
            y = _TOP + number * group
            parts.append(_text(_LABELS - 10, y + _BAR * len(self.series) / 2 + 4, label, anchor="end"))
            for place, value in enumerate(values):
                if value is not None:
                    parts += _bar(y + place * _BAR, value * scale, value, _COLOURS[place])
        for number, (name, value) in enumerate(self.limits.items()):
            parts += _limit(_LABELS + value * scale, height, name, _COLOURS[number])
        return "\n".join([*parts, "</svg>", ""])


def _bar(y: float, width: float, value: float, colour: str) -> list[str]:
    return [
        f'<rect x="{_LABELS}" y="{y}" width="{width:.1f}" height="{_BAR - 3}" fill="{colour}"/>',
        _text(_LABELS + width + 6, y + 12, f"{value:,.0f}" if value >= 100 else f"{value:.2f}"),
    ]


def _limit(x: float, height: float, name: str, colour: str) -> list[str]:
    line = (
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 6}" y2="{height - 8}" stroke="{colour}" stroke-dasharray="4 3">'
    )
    return [f"{line}<title>{escape(name)}</title></line>"]


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "400") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" fill="#222">{escape(text)}</text>'
    )
