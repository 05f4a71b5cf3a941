#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""mirage bench: what work costs on this stack, and what the same work costs on Linux, in the same minutes."""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path[:0] = [HERE, os.path.join(ROOT, "tools")]

import chart  # noqa: E402
import cpu  # noqa: E402
import summary  # noqa: E402
from testnet import Lab, Process, Skip, Timeout, require_root  # noqa: E402
from works import SUBJECTS, WORKS  # noqa: E402

EPILOG = """\
Every round does every work once on every subject, one after the other, so that a subject and the Linux peer it
is compared with see the same minutes of the machine. A figure is the median of the rounds' ratios.

modes: one    client, stack, tender and kernel share one processor: the rate is the inverse of the total cost
       total  nothing is pinned: processor time of the whole machine, without what an idle machine uses

Run it on a machine that does nothing else; it says when that is not so. Needs root (network namespaces, TAP).
Linux peers need nginx; `meson compile -C BUILD` builds the rest. Method and figures: docs/performance.md"""


def arguments():
    parser = argparse.ArgumentParser(prog="mirage bench", description=__doc__, epilog=EPILOG,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ", ".join(work.name for work in WORKS)
    parser.add_argument("--rounds", type=int, default=6, metavar="N", help="interleaved rounds (default 6)")
    parser.add_argument("--only", action="append", default=[], metavar="NAME",
                        help=f"a work or a subject; may be given again. Works: {names}. Subjects: "
                             + ", ".join(subject.name for subject in SUBJECTS))
    parser.add_argument("--mode", choices=("one", "total", "both"), default="both")
    parser.add_argument("--scale", type=float, default=1.0, metavar="F", help="amount of work, 1 is about a second")
    parser.add_argument("--page", metavar="FILE", help="what the Linux peers serve (default: the website's first page)")
    parser.add_argument("--build", default=os.path.join(ROOT, "build"), metavar="DIR", help="Meson's build directory")
    parser.add_argument("--nginx", default=shutil.which("nginx") or "nginx", metavar="PATH")
    parser.add_argument("--json", metavar="FILE", help="write every sample and the summary")
    parser.add_argument("--svg", metavar="FILE", help="write the chart (docs/performance.svg in this repository)")
    options = parser.parse_args()
    if options.rounds < 1 or options.scale <= 0:
        parser.error("--rounds and --scale are at least 1 and more than 0")
    options.build = os.path.abspath(options.build)
    known = {work.name for work in WORKS} | {subject.name for subject in SUBJECTS}
    for name in options.only:
        if name not in known:
            parser.error(f"--only {name}: no work and no subject has this name (see --help)")
    options.page = read_page(options.page)
    return options


def read_page(path):
    """The page for the Linux peers: as many octets as our website's first page has."""
    own = os.path.join(ROOT, "examples", "website", "pages", "index.html")
    if path or os.path.exists(own):
        with open(path or own, "rb") as file:
            return file.read()
    return b"m" * 4096


def chosen(things, only):
    named = [thing for thing in things if thing.name in only]
    return named or list(things)


class Bench:
    def __init__(self, lab, options):
        self.lab = lab
        self.options = options
        self.works = chosen(WORKS, options.only)
        self.subjects = chosen(SUBJECTS, options.only)
        self.modes = ("one", "total") if options.mode == "both" else (options.mode,)
        self.networks = {}
        self.samples = []
        self.skipped = {}
        self.failed = {}
        self.one = {max(os.sched_getaffinity(0))}

    def plan(self):
        """Every (work, subject) that can run here, each work's reference with it whatever --only says."""
        return [(work, subject) for work in self.works for subject in SUBJECTS
                if (subject in self.subjects or subject.name == work.reference) and work.name in subject.works
                and self.available(work, subject)]

    def available(self, work, subject):
        try:
            subject.available(work, self.options)
        except Skip as reason:
            self.skipped[subject.name, work.app.name] = str(reason)
            return False
        return True

    def run(self):
        pairs = self.plan()
        if not pairs:
            raise Skip("nothing of this can run here: " + "; ".join(
                f"{name} ({reason})" for (name, _), reason in self.skipped.items()))
        steps, done, begin = self.options.rounds * len(pairs) * len(self.modes), 0, time.monotonic()
        for number in range(self.options.rounds):
            for mode in self.modes:
                for work, subject in rotated(pairs, number):
                    self.progress(done, steps, begin, f"{mode} {work.name} on {subject.name}")
                    self.measure(number, mode, work, subject)
                    done += 1
        self.progress(done, steps, begin, "")
        self.subtract_idle()

    def subtract_idle(self):
        """What an idle machine uses is no cost of the work. The one processor of a work has no idle time to speak of.

        One idle sample is coarse (the kernel counts in hundredths of a second); the median of all is not.
        """
        total = [sample for sample in self.samples if sample["mode"] == "total"]
        idle = statistics.median(sample["idle_rate"] for sample in total) if total else 0
        for sample in self.samples:
            spare = idle * sample["cpu_wall"] if sample["mode"] == "total" else 0
            sample["cpu"] = max(0.0, sample["cpu_busy"] - spare)

    def measure(self, number, mode, work, subject):
        """One sample. A subject that fails in a work is named, and not asked for this work again."""
        if (work.name, subject.name) in self.failed:
            return
        running = self.network(work, subject)
        try:
            self.samples.append(self.sample(number, mode, work, subject, running))
            running.stop()
        except (RuntimeError, Timeout) as error:
            self.failed[work.name, subject.name] = str(error)
        finally:
            if running.process:
                running.process.stop()

    def sample(self, number, mode, work, subject, running):
        cpus = self.one if mode == "one" else None
        subject.start(running, work, self.options, cpus)
        idle = cpu.Idle().rate(cpus)
        before = cpu.Reading.now()
        outcome = self.load(work, subject, running, cpus)
        after = cpu.Reading.now()
        return {"round": number, "mode": mode, "work": work.name, "subject": subject.name, "idle_rate": idle,
                "cpu_busy": cpu.busy(before, after, cpus), "cpu_wall": after.at - before.at,
                "cpu_ticks": after.ticked - before.ticked, **outcome}

    def load(self, work, subject, running, cpus):
        command = work.command(self.options.build, running, self.options.scale * subject.factor(work))
        client = Process([*running.client.exec_prefix(), *command], cpus=cpus, name=work.generator[0])
        try:
            if client.wait(120) != 0:
                running.process.check()
                raise RuntimeError(client.log().strip())
            outcome = json.loads(client.log().splitlines()[-1])
        finally:
            client.close()
        outcome["work_done"] = outcome.pop("work")
        return outcome

    def network(self, work, subject):
        key = subject.name, work.app.name
        if key not in self.networks:
            self.networks[key] = running = subject.attach(self.lab, work)
            # tens of thousands of short connections a second: ports must come back sooner than after 2 MSL
            running.client.sysctl(net__ipv4__tcp_max_tw_buckets=4096, net__ipv4__ip_local_port_range="1024 65535")
        return self.networks[key]

    @staticmethod
    def progress(done, steps, begin, what):
        if not sys.stderr.isatty():
            return
        passed = time.monotonic() - begin
        left = f"{passed / done * (steps - done):.0f} s left" if done else ""
        filled = 30 * done // steps
        sys.stderr.write(f"\r\033[K[{'#' * filled}{'.' * (30 - filled)}] {done}/{steps} {left}  {what}")
        if done == steps:
            sys.stderr.write("\r\033[K")
        sys.stderr.flush()


def rotated(pairs, number):
    """The pairs grouped by work, each group beginning `number` places further on: nobody always goes first."""
    for work in dict.fromkeys(work for work, _ in pairs):
        group = [pair for pair in pairs if pair[0] is work]
        yield from (group[(i + number) % len(group)] for i in range(len(group)))


def environment(options):
    with open("/proc/cpuinfo") as info:
        model = next((line.split(":", 1)[1].strip() for line in info if line.startswith("model name")), "unknown")
    version = subprocess.run([options.nginx, "-v"], capture_output=True, text=True).stderr.strip() \
        if os.path.exists(options.nginx) else "absent"
    return {"processor": model, "processors": os.cpu_count(), "kernel": platform.release(), "nginx": version,
            "page_octets": len(options.page), "rounds": options.rounds, "scale": options.scale,
            "date": time.strftime("%Y-%m-%d")}


def main():
    options = arguments()
    try:
        require_root("ip")
        with Lab() as lab:
            bench = Bench(lab, options)
            bench.run()
    except Skip as reason:
        print(f"SKIP: {reason}")
        return 77
    except RuntimeError as error:
        print(f"mirage bench: {error}", file=sys.stderr)
        return 1
    result = summary.summarise(bench.samples, environment(options), bench.skipped)
    print(summary.text(result))
    for (work, subject), error in bench.failed.items():
        print(f"FAILED: {work} on {subject}: {error}")
    noisy = sum(sample["idle_rate"] > 0.05 for sample in bench.samples)
    if noisy:
        print(f"note: the machine was busy with other things before {noisy} of {len(bench.samples)} "
              "measurements; figures of a quiet machine are better")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({**result, "samples": bench.samples}, file, indent=1)
            file.write("\n")
    if options.svg:
        with open(options.svg, "w") as file:
            file.write(chart.svg(result))
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
