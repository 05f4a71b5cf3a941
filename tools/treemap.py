# SPDX-License-Identifier: MIT
"""A picture of sizes: nested rectangles whose areas are proportional to them, as SVG."""
from xml.sax.saxutils import escape

COLOURS = ["#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2", "#edc948", "#b07aa1", "#ff9da7", "#9c755f", "#8cd17d", "#86bcb6",
           "#d37295", "#a0cbe8", "#ffbe7d", "#bab0ac"]
WIDTH, HEIGHT, TITLE = 1200, 760, 30
HEADER = 16  # of a group, when it is large enough for its name


def worst(row, side, scale):
    """The least square of the row's rectangles, as a ratio of at least 1."""
    total = sum(row) * scale
    return max(max(side * side * v * scale / total ** 2, total ** 2 / (side * side * v * scale)) for v in row)


def squarify(sizes, x, y, width, height):
    """Rectangles (x, y, width, height) for sizes in descending order, as near to squares as rows of them get (Bruls,
    Huizing, van Wijk: Squarified Treemaps)."""
    found, rest = [], list(sizes)
    while rest:
        left = sum(rest)
        if left <= 0 or width <= 0 or height <= 0:
            found += [(x, y, 0, 0)] * len(rest)
            break
        scale, side = width * height / left, min(width, height)
        count = 1
        while count < len(rest) and worst(rest[:count + 1], side, scale) <= worst(rest[:count], side, scale):
            count += 1
        row, rest = rest[:count], rest[count:]
        thick, at = sum(row) * scale / side, 0.0
        for size in row:
            long = size * scale / thick
            found.append((x, y + at, thick, long) if width >= height else (x + at, y, long, thick))
            at += long
        if width >= height:
            x, width = x + thick, width - thick
        else:
            y, height = y + thick, height - thick
    return found


def label(text, x, y, width, height, size, weight=""):
    """As much of the text as there is room for; nothing where that is not worth reading."""
    fits = int((width - 6) / (size * 0.58))
    if fits < 4 or height < size + 3:
        return ""
    shown = text if len(text) <= fits else text[:fits - 1] + "…"
    return f'<text x="{x + 3:.1f}" y="{y + size + 1:.1f}" font-size="{size}"{weight}>{escape(shown)}</text>'


def svg(title, groups):
    """`groups`: name to a list of (name, size). Pointing at a rectangle tells its name and size in full."""
    groups = {name: sorted(((n, s) for n, s in parts if s > 0), key=lambda p: -p[1]) for name, parts in groups.items()}
    sums = sorted(((name, sum(s for _, s in parts)) for name, parts in groups.items() if parts), key=lambda g: (-g[1], g[0]))
    total = sum(s for _, s in sums)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">',
           f"<title>{escape(title)}</title>", f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
           f'<text x="4" y="20" font-size="16">{escape(title)}: {total:,} octets</text>']
    boxes = squarify([s for _, s in sums], 0, TITLE, WIDTH, HEIGHT - TITLE)
    for number, ((name, size), (x, y, width, height)) in enumerate(zip(sums, boxes)):
        colour = COLOURS[number % len(COLOURS)]
        said = f"{name}: {size:,} octets, {100 * size / total:.1f} %"
        out.append(f'<g><title>{escape(said)}</title><rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
                   f'fill="{colour}" stroke="#fff" stroke-width="2"/>')
        head = HEADER if height > 2 * HEADER and width > 40 else 0
        out.append(label(f"{name} {size:,}", x, y, width, HEADER if head else 0, 12, ' font-weight="bold"'))
        parts = groups[name]
        inner = squarify([s for _, s in parts], x + 1, y + 1 + head, width - 2, height - 2 - head)
        for (part, octets), (px, py, pw, ph) in zip(parts, inner):
            if pw * ph < 2:
                continue
            out.append(f'<g><title>{escape(f"{part} ({name}): {octets:,} octets")}</title><rect x="{px:.1f}" y="{py:.1f}" width="{pw:.1f}" '
                       f'height="{ph:.1f}" fill="#fff" fill-opacity="0.28" stroke="{colour}" stroke-width="0.6"/>'
                       + label(part.split("::")[-1], px, py, pw, ph, 10) + "</g>")
        out.append("</g>")
    return "\n".join(line for line in out if line) + "\n</svg>\n"
