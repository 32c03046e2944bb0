"""Small watch histories with their right answers; `tests/cases/FORMAT.md` tells what is in one."""

from tests.support.cases.case import Case
from tests.support.cases.judge import Outcome, compare, judge
from tests.support.cases.run import run

__all__ = ["Case", "Outcome", "compare", "judge", "run"]
