# SPDX-License-Identifier: MIT
"""The bar chart of a summary, as SVG text."""

from xml.sax.saxutils import escape

from works import SUBJECTS, WORKS

_COLOURS = {"nginx": "#9aa5b1", "epoll": "#c3cad2", "epoll-no-offload": "#dfe3e8", "null": "#f0e6c8",
            "host-tap": "#7fb3d5", "host-vnet": "#2471a3", "hvt-tap": "#d35400"}
_LEFT, _WIDTH, _BAR, _GAP, _HEAD = 230, 560, 15, 20, 98


def svg(result):
    """Ratios to Linux on one processor (total cost where that was not measured); 1 is a line through all bars."""
    mode = "one" if any(row["mode"] == "one" for row in result["rows"]) else "total"
    rows = [row for row in result["rows"] if row["mode"] == mode and row["ratio"] is not None]
    longest = max([1.5] + [row["ratio_max"] for row in rows])
    scale = _WIDTH / longest
    body, y = [], _HEAD
    for work in WORKS:
        group = [row for row in rows if row["work"] == work.name]
        if not group:
            continue
        middle = y + len(group) * _BAR / 2 + 4
        body.append(f'<text x="{_LEFT - 10}" y="{middle:.0f}" text-anchor="end">{escape(work.title)}</text>')
        for row in group:
            body.append(_bar(row, y, scale))
            y += _BAR
        y += _GAP
    one = _LEFT + scale
    body.append(f'<line x1="{one:.1f}" x2="{one:.1f}" y1="{_HEAD - 8}" y2="{y - _GAP + 6}" stroke="#555" '
                'stroke-dasharray="4 3"/>')
    height = y + 42
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 70} {height}" '
        'font-family="sans-serif" font-size="12" fill="#222">',
        '<title>Work for the same processor time, Linux = 1</title>',
        '<rect width="100%" height="100%" fill="#fff"/>',
        '<text x="16" y="26" font-size="16" font-weight="bold">Work for the same processor time (Linux = 1, more is '
        'better)</text>',
        *_legend({row["subject"] for row in rows}), *body,
        *_footer(result["environment"], height - 28), "</svg>", ""])


def _bar(row, y, scale):
    end = _LEFT + row["ratio"] * scale
    low, high = (_LEFT + row[key] * scale for key in ("ratio_min", "ratio_max"))
    centre = y + (_BAR - 2) / 2
    return (f'<rect x="{_LEFT}" y="{y}" width="{end - _LEFT:.1f}" height="{_BAR - 2}" '
            f'fill="{_COLOURS[row["subject"]]}"/>'
            f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{centre}" y2="{centre}" stroke="#222"/>'
            f'<text x="{max(end, high) + 5:.1f}" y="{y + _BAR - 4}" font-size="11">{row["ratio"]:.2f}</text>')


def _legend(names):
    for place, subject in enumerate(subject for subject in SUBJECTS if subject.name in names):
        x, y = 16 + place % 3 * 270, 42 + place // 3 * 20
        yield f'<rect x="{x}" y="{y}" width="11" height="11" fill="{_COLOURS[subject.name]}"/>'
        yield f'<text x="{x + 16}" y="{y + 10}">{escape(subject.title)}</text>'


def _footer(facts, y):
    lines = (f'{facts["processor"]}, {facts["processors"]} processors, Linux {facts["kernel"]}, {facts["nginx"]}',
             f'median of {facts["rounds"]} interleaved rounds, thin lines show their range; {facts["date"]}')
    for number, line in enumerate(lines):
        yield f'<text x="16" y="{y + 16 * number}" fill="#555">{escape(line)}</text>'
