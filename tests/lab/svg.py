"""Line plots as inline SVG. Colours and fonts come from the page's style sheet, by class names."""
from __future__ import annotations

import math
from dataclasses import dataclass, field
from html import escape

MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, MARGIN_BOTTOM = 46, 18, 10, 40


@dataclass
class Axis:
    """A labelled scale. Values outside are clamped, so that a logarithmic axis can show zero at its foot."""

    label: str
    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> float:
        """0 at the low end, 1 at the high end."""
        value = min(max(value, self.low), self.high)
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        if self.log:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            return [10.0 ** e for e in range(first, last + 1)]
        step = nice_step((self.high - self.low) / 5)
        first = math.ceil(self.low / step - 1e-9)
        return [n * step for n in range(first, math.floor(self.high / step + 1e-9) + 1)]


def nice_step(rough: float) -> float:
    """The next of 1, 2, 5 x 10^n."""
    power = 10 ** math.floor(math.log10(rough)) if rough > 0 else 1
    return next(m * power for m in (1, 2, 5, 10) if m * power >= rough - 1e-12)


def tick_text(value: float) -> str:
    return f"{value:.10g}"


@dataclass
class Line:
    css: str  # class of the treatment or "flood"
    title: str
    points: list[tuple[float, float | None]]  # None breaks the line
    band: list[tuple[float, float, float]] = field(default_factory=list)  # x, low, high


@dataclass
class Plot:
    x: Axis
    y: Axis
    width: int = 480
    height: int = 270
    lines: list[Line] = field(default_factory=list)
    marks: list[tuple[float, str]] = field(default_factory=list)  # vertical lines with a word
    shade_until: float | None = None  # x up to which the plot is greyed: the warm-up
    description: str = ""

    def _px(self, value: float) -> float:
        return MARGIN_LEFT + self.x.place(value) * (self.width - MARGIN_LEFT - MARGIN_RIGHT)

    def _py(self, value: float) -> float:
        return self.height - MARGIN_BOTTOM - self.y.place(value) * (self.height - MARGIN_TOP - MARGIN_BOTTOM)

    def _grid(self) -> list[str]:
        bottom, right = self.height - MARGIN_BOTTOM, self.width - MARGIN_RIGHT
        parts = []
        for tick in self.x.ticks():
            px = self._px(tick)
            parts.append(f'<line class="grid" x1="{px:.1f}" x2="{px:.1f}" y1="{MARGIN_TOP}" y2="{bottom}"/>'
                         f'<text class="tick" x="{px:.1f}" y="{bottom + 15}" text-anchor="middle">'
                         f'{tick_text(tick)}</text>')
        for tick in self.y.ticks():
            py = self._py(tick)
            parts.append(f'<line class="grid" x1="{MARGIN_LEFT}" x2="{right}" y1="{py:.1f}" y2="{py:.1f}"/>'
                         f'<text class="tick" x="{MARGIN_LEFT - 6}" y="{py + 4:.1f}" text-anchor="end">'
                         f'{tick_text(tick)}</text>')
        middle_x, middle_y = (MARGIN_LEFT + right) / 2, (MARGIN_TOP + bottom) / 2
        parts.append(f'<line class="axis" x1="{MARGIN_LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/>'
                     f'<text class="label" x="{middle_x}" y="{self.height - 5}" text-anchor="middle">'
                     f'{escape(self.x.label)}</text>'
                     f'<text class="label" transform="translate(12 {middle_y}) rotate(-90)" text-anchor="middle">'
                     f'{escape(self.y.label)}</text>')
        return parts

    def _path(self, points: list[tuple[float, float | None]]) -> str:
        commands, pen_down = [], False
        for x, y in points:
            if y is None:
                pen_down = False
                continue
            commands.append(f"{'L' if pen_down else 'M'}{self._px(x):.1f} {self._py(y):.1f}")
            pen_down = True
        return "".join(commands)

    def _line(self, line: Line) -> str:
        band = ""
        if line.band:
            outline = [(x, high) for x, _, high in line.band] + [(x, low) for x, low, _ in reversed(line.band)]
            band = f'<path class="band {line.css}" d="{self._path(outline)}Z"/>'
        return (f'<g>{band}<path class="line {line.css}" d="{self._path(line.points)}">'
                f'<title>{escape(line.title)}</title></path></g>')

    def _mark(self, x: float, word: str) -> str:
        px = self._px(x)
        return (f'<line class="mark" x1="{px:.1f}" x2="{px:.1f}" y1="{MARGIN_TOP}" y2="{self.height - MARGIN_BOTTOM}"/>'
                f'<text class="tick" x="{px + 4:.1f}" y="{MARGIN_TOP + 10}">{escape(word)}</text>')

    def svg(self) -> str:
        shade = ""
        if self.shade_until:
            shade = (f'<rect class="shade" x="{MARGIN_LEFT}" y="{MARGIN_TOP}" '
                     f'width="{self._px(self.shade_until) - MARGIN_LEFT:.1f}" '
                     f'height="{self.height - MARGIN_TOP - MARGIN_BOTTOM}"/>')
        body = [shade, *self._grid(), *(self._line(line) for line in self.lines),
                *(self._mark(x, word) for x, word in self.marks)]
        return (f'<svg viewBox="0 0 {self.width} {self.height}" role="img" aria-label="{escape(self.description)}">'
                + "".join(body) + "</svg>")
