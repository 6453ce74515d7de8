"""What `make bench` measured, as a plot in SVG: readable on light and on dark."""

from html import escape
from math import ceil, floor, log10

from report import CPU, LAST, Results, memory_after, number

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 } .small { font-size: 11px; fill: #57606a }
.grid { stroke: #d0d7de } .plain { fill: #57606a } .small-ring { fill: none; stroke: #57606a; stroke-width: 2 }
.ours .plain { fill: #c2500a } .ours .small-ring { stroke: #c2500a } .ours text { font-weight: 600 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .small { fill: #9198a1 } .grid { stroke: #3d444d }
.plain { fill: #9198a1 } .small-ring { stroke: #9198a1 }
.ours .plain { fill: #ff9b50 } .ours .small-ring { stroke: #ff9b50 } }
"""
LEFT, RIGHT, ROW, WIDTH = 170, 700, 24, 760


class Axis:
    """Logarithmic, of whole decades around the values."""

    def __init__(self, values):
        self.low = floor(log10(min(values)))
        self.high = max(ceil(log10(max(values))), self.low + 1)

    def x(self, value):
        return LEFT + (log10(value) - self.low) / (self.high - self.low) * (RIGHT - LEFT)

    def ticks(self):
        return [10 ** power for power in range(self.low, self.high + 1)]


def mark(x, y, value, is_deflate, label_left):
    kind, radius = ("small-ring", 5) if is_deflate else ("plain", 6)
    anchor, at = ("end", x - 10) if label_left else ("start", x + 10)
    return (f'<circle class="{kind}" cx="{x:.1f}" cy="{y}" r="{radius}"/>'
            f'<text class="small" x="{at:.1f}" y="{y + 4}" text-anchor="{anchor}">{escape(number(value, 1))}</text>')


def panel(top, title, rows):
    """rows: (label, is it ours, plain value, value with deflate); values may be None."""
    axis = Axis([value for _, _, *pair in rows for value in pair if value])
    bottom = top + 22 + ROW * len(rows)
    out = [f'<text class="title" x="8" y="{top + 8}">{escape(title)}</text>']
    for tick in axis.ticks():
        x = axis.x(tick)
        out.append(f'<line class="grid" x1="{x:.1f}" y1="{top + 18}" x2="{x:.1f}" y2="{bottom}"/>'
                   f'<text class="small" x="{x:.1f}" y="{bottom + 14}" text-anchor="middle">{number(tick, 1 if tick < 1 else 0)}</text>')
    for at, (label, is_ours, plain, small) in enumerate(rows):
        y = top + 32 + ROW * at
        out.append(f'<g class="{"ours" if is_ours else "other"}"><text x="8" y="{y + 4}">{escape(label)}</text>')
        for value, is_deflate in ((plain, False), (small, True)):
            if value:
                other = plain if is_deflate else small
                label_left = other is not None and (value, is_deflate) < (other, not is_deflate)
                out.append(mark(axis.x(value), y, value, is_deflate, label_left))
        out.append("</g>")
    return "\n".join(out), bottom + 44


def plot_rows(r, scenario, names, look, scale=1.0):
    plain = {family: (name, label) for name, family, label, is_deflate in reversed(names)
             if not is_deflate and name not in ("bare-uring", "original-uvloop", "heatcast-2")}
    small = {family: name for name, family, _, is_deflate in names if is_deflate}
    for family, (name, label) in reversed(plain.items()):
        values = [r.value(scenario, n, look) if n else None for n in (name, small.get(family))]
        if any(values):
            yield (label.replace("`", ""), family == "heatcast", *[v / scale if v else None for v in values])


def plot(results, names):
    r = Results(results)
    panels = [("Server CPU per client message, µs (1000 clients, 8 KiB)", "1000", CPU, 1.0),
              ("The last of 10 000 clients has it after, ms", "10000", LAST, 1000.0),
              ("Server memory per client after broadcasts, bytes (10 000 clients)", "10000", memory_after, 1.0)]
    top, body = 44, []
    for title, scenario, look, scale in panels:
        rows = list(plot_rows(r, scenario, names, look, scale))
        if rows:
            part, top = panel(top, title, rows)
            body.append(part)
    legend = ('<circle class="plain" cx="16" cy="16" r="6"/><text x="28" y="20">plain</text>'
              '<circle class="small-ring" cx="86" cy="16" r="5"/><text x="98" y="20">permessage-deflate</text>'
              '<text class="small" x="250" y="20">further left is better; each step of the grid is ten times</text>')
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top - 16}" width="{WIDTH}" '
            f'height="{top - 16}" role="img" aria-label="heatcast beside other servers">\n<style>{STYLE}</style>\n'
            + legend + "\n" + "\n".join(body) + "\n</svg>\n")
