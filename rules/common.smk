# The validated config, and the few one-line helpers that rules use.
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir)))
from podium import workflow as podium_workflow

run = podium_workflow.open(config, workflow)


pathvars:
    results=run.results,


wildcard_constraints:
    model="|".join(run.models),
    cache="[0-9]+x[0-9]+(-[a-z0-9.]+)+",
    fold="[0-9]+",
    seed="[0-9]+",
    worker="[0-9]+",
    part="train|test",
    view="[a-z0-9]+",
    backbone="[A-Za-z0-9_-]+",
