"""Many seeds, on every core: `make soak SEEDS=20000`, or from another first seed with FROM=….

Ends with 1 at the first violation, after naming the command that replays it.
"""

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter

import structlog

from tests.simulation.run import play

CHUNK = 20


def judge(seed: int) -> tuple[int, str | None, Counter[str]]:
    """Play one seed; returns what is wrong, or None, and what was done."""
    try:
        run = play(seed)
    except Exception as error:  # whatever it is, the seed shows it again
        return seed, f"{type(error).__name__}: {error}", Counter()
    return (
        seed,
        None,
        Counter(lives=run.lives, crashes=run.crashes, submits=len(run.witness.accepted)),
    )


def _quiet() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))


def main() -> int:
    """Play the seeds that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--keep-going", action="store_true", help="list every violation")
    options = parser.parse_args()
    began, done, failed = time.monotonic(), Counter[str](), []
    seeds = range(options.first, options.first + options.seeds)
    with multiprocessing.Pool(os.cpu_count(), _quiet) as pool:
        for count, (seed, problem, figures) in enumerate(
            pool.imap_unordered(judge, seeds, CHUNK), 1
        ):
            done += figures
            if problem is not None:
                failed.append(seed)
                print(f"seed {seed}: {problem}")
                print(f"  replay it: python -m tests.simulation.run {seed}", flush=True)
                if not options.keep_going:
                    pool.terminate()
                    return 1
            if count % 1000 == 0:
                print(f"{count} seeds, {time.monotonic() - began:.0f} s", flush=True)
    print(
        f"{options.seeds} seeds in {time.monotonic() - began:.0f} s: {done['submits']} submit_sm,"
        f" {done['lives']} lives, {done['crashes']} crashes, {len(failed)} violations"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
