"""python -m fuzz --inputs 100000 [--seed 0] [--json FILE], from the folder `tests`.

Every case runs in a process that is watched: a crash is seen, and a case that takes longer than its
bound is ended. Prints how many inputs were tried, what was refused, and what was found.
"""

import argparse
import json
import sys
from pathlib import Path

from fuzz.watch import hunt

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--inputs", type=int, default=2000)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--json", type=Path, help="also write what was found to this file")
options = parser.parse_args()
hunted = hunt(options.inputs, options.seed)
print(hunted)
if options.json:
    options.json.write_text(json.dumps(hunted.findings, indent=1) + "\n")
sys.exit(bool(hunted.findings))
