"""The benchmark: every budget measured, beside peers and smaller sizes of the same run.

`budgets` is the table and its arithmetic, `stage` puts up processes and ledgers, `measures` takes
the figures, `chart` draws them, `peers` are the other clients. Nothing of the gateway is run in
this process: it is looked at from outside, as an operator would.
"""

from smppgw.bench.budgets import MEASURES, ON_REQUEST, Result, Row
from smppgw.bench.chart import draw
from smppgw.bench.measures import FULL, QUICK, Sizes, measure
from smppgw.bench.stage import CHILDREN, Smsc, Stage

__all__ = [
    "CHILDREN",
    "FULL",
    "MEASURES",
    "ON_REQUEST",
    "QUICK",
    "Result",
    "Row",
    "Sizes",
    "Smsc",
    "Stage",
    "draw",
    "measure",
]
