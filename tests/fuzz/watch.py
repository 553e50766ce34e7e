"""Workers, watched: what they found, where one died, and where one had to be ended."""

import json
import os
import queue
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

# Cases of one worker: hypothesis draws from what it has seen, and slows down with it.
CASES = 500
# Seconds that a case may take; the first ones compile.
BOUND, FIRST_BOUND = 20.0, 180.0


@dataclass
class Hunted:
    """How many inputs were tried, with which outcomes, and the first case of each text found."""

    outcomes: Counter = field(default_factory=Counter)
    findings: dict = field(default_factory=dict)

    def __str__(self):
        total, fitted, found = (self.outcomes[name] for name in ("total", "fitted", "found"))
        lines = [
            f"{total:,} inputs: {fitted:,} fitted, {total - fitted - found:,} refused, "
            f"{found:,} with {len(self.findings)} findings"
        ]
        lines += [f"  {count:6} {words} ..." for words, count in self.outcomes.most_common(40)]
        lines += [f"FOUND: {case}\n{text}" for text, case in self.findings.items()]
        return "\n".join(lines)

    def add(self, outcome):
        """Count an input."""
        self.outcomes.update([outcome, "total"])

    def find(self, text, case):
        """Count an input with which something went wrong."""
        self.add("found")
        self.findings.setdefault(text, case)


def hunt(n_inputs, seed=0, most=20):
    """Try inputs until all are tried, or `most` different things are found."""
    hunted = Hunted()
    while hunted.outcomes["total"] < n_inputs and len(hunted.findings) < most:
        _watch(seed, min(CASES, n_inputs - hunted.outcomes["total"]), hunted)
        seed += 1
    return hunted


def _watch(seed, n_cases, hunted):
    command = [sys.executable, "-X", "faulthandler", "-m", "fuzz.worker", str(seed), str(n_cases)]
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [root, root / "tests"]))}
    worker = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
    )
    lines = queue.Queue()
    reader = threading.Thread(target=_read, args=(worker.stdout, lines))
    reader.start()
    case, bound = None, FIRST_BOUND
    try:
        while (line := lines.get(timeout=bound)) is not None:
            kind, what = json.loads(line)
            if kind == "at":
                case = what
                continue
            if kind == "found":
                hunted.find(what, case)
            else:
                hunted.add(what)
            case, bound = None, BOUND
        if worker.wait():
            hunted.find(f"the process ended with {worker.returncode}", case)
    except queue.Empty:
        hunted.find(f"no answer within {bound} s", case)
    finally:
        worker.kill()
        worker.wait()
        reader.join()
        worker.stdout.close()


def _read(stream, lines):
    for line in stream:
        lines.put(line)
    lines.put(None)
