"""Is an adapter the same, bit for bit, when its training was killed and resumed? Asked at production size.

Trains the support desk's recipe for a while in a fresh workspace, then again in another one, where the process is
killed (SIGKILL) at random instants and resumed until it ends, and compares the adapters' files.

python bench/resume.py --kills 3 --json
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

RECIPE = Path(__file__).parent.parent / "examples" / "support-desk" / "recipe.yaml"


def train(workspace: Path, epochs: float, *, resume: bool = False, kill_after_step: int | None = None) -> int | None:
    """One process that trains; the step at which it was killed, or None where it ended by itself.

    Raises:
        RuntimeError: If it failed; holds what it said.
    """
    command = [str(Path(sys.executable).with_name("tunewright")), "train", str(RECIPE), "--workspace", str(workspace)]
    command += ["--set", f"train.epochs={epochs}", "--set", "train.checkpoint_every_s=1"]
    process = subprocess.Popen(
        command + ["--resume"] * resume, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    said = []
    for line in process.stderr or ():
        said.append(line)
        step = re.match(r"train: ([\d,]+)/", line)
        if step and kill_after_step is not None and int(step[1].replace(",", "")) >= kill_after_step:
            process.kill()
            process.wait()
            return int(step[1].replace(",", ""))
    if process.wait() != 0:
        raise RuntimeError("".join(said[-20:]))
    return None


def adapter_hash(workspace: Path) -> str:
    """SHA-256 of the one adapter's weights in a workspace."""
    (file,) = workspace.glob("artifacts/adapter/*/adapter_model.safetensors")
    return hashlib.sha256(file.read_bytes()).hexdigest()


def main() -> int:
    """Trains both ways and compares; 0 if the files are equal, 1 if not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=float, default=0.15, help="How long to train; 0.15 are 22 steps.")
    parser.add_argument("--kills", type=int, default=2, help="How often the second run is killed.")
    parser.add_argument("--seed", type=int, default=0, help="Decides after which steps.")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        whole, broken = Path(folder, "whole"), Path(folder, "broken")
        train(whole, options.epochs)
        draw = random.Random(options.seed)
        at, killed = 0, []
        for kill in range(options.kills):
            at += draw.randint(4, 8)
            step = train(broken, options.epochs, resume=kill > 0, kill_after_step=at)
            if step is None:
                break  # it ended before
            killed.append(step)
        else:
            train(broken, options.epochs, resume=True)
        first, second = adapter_hash(whole), adapter_hash(broken)
    found = {"killed_after_steps": killed, "adapter": first, "adapter_after_kills": second, "equal": first == second}
    if options.json:
        print(json.dumps(found))
    else:
        print(f"killed after steps {killed}: the adapter is {'the same' if first == second else 'another one'}")
        print(first, second, sep="\n")
    return 0 if first == second else 1


if __name__ == "__main__":
    sys.exit(main())
