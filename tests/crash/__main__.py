"""The long form: python -m tests.crash --n 1000 [--seed S] [--jobs J] [--only NUMBER]."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from random import SystemRandom
from typing import Final

from tests.crash.chance import Plan, plan
from tests.crash.places import quick_folder
from tests.crash.worker import Result, begin, carry_out

_EVERY: Final = 50


def _results(plans: list[Plan], jobs: int, folder: str) -> Iterator[Result]:
    """Yield what comes of the plans, in no order."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, begin, (folder,)) as pool:
        try:
            for done in as_completed([pool.submit(carry_out, found) for found in plans]):
                yield done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _tell(results: list[Result], seconds: float) -> None:
    ends = Counter(end for one in results for end in one.ends)
    kinds = Counter(one.plan.how for one in results)
    rows: list[tuple[str, object]] = [
        ("trials", len(results)),
        ("runs of the program", sum(one.runs for one in results)),
        *((f"  by {how}", count) for how, count in sorted(kinds.items())),
        *((f"  {ending}, {phase}", count) for (ending, phase), count in sorted(ends.items())),
        ("items lost", sum(one.lost for one in results)),
        ("items doubled", sum(one.doubled for one in results)),
        ("differing outputs", sum(one.differing for one in results)),
        ("wrong exit codes", sum(one.wrong_codes for one in results)),
        ("trials with anything wrong", sum(bool(one.wrong) for one in results)),
        ("seconds", f"{seconds:.0f}"),
    ]
    width = max(len(name) for name, _ in rows) + 2
    for name, value in rows:
        print(f"{name:<{width}}{value!s:>6}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--n", type=int, default=1000, help="how many trials")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(1_000_000))
    parser.add_argument("--jobs", type=int, default=2, help="how many at once")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="this trial alone")
    return parser.parse_args()


def _main() -> int:
    options = _options()
    numbers = range(options.n) if options.only is None else [options.only]
    plans = [plan(options.seed, number) for number in numbers]
    jobs = min(options.jobs, len(plans))
    print(f"seed {options.seed}, {len(plans)} trials, {jobs} at once", flush=True)
    began = time.monotonic()
    results: list[Result] = []
    with quick_folder() as folder:
        for result in _results(plans, jobs, str(folder)):
            results.append(result)
            if result.wrong:
                found = result.plan
                print(f"\nWRONG: {found.scenario}, {found.how}: {found.repeat}")
                print(*(f"  {sentence}" for sentence in result.wrong), sep="\n", flush=True)
            if len(results) % _EVERY == 0:
                wrong = sum(bool(one.wrong) for one in results)
                print(f"{len(results)} of {len(plans)}, {wrong} wrong", flush=True)
    print()
    _tell(results, time.monotonic() - began)
    return int(any(one.wrong for one in results))


if __name__ == "__main__":
    sys.exit(_main())
