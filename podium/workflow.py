"""The workflow's view of the config: what rules ask for, as attributes and input functions.

Opened once when the DAG is parsed; imports nothing heavy and never Snakemake.
"""

import csv
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path

from podium import config as podium_config
from podium import devices, metrics, processes
from podium.codebase import code_of
from podium.config.competition import Competition
from podium.config.root import Config, fold_count, stages_before
from podium.errors import ConfigError, DataError, PodiumError, numbered
from podium.files import class_names
from podium.geometry import views
from podium.networks import zoo
from podium.places import results_of, stops_of
from podium.tasks import options_module, traits
from podium.tasks.traits import TaskOptions

#: Keys of a model that name its network and weights, not how it is trained.
NETWORK_KEYS = (
    "backbone", "weights", "approach", "image_size", "resize", "drop_path", "pictures", "tabular",
    "head", "freeze",
)  # fmt: skip


def open(content: dict, workflow) -> "Run":
    """The run that a config describes; prints what is wrong with it and exits otherwise."""
    try:
        run = Run(podium_config.load(content), workflow)
        if workflow.is_main_process:
            check_writable(run.results)
            if not run.source:
                check_files(run.config.competition, run._options)
        return run
    except PodiumError as error:
        print(f"\n{error}\n", file=sys.stderr)
        raise SystemExit(1) from None


def check_writable(results: str) -> None:
    """DataError where the folder of results cannot be written."""
    folder = Path(results)
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        problem = f"{folder} is a file, expected a folder"
    elif not os.access(folder, os.W_OK | os.X_OK):
        problem = f"the folder {folder.resolve()} may not be written by you"
    else:
        return
    raise DataError(f"Results are written to {results}, but {problem}.")


def check_files(competition: Competition, options: TaskOptions) -> None:
    """DataError that lists the competition's files and folders that are not there.

    Snakemake would name them too, but neither their keys nor what lies beside them.
    """
    root, pictures = competition.root, competition.pictures
    wanted = [
        ("competition.train", [competition.train], False),
        ("competition.test", [competition.test], False),
        ("competition.sample_submission", [competition.sample_submission], False),
        ("competition.pictures.train", pictures.train, True),
        ("competition.pictures.test", pictures.test, True),
        ("task.options.annotations", [options.annotation_file], False),
        ("task.options.annotations", [options.annotation_folder], True),
    ]
    if not Path(root).is_dir():
        wanted = [("competition.root", ["."], True)]
    problems = [
        f"{key}: {path} {problem}"
        for key, names, is_folder in wanted
        for path in (Path(root, name) for name in names if name)
        if (problem := _problem_of(path, is_folder))
    ]
    if not problems:
        return
    raise DataError(
        f"The competition's files are not all there:\n{numbered(problems)}\n"
        "Unpack the download into competition.root, or correct these keys of the config."
    )


def _problem_of(path: Path, expects_folder: bool) -> str:
    if not path.exists():
        from podium.files.tables import nearest_files  # imports pandas: only for the message

        return f"does not exist{nearest_files(path)}"
    if path.is_dir() == expects_folder:
        return ""
    return "is not a folder" if expects_folder else "is a folder, expected a table"


def _files_under(folder: str) -> Iterator[tuple[str, int]]:
    """Path and size in bytes of every file, however deep."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _files_under(entry.path)
            elif entry.is_file():
                yield entry.path, entry.stat().st_size


def _folders_in(table: str | None, columns: Sequence[str]) -> list[str]:
    """Folders of the paths in a table's columns, as far as it can be read without much ado."""
    if table is None or not os.path.isfile(table):
        return []
    try:
        return _folders_of(table, columns)
    except csv.Error:  # `prepare` reads it too, and says what is wrong
        return []


def _folders_of(table: str, columns: Sequence[str]) -> list[str]:
    with Path(table).open(encoding="utf-8-sig", errors="replace", newline="") as file:
        head = file.readline()
        file.seek(0)
        separator = max(",;\t|", key=head.count)
        rows = csv.DictReader(file, delimiter=separator, skipinitialspace=True)
        cells = (row.get(column) or "" for row in rows for column in columns)
        return sorted({os.path.dirname(cell) for cell in cells} - {""})


class Run:
    """A validated config as rules need it. Methods that take `wildcards` are input functions."""

    def __init__(self, config: Config, workflow):
        self.config = config
        self._plain = config.model_dump(mode="json")
        self._workflow = workflow
        self.models = list(config.models)
        self.results = results_of(self._plain)
        self.views = views.expand(config.tta.views)
        self.blended_models = config.blend.models or self.models
        self.tabular = config.competition.tabular
        processes.announce_workflow(workflow)
        self._make_importable()
        self._cap_gpus()

    # ------------------------------------------------------------ the competition's files

    @property
    def root(self) -> str:
        """The competition's folder."""
        return self.config.competition.root

    @property
    def source(self) -> str | None:
        """The module that makes the competition's files, if any."""
        return self.config.competition.source

    def _file(self, name: str | None) -> str | None:
        return None if name is None else os.path.normpath(f"{self.root}/{name}")

    @property
    def sample_submission(self) -> str:
        return self._file(self.config.competition.sample_submission)

    @property
    def solution(self) -> str | None:
        return self._file(self.config.competition.solution)

    @property
    def tables(self) -> list[str]:
        """Every table that `prepare` reads, a file of annotations included."""
        competition = self.config.competition
        names = [competition.train, competition.test, competition.sample_submission]
        names.append(self._options.annotation_file)
        return list(dict.fromkeys(self._file(name) for name in names if name is not None))

    @property
    def competition_files(self) -> list[str]:
        """Every file that `source` makes."""
        return [*self.tables, *([self.solution] if self.solution else [])]

    @property
    def picture_folders(self) -> list[str]:
        """Folders of pictures, and that of annotations, where each picture has a file of them."""
        pictures = self.config.competition.pictures
        names = [*pictures.train, *pictures.test, self._options.annotation_folder]
        return list(dict.fromkeys(self._file(name) for name in names if name is not None))

    @cached_property
    def target_folders(self) -> list[str]:
        """Folders of pictures that are targets, as far as they are there: `prepare` names each
        picture that is not."""
        if self.source:
            return []  # the workflow's own outputs
        names = list(self._options.target_folders)
        if self._options.targets_are_paths:
            competition = self.config.competition
            names += _folders_in(self._file(competition.train), competition.target)
        folders = dict.fromkeys(self._file(name) for name in names)
        known = [*self.picture_folders, os.path.normpath(self.root)]
        return [each for each in folders if each not in known and os.path.isdir(each)]

    @property
    def _options(self) -> TaskOptions:
        task = self.config.task
        return options_module(task.name).Options.model_validate(task.options)

    def picture_files(self, wildcards) -> str | None:
        """Digest of the names and sizes of all pictures: a folder's time tells of neither a
        picture replaced in place nor of a nested folder. Times would make a copy a change.
        Annotations are small, and a corrected one may be as long: their contents count."""
        if self.source:
            return None  # the workflow's own outputs
        digest, has_texts = hashlib.blake2b(digest_size=8), bool(self._options.annotation_folder)
        for folder in [*self.picture_folders, *self.target_folders]:
            for name, size in sorted(_files_under(folder)):
                digest.update(f"{name}\0{size}\n".encode("utf-8", "surrogateescape"))
                if has_texts and name.lower().endswith((".xml", ".txt")):
                    digest.update(Path(name).read_bytes())
        if self._options.classes_folder is not None:
            folder = self._file(self._options.classes_folder)
            digest.update(class_names.said(folder, self.root).encode())
        return digest.hexdigest()

    # ---------------------------------------------------------------------- params

    def section(self, *path: str):
        """A part of the validated config, defaults included, as plain values."""
        part = self._plain
        for name in path:
            part = part[name]
        return part

    @property
    def task(self) -> dict:
        """The task's section, less how answers are written: a change of that trains nothing."""
        section, written = self.section("task"), self._options.written
        options = {k: v for k, v in section["options"].items() if k not in written}
        return {**section, "options": options}

    def code_of(self, script: str) -> str:
        """Digest of the library code that a script runs."""
        return code_of(script, self.config.task.name)

    def model_of(self, wildcards) -> dict:
        """What trains a model: its section, less its seeds."""
        return {k: v for k, v in self._plain["models"][wildcards.model].items() if k != "seeds"}

    def tabular_of(self, wildcards) -> list[str]:
        """The columns that a model looks at."""
        return self.tabular if self.config.models[wildcards.model].tabular else []

    def categorical_of(self, wildcards) -> list[str]:
        """Those of a model's columns that are categories."""
        seen = self.tabular_of(wildcards)
        return [name for name in self.config.competition.categorical if name in seen]

    def network_of(self, wildcards) -> dict:
        """What builds a model's network: changing how it is trained changes none of this."""
        model = self._plain["models"][wildcards.model]
        return {key: model[key] for key in NETWORK_KEYS}

    def start_of(self, wildcards) -> dict | None:
        """What builds the network that a model's goes on from."""
        first = self.config.models[wildcards.model].starts_from
        if first is None:
            return None
        return {key: self._plain["models"][first][key] for key in NETWORK_KEYS}

    def scales_of(self, wildcards) -> list[float] | None:
        """At which scales a model's network is to look at pictures."""
        return self._plain["models"][wildcards.model]["augment"]["scales"]

    def backbone_of(self, wildcards) -> dict:
        """What a frozen backbone's output depends on, by the name of `_backbone_name`."""
        return self._backbone(self._first_with(wildcards.backbone))

    @property
    def own_metric(self) -> list[str]:
        """The file of a metric of the user's own."""
        return metrics.files_of(self.section("metric"))

    def own_files(self, wildcards) -> list[str]:
        """Files of the user's own that train a model: its network, its weights, the metric."""
        files = zoo.files_of(self.config.models[wildcards.model])
        return list(dict.fromkeys([*files, *self.own_metric]))

    @property
    def own_of_submitted(self) -> list[str]:
        """Files of the user's own behind a submission."""
        models = [self.config.models[name] for name in self.submitted_models]
        files = [file for model in models for file in zoo.files_of(model)]
        return list(dict.fromkeys([*files, *self.own_metric]))

    def missing_solution(self, wildcards):
        """Stops a run that is to be graded without anything to grade it by."""
        raise ConfigError(
            "competition.solution: unset, but `grade` compares with it; name the table of the true "
            "test targets"
        )

    def own_backbone(self, wildcards) -> list[str]:
        """Files of the user's own that a frozen backbone is made of."""
        return zoo.files_of(self.config.models[self._first_with(wildcards.backbone)])

    @property
    def prepared(self) -> dict:
        """What `prepare` reads of the competition: a new title must not train every model again."""
        unread = ("name", "title", "source", "solution", "categorical")
        return {k: v for k, v in self._plain["competition"].items() if k not in unread}

    def _backbone(self, model: str) -> dict:
        settings = self._plain["models"][model]
        keys = ("backbone", "weights", "image_size", "resize")
        return {**{key: settings[key] for key in keys}, "head": {"pool": settings["head"]["pool"]}}

    def _backbone_name(self, model: str) -> str:
        """Names a frozen backbone: equal for models that share one, which is then run once."""
        content = self._backbone(model)
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return re.sub("[^A-Za-z0-9_]+", "-", content["backbone"]) + "-" + digest[:8]

    def _first_with(self, backbone: str) -> str:
        return next(model for model in self.models if self._backbone_name(model) == backbone)

    @property
    def table_format(self) -> dict:
        """How the tables are read: id column, separator, encoding."""
        competition = self._plain["competition"]
        return {key: competition[key] for key in ("id", "separator", "encoding")}

    @property
    def result_config(self) -> dict:
        """The config without what cannot change a result: tracking and the machine."""
        return {k: v for k, v in self._plain.items() if k not in ("tracking", "compute")}

    def tuning_state(self, wildcards) -> str:
        """Where a model's studies are kept: they survive a crash and so are no output."""
        return f"{self.results}/state/tune/{wildcards.model}"

    def training_state(self, wildcards) -> str:
        """Where a training's checkpoint is kept."""
        name = f"fold{wildcards.fold}-seed{wildcards.seed}"
        return f"{self.results}/state/train/{wildcards.model}/{name}"

    def results_folder(self, wildcards) -> str:
        """The folder of this competition's results."""
        return self.results

    def root_of(self, wildcards) -> str:
        """The competition's folder, for its own maker."""
        return self.root

    # ---------------------------------------------------------------------- machine

    @cached_property
    def gpus(self) -> int:
        """GPUs of this machine, without importing torch."""
        if self.config.compute.device == "cpu":
            return 0
        return len(devices.visible())

    def gpus_per_job(self, wildcards) -> int:
        """GPUs that a training job asks for; `auto` on a cluster is one of its GPUs."""
        # A function, because Snakemake does not know yet where jobs will run when it reads rules.
        wants = self.config.compute.device == "cuda" or self.gpus > 0
        on_cluster = self._workflow.non_local_exec
        return int(wants or (self.config.compute.device == "auto" and on_cluster))

    def _cap_gpus(self) -> None:
        """Let no more GPU jobs run at once than this machine has; a cluster sees to its own.

        `--jobs` may mean a cluster. Where it does not, jobs that find no GPU free wait for one.
        """
        workflow = self._workflow
        here = workflow.is_main_process and workflow.resource_settings.nodes is None
        if here and self.gpus and "gpu" not in workflow.global_resources:
            workflow.register_resource("gpu", self.gpus)

    def _make_importable(self) -> None:
        """Let the scripts import podium from wherever the workflow was started."""
        paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        root = str(Path(__file__).parents[1])
        if root not in paths:
            os.environ["PYTHONPATH"] = os.pathsep.join([root, *filter(None, paths)])

    @property
    def threads(self) -> int:
        """CPU threads of a training job."""
        if self.config.compute.threads:
            return self.config.compute.threads
        cores = os.cpu_count() or 1
        if self.gpus:
            return max(1, cores // self.gpus)
        # Small networks gain more from folds side by side than from threads; past eight, little.
        return min(8, max(1, cores // len(self.each("train", "weights.safetensors"))))

    @property
    def reading_threads(self) -> int:
        """CPU threads for decoding pictures: half the cores, so that training goes on beside it."""
        return max(1, (os.cpu_count() or 1) // 2)

    @property
    def deciding_threads(self) -> int:
        """CPU threads of scoring, blending and submitting: pictures whose answers take long are
        decided side by side."""
        is_slow = traits(self.config.task.name).slow_to_decide
        return min(8, os.cpu_count() or 1) if is_slow else 1

    def memory(self, wildcards, attempt: int) -> int:
        """Memory in MB; half as much again on every retry."""
        return int(self.config.compute.memory_mb * 1.5 ** (attempt - 1))

    def minutes(self, wildcards, attempt: int) -> int:
        """Time limit in minutes; half as much again on every retry."""
        return int(self.config.compute.minutes * 1.5 ** (attempt - 1))

    # ---------------------------------------------------------------------- inputs

    def _seen(self, model: str, part: str, wanted: list[str]) -> dict[str, str | list[str]]:
        """What a model looks at: a picture cache, or a frozen backbone's output per view."""
        settings = self.config.models[model]
        if not settings.pictures:
            return {}
        if not traits(self.config.task.name).embeds(settings):
            return {"images": f"{self.results}/cache/{settings.cache_key}/{part}.npy"}
        folder = f"{self.results}/embed/{self._backbone_name(model)}/{settings.cache_key}"
        return {"features": [f"{folder}/{view}/{part}.npy" for view in wanted]}

    def training_inputs(self, wildcards) -> dict[str, str | list[str]]:
        """What the training of a model on a fold reads."""
        start = self._start_of(wildcards.model, [int(wildcards.fold)], int(wildcards.seed))
        return {**self._learnt_from(wildcards), **start}

    def tuning_inputs(self, wildcards) -> dict[str, str | list[str]]:
        """What the tuning of a model reads."""
        tuning = self.config.tuning
        start = self._start_of(wildcards.model, tuning.folds, tuning.seed)
        return {**self._learnt_from(wildcards), **start}

    def _start_of(self, model: str, folds: Sequence[int], seed: int) -> dict[str, list[str]]:
        """The networks that trainings on these folds go on from, of the same seed if there is one:
        they have learned from the same rows."""
        first = self.config.models[model].starts_from
        if first is None:
            return {}
        seeds = self.config.models[first].seeds
        name = f"seed{seed if seed in seeds else seeds[0]}"
        places = [f"{self.results}/train/{first}/fold{fold}/{name}" for fold in folds]
        return {
            "start": [f"{place}/weights.safetensors" for place in places],
            "started": [f"{place}/model.json" for place in places],
        }

    def _learnt_from(self, wildcards) -> dict[str, str | list[str]]:
        training_views = self.config.models[wildcards.model].training_views
        if traits(self.config.task.name).is_spatial:  # a flip would move the target too
            training_views = ["identity"]
        return {
            **self._seen(wildcards.model, "train", training_views),
            **self._rows("train"),
        }

    def prediction_inputs(self, wildcards) -> dict[str, str | list[str]]:
        """What prediction reads beside the weights."""
        seen = {
            f"{part}_{name}": path
            for part in ("train", "test")
            for name, path in self._seen(wildcards.model, part, self.views).items()
        }
        return {**seen, **self._rows("train", "test")}

    def _rows(self, *parts: str) -> dict[str, str]:
        return {
            **{part: f"{self.results}/prepare/{part}.parquet" for part in parts},
            "folds": f"{self.results}/folds/folds.csv",
            "targets": f"{self.results}/prepare/targets.parquet",
            "target": f"{self.results}/prepare/target.json",
        }

    def is_tuned(self, model: str) -> bool:
        return self.config.tuning.enabled and bool(self.config.models[model].search)

    def tuned_params(self, wildcards) -> list[str]:
        if not self.is_tuned(wildcards.model):
            return []
        return [f"{self.results}/tune/{wildcards.model}/best_params.json"]

    def tuning_workers(self, wildcards) -> list[str]:
        workers = range(self.config.tuning.workers)
        return [f"{self.results}/tune/{wildcards.model}/worker{w}.json" for w in workers]

    def each(self, stage: str, file: str, models: Sequence[str] | None = None) -> list[str]:
        """A stage's file of every fold and seed of these models; of all of them by default."""
        return [
            f"{self.results}/{stage}/{model}/fold{fold}/seed{seed}/{file}"
            for model in models or self.models
            for fold in self.folds
            for seed in self.config.models[model].seeds
        ]

    @property
    def submitted_models(self) -> list[str]:
        """The models that are blended, and those that they go on from."""
        stages = [[name, *stages_before(self.config, name)] for name in self.blended_models]
        return list(dict.fromkeys(chain.from_iterable(stages)))

    @property
    def folds(self) -> range:
        """The folds that are trained, over all repeats."""
        return range(fold_count(self.config))

    def oof_parts(self, wildcards) -> list[str]:
        return self.each("predict", "oof.parquet", [wildcards.model])

    def histories(self, wildcards) -> list[str]:
        return self.each("train", "history.csv", [wildcards.model])

    @property
    def every_tuning(self) -> list[str]:
        """The chosen parameters of every tuned model."""
        tuned = filter(self.is_tuned, self.models)
        return [f"{self.results}/tune/{model}/best_params.json" for model in tuned]

    @property
    def report_inputs(self) -> dict[str, str | list[str]]:
        """What the report tells of; it looks the rest up beside these files."""
        return {
            "summary": f"{self.results}/explore/summary.json",
            "findings": f"{self.results}/explore/findings.json",
            "figures": f"{self.results}/explore/figures",
            "problems": f"{self.results}/prepare/problems.csv",
            "folds": f"{self.results}/folds/folds.json",
            "models": [f"{self.results}/models/{model}/model.json" for model in self.models],
            "best_params": self.every_tuning,
            "scores": [f"{self.results}/score/{model}/metrics.json" for model in self.models],
            "blend": f"{self.results}/blend/blend.json",
            "submission": f"{self.results}/submission/submission.csv",
            "manifest": f"{self.results}/submission/manifest.json",
        }

    # -------------------------------------------------------------------- tracking

    def start_tracking(self) -> None:
        """Start the sender that forwards the jobs' spools to MLflow."""
        if self.config.tracking.enabled:
            from podium.tracking import sender

            sender.start(self.results, self._plain)

    def finish_tracking(self, status: str) -> None:
        """Let the sender forward the rest and end; `status` is FINISHED or FAILED."""
        if self.config.tracking.enabled:
            from podium.tracking import sender

            sender.finish(self.results, status)

    def forget_stops(self) -> None:
        """What stopped an earlier run is not told again."""
        stops_of(self.results).unlink(missing_ok=True)

    def tell_stops(self) -> None:
        """What stopped the run, below everything that Snakemake says of it."""
        path = stops_of(self.results)
        if path.exists() and path.stat().st_size:
            # A job that is tried again may be stopped by the same fault again.
            told = dict.fromkeys(re.split("\n\n+", path.read_text("utf-8").strip()))
            print("\n" + "\n\n".join(told) + "\n", file=sys.stderr)

    def tell_results(self) -> None:
        """The last lines of a run: the score, and where submission and report are."""
        folder = Path(self.results)
        if not (folder / "submission" / "submission.csv").exists():
            return
        blend = json.loads((folder / "blend" / "blend.json").read_text("utf-8"))
        if blend["score"] is None or None in blend["interval"]:
            return
        low, high = blend["interval"]
        print(
            f"\n{self.config.competition.name}: cross-validated {blend['metric']} "
            f"{blend['score']:.4f}, {100 * blend['confidence']:.0f} % interval {low:.4f} to "
            f"{high:.4f} ({blend['method']})\n"
            f"  submission  {folder / 'submission' / 'submission.csv'}\n"
            f"  report      {folder / 'report' / 'report.html'}\n",
            file=sys.stderr,
        )
