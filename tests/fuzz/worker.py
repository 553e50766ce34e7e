"""Draws cases and checks them, one after the other; says on stdout which one it is at.

python -m fuzz.worker SEED N_CASES. A line is a JSON list: "at", the case; or "done", its outcome;
or "found", what went wrong. Who reads them sees a crash or a hang, and in which case.
"""

import json
import sys
import traceback

from hypothesis import HealthCheck, Phase, given, seed, settings

from fuzz.cases import cases
from fuzz.oracle import check


def main(first, n_cases):
    @seed(first)
    @settings(
        max_examples=n_cases,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def run(case):
        say("at", case)
        try:
            say("done", check(case))
        except Exception:
            say("found", traceback.format_exc(limit=-3))

    run()


def say(kind, what):
    print(json.dumps([kind, what]), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
