# podium: from a folder of pictures and a train.csv to a scored, reproducible submission.csv.
# `snakemake --cores all` runs config.yaml; `--configfile competitions/x.yaml` another competition.
from snakemake.utils import min_version

min_version("9.12")


# A config file named on the command line stands alone; config.yaml is the demo's and would leak.
if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/explore.smk"
include: "rules/folds.smk"
include: "rules/tune.smk"
include: "rules/train.smk"
include: "rules/predict.smk"
include: "rules/score.smk"
include: "rules/blend.smk"
include: "rules/submit.smk"
include: "rules/report.smk"
include: "rules/grade.smk"
include: "rules/stages.smk"
include: "rules/tracking.smk"


report: "rules/captions/workflow.rst"


rule all:
    default_target: True
    input:
        "<results>/submission/submission.csv",
        "<results>/report/report.html",
