# SPDX-License-Identifier: MIT
"""From samples to the figures that are reported: medians of per-round ratios, with their range."""

import statistics

from works import MARKS, SUBJECTS, WORKS

MODES = {"one": "one processor for client, stack and kernel",
         "total": "processor time of the whole machine, nothing pinned"}


def cost(sample):
    """Seconds for one unit of work: elapsed where one processor does everything, used where several may."""
    spent = sample["seconds"] if sample["mode"] == "one" else sample["cpu"]
    return spent / sample["work_done"]


def summarise(samples, environment, skipped):
    rows = []
    for mode in MODES:
        for work in WORKS:
            for subject in SUBJECTS:
                mine = {s["round"]: s for s in samples
                        if (s["mode"], s["work"], s["subject"]) == (mode, work.name, subject.name)}
                peer = {s["round"]: s for s in samples
                        if (s["mode"], s["work"], s["subject"]) == (mode, work.name, work.reference)}
                if not mine:
                    continue
                ratios = sorted(cost(peer[r]) / cost(mine[r]) for r in mine if r in peer and cost(mine[r]) > 0)
                rows.append({
                    "mode": mode, "work": work.name, "subject": subject.name, "reference": work.reference,
                    "ratio": statistics.median(ratios) if ratios else None,
                    "ratio_min": ratios[0] if ratios else None, "ratio_max": ratios[-1] if ratios else None,
                    "rate": statistics.median(s["work_done"] / s["seconds"] for s in mine.values()),
                    "unit": next(iter(mine.values()))["unit"],
                    "cpu_per_unit": statistics.median(s["cpu"] / s["work_done"] for s in mine.values()),
                    "busy": statistics.median(s["cpu_busy"] / s["cpu_wall"] for s in mine.values()),
                    "octets_per_unit": statistics.median(s["octets"] / s["work_done"] for s in mine.values()),
                    "errors": sum(s["errors"] for s in mine.values()),
                })
    return {"environment": environment, "rows": rows, "marks": marks(rows),
            "skipped": [{"subject": s, "app": a, "reason": r} for (s, a), r in skipped.items()]}


def marks(rows):
    """Each mark with the best subject that it names: `host` is any attachment of the host platform."""
    judged = []
    for work, subject, least in MARKS:
        found = [row for row in rows if row["mode"] == "one" and row["work"] == work and row["ratio"] is not None
                 and (row["subject"] == subject or row["subject"].startswith(subject + "-"))]
        best = max(found, key=lambda row: row["ratio"], default=None)
        judged.append({"work": work, "subject": best["subject"] if best else subject, "least": least,
                       "ratio": best["ratio"] if best else None,
                       "verdict": "not measured" if not best else "met" if best["ratio"] >= least else "not met"})
    return judged


def rate(value, unit):
    if unit == "octets":
        return f"{value / 1e9:.2f} GB/s"
    return f"{value / 1e3:.1f} k/s" if value >= 1e4 else f"{value:.0f} /s"


def per_unit(seconds, unit):
    return f"{seconds * 1e9:.2f} s/GB" if unit == "octets" else f"{seconds * 1e6:.2f} us"


def text(result):
    titles = {subject.name: subject.title for subject in SUBJECTS}
    lines = []
    for mode, explanation in MODES.items():
        for work in WORKS:
            rows = [r for r in result["rows"] if r["mode"] == mode and r["work"] == work.name]
            if not rows:
                continue
            lines.append(f"\n{work.title} [{mode}: {explanation}]")
            lines.append(f"  {'':34}{'ratio':>7}  {'min-max':>11}  {'rate':>12}  {'cpu each':>12}")
            for row in rows:
                ratio = "-" if row["ratio"] is None else f"{row['ratio']:.2f}"
                span = "-" if row["ratio"] is None else f"{row['ratio_min']:.2f}-{row['ratio_max']:.2f}"
                errors = f"  {row['errors']} ERRORS" if row["errors"] else ""
                lines.append(f"  {titles[row['subject']]:34}{ratio:>7}  {span:>11}  "
                             f"{rate(row['rate'], row['unit']):>12}  "
                             f"{per_unit(row['cpu_per_unit'], row['unit']):>12}{errors}")
            lines.extend(unequal(rows))
            if mode == "one":
                lines.extend(waiting(rows))
    lines.append("\nmarks")
    for mark in result["marks"]:
        ratio = "" if mark["ratio"] is None else f" ({mark['ratio']:.3f})"
        lines.append(f"  {mark['work']} on {mark['subject']} at least {mark['least']:.2f}: {mark['verdict']}{ratio}")
    for skip in result["skipped"]:
        lines.append(f"not run: {skip['subject']} ({skip['app']}): {skip['reason']}")
    return "\n".join(lines).lstrip("\n")


def waiting(rows):
    """A warning where the one processor was not always busy: the rate then tells of waiting, not of cost alone."""
    for row in rows:
        if row["busy"] < 0.9:
            yield f"  note: {row['subject']} left the processor idle for {1 - row['busy']:.0%} of the time"


def unequal(rows):
    """A warning where subjects answered with responses of different sizes: that is not the same work."""
    sizes = {row["subject"]: row["octets_per_unit"] for row in rows if row["unit"] != "octets"}
    if sizes and max(sizes.values()) > 1.1 * min(sizes.values()) + 300:  # the heads may differ
        yield "  note: octets of an answer differ: " + ", ".join(f"{n} {s:.0f}" for n, s in sizes.items())
