"""What a task is: everything that differs between, say, classification and regression.

Rules, scripts, the training loop, scoring, blending and submitting know only this interface.
Arrays are numpy, (rows, ...) with the rows of the manifest unless said otherwise; tensors live on
the training device. A task whose answers are vectors is a `Task`; one that answers with masks,
boxes or pictures is a `podium.tasks.packed.PackedTask`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from podium import metrics
from podium.config.model import Loss, Model
from podium.drawing.legend import Key
from podium.files import tables
from podium.metrics import Metric

if TYPE_CHECKING:
    from torch import Tensor

    from podium.geometry.frames import Frames
    from podium.networks.network import Network

#: A loss term: (raw outputs (batch, outputs), targets) to a loss per row, (batch,).
LossTerm = Callable[["Tensor", "Tensor"], "Tensor"]

#: Kinds of targets that are one of some names, or several of them (see `Task.describe_targets`).
NAMED_KINDS = ("classes", "labels")
#: Kinds that exploration and scoring know; a task with another speaks for itself.
KINDS = (*NAMED_KINDS, "values")


class Task(ABC):
    """A task on targets that `info` describes.

    Attributes:
        options: the task's validated options.
        info: what `read_targets` found out, JSON-serialisable; `info["names"]` are the names of
            the prediction's columns.
        workers: threads that packed rows are decided in, to be set.
    """

    #: What a prediction holds: `probabilities` or `values`; packed ones a word of the task's own.
    space: ClassVar[str]
    #: Whether targets and predictions are packed rows (`podium.packed`) instead of vectors.
    is_packed: ClassVar[bool] = False
    #: Whether the network looks at the targets while it learns, see `network`.
    takes_targets: ClassVar[bool] = False
    #: Whether targets are places in the picture, as the task's `TRAITS` say.
    is_spatial: ClassVar[bool] = False
    #: Whether what is judged row by row (`mistakes`, `errors_by_name`, `answer`, `draw`) are the
    #: decided rows, by the decisions of other folds, in place of predictions.
    judges_answers: ClassVar[bool] = False
    #: What the colours of `draw` mean.
    key: ClassVar[Key] = {}

    def __init__(self, options: Any, info: dict):
        self.options = options
        self.info = info
        self.workers = 1

    @property
    def names(self) -> list[str]:
        """Names of the prediction's columns: classes, labels or targets."""
        return self.info["names"]

    @property
    def target_key(self) -> Key:
        """The same of drawings of targets alone, where it takes words."""
        return {}

    def judged_by(self, metric: dict) -> Metric:
        """The metric of the config's section, as a function of this task's targets."""
        return metrics.load(metric, self.class_count)

    @property
    def class_count(self) -> int | None:
        """How many classes or grades there are, where a row is one of them."""
        return None

    # ---------------------------------------------------------------- reading

    @classmethod
    def reads_pictures(cls, options: Any) -> bool:
        """Whether `read_targets` and `read_solution` are told what is known of the pictures.

        They then take a last argument `found`, see `podium.tasks.packed.Found`, and answer for its
        pictures, in their order.
        """
        return cls.is_packed

    @classmethod
    @abstractmethod
    def read_targets(
        cls, table: pd.DataFrame, columns: list[str], options: Any, sample: pd.DataFrame
    ) -> tuple[pd.DataFrame, dict]:
        """Targets from the training table, which is indexed by id.

        Args:
            table: the training table as text (`dtype=str`, empty cells are NA), index `id`.
            columns: `competition.target`.
            sample: the sample submission, as text, index `id`.

        Returns:
            A numeric table with the index of `table`, and `info`.

        Raises:
            DataError: naming row, column and value of what is wrong, all of it at once.
        """

    @classmethod
    def check_targets(cls, targets: pd.DataFrame, options: Any, found) -> pd.DataFrame:
        """The table of `read_targets`, checked when the pictures are known, where it read none.

        Args:
            found: see `podium.tasks.packed.Found`; what is no error is added to its problems.

        Raises:
            DataError: as `read_targets`.
        """
        return targets

    @classmethod  # noqa: B027
    def check_sample(cls, sample: pd.DataFrame, options: Any, found, info: dict) -> None:
        """Compare the sample submission, indexed by `index_sample`, with what is known.

        Args:
            found: of the test pictures, see `podium.tasks.packed.Found`; its problems may be added
                to.
            info: what `read_targets` found out.

        Raises:
            DataError: it asks for what these pictures do not have.
        """

    @classmethod
    def index_train(
        cls, table: pd.DataFrame, path: Path | str, id_column: str, options: Any
    ) -> pd.DataFrame:
        """The training table, as text, by the id of the picture that each row is about.

        Args:
            path: of the table, for messages.
            id_column: `competition.id`.
        """
        return tables.index_by_id(table, path, id_column)

    @classmethod
    def index_solution(
        cls, table: pd.DataFrame, path: Path | str, id_column: str, options: Any
    ) -> pd.DataFrame:
        """A table of true targets of the test rows, likewise."""
        return tables.index_by_id(table, path, id_column)

    @classmethod
    def index_sample(
        cls, sample: pd.DataFrame, path: Path | str, id_column: str, options: Any
    ) -> pd.DataFrame:
        """The sample submission, as text, by the id of the picture that each row asks about.

        Several rows may ask about one picture where the task can fill such a sample.

        Args:
            path: of the sample submission, for messages.
            id_column: `competition.id`.
        """
        return tables.index_by_id(sample, path, id_column)

    @abstractmethod
    def encode(self, targets: pd.DataFrame) -> np.ndarray:
        """The table of `read_targets` as the array that metrics and losses take."""

    @abstractmethod
    def stratify_by(self, target: np.ndarray, bins: int) -> np.ndarray:
        """What to stratify folds by: a label per row (n,), or 0/1 columns (n, labels)."""

    def balance_by(self, target: np.ndarray) -> np.ndarray | None:
        """A class per row, (n,) integers, for balanced sampling; None where there is none."""
        return None

    # --------------------------------------------------------------- learning

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Width of the network's raw output."""

    def network(self, settings: Model) -> "Network | None":
        """The task's own network for a model; None: a backbone and a head with `outputs`.

        Where the task `takes_targets`, it is called with (pictures, tabular, targets) and returns
        `{"losses": {name: scalar}, "answers": what predict takes}`: losses where there are
        targets, answers in evaluation.
        """
        return None

    @abstractmethod
    def default_loss(self) -> dict[str, float]:
        """Loss terms and weights where the config names none."""

    def default_loss_of(self, approach: str | None) -> dict[str, float]:
        """`default_loss` of a model's approach, where some have terms that others lack."""
        return self.default_loss()

    @abstractmethod
    def loss_terms(self, loss: Loss, train_target: np.ndarray) -> dict[str, LossTerm]:
        """Every named loss term, with the config's options; `train_target` for class weights.

        A term takes raw outputs and `learning_target` rows and returns a loss per row.
        """

    def learning_target(
        self, target: np.ndarray, train_target: np.ndarray, frames: "Frames | None" = None
    ) -> np.ndarray:
        """What the loss is computed on: scaled by statistics of the training rows, say.

        Args:
            frames: of a spatial task, where the network sees the rows' pictures.
        """
        return target

    def compose_options(self) -> dict:
        """Of a spatial task: what `albumentations.Compose` must know to move the target too."""
        return {}

    def augmented(
        self, transform, picture: np.ndarray, target: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Of a spatial task: a picture (H, W, 3) and its learning target, moved together."""
        return transform(image=picture)["image"], target

    def resized(
        self, target: "np.ndarray | list", seen: tuple[int, int], size: tuple[int, int]
    ) -> "np.ndarray | list":
        """Learning targets of a batch whose pictures, `seen` (height, width), are made of a `size`.

        As they are, unless they count pixels: relative places stay.
        """
        return target

    @abstractmethod
    def predict(self, raw: "Tensor", train_target: np.ndarray) -> "Tensor":
        """Raw outputs (n, outputs) to a prediction (n, names) in `space`.

        Of a spatial task: as seen in the network's picture, see `undo` and `place`.
        """

    def merged(self, predictions: list) -> "Tensor":
        """Predictions of one batch, made on several views and undone, as one."""
        return sum(prediction.double() for prediction in predictions) / len(predictions)

    def combined(self, predictions: np.ndarray, weights: Sequence[float]) -> np.ndarray:
        """Several models' predictions of the same rows, (models, rows, ...), as one's."""
        return np.tensordot(np.asarray(weights), predictions, axes=1)

    def undo(self, view: str, prediction: "Tensor") -> "Tensor":
        """A prediction made on a view, as if it had been made on the picture itself."""
        return prediction

    def place(self, prediction: np.ndarray, frames: "Frames | None") -> np.ndarray:
        """Predictions as seen in the network's pictures, at home in the rows' own.

        Of a spatial task: learning targets, too, which have the form of a prediction.
        """
        return prediction

    @abstractmethod
    def probe(self, features: np.ndarray, target: np.ndarray, strength: float, seed: int):
        """A regularised linear model on standardised features.

        Args:
            target: learning targets, (n, ...).

        Returns:
            Weight (outputs, features) and bias (outputs,) that give raw outputs.
        """

    # --------------------------------------------------------------- deciding

    def default_decision(self) -> dict:
        """Decision parameters that need no fitting; JSON-serialisable."""
        return {}

    def fit_decision(self, metric: Metric, target: np.ndarray, prediction: np.ndarray) -> dict:
        """Thresholds (cut points) that serve the metric best on these rows."""
        return self.default_decision()

    def decide(self, prediction: np.ndarray, decision: dict) -> np.ndarray:
        """Labels from a prediction, in the form of `encode`'s array."""
        return prediction

    def scored(
        self, metric: Metric, target: np.ndarray, prediction: np.ndarray, decision: dict
    ) -> np.ndarray:
        """What a metric takes: labels, the prediction itself, or measures of packed rows."""
        return self.decide(prediction, decision) if metric.needs == "labels" else prediction

    # ---------------------------------------------------------------- writing

    @abstractmethod
    def submission(
        self, prediction: np.ndarray, decision: dict, metric: Metric, sample: pd.DataFrame
    ) -> pd.DataFrame:
        """The rows of `sample` (see `asked_rows`) with its columns, filled.

        Args:
            prediction: a row for each distinct id of the sample, in its order.

        A task that packs its answers may give an id as many rows as it has objects, or none.
        """

    def asked_rows(self, sample: pd.DataFrame) -> pd.DataFrame:
        """The rows to hand in, of those of `sample` (see `index_sample`).

        Raises DataError where a row asks for what is never answered.
        """
        return sample

    def handed_in(self, prediction: np.ndarray, pictures: pd.DataFrame) -> np.ndarray:
        """A prediction in the units of the submission, for `submission`.

        Args:
            pictures: the manifest's row of each row of the prediction.
        """
        return prediction

    @property
    def leaves_gaps(self) -> bool:
        """Whether cells of the submission may stay empty, because there is nothing to answer."""
        return False

    def files(
        self, prediction: np.ndarray, decision: dict, sample: pd.DataFrame
    ) -> Iterator[tuple[str, bytes]]:
        """Files that are handed in with the submission: their paths beside it, and contents.

        Args:
            prediction, sample: as in `submission`.
        """
        yield from ()

    def blank(self, rows: int) -> np.ndarray:
        """A prediction (rows, names) that knows nothing: equal probabilities, or zeros."""
        value = 1 / len(self.names) if self.space == "probabilities" else 0.0
        return np.full((rows, len(self.names)), value)

    @abstractmethod
    def read_solution(self, table: pd.DataFrame, columns: list[str]) -> np.ndarray:
        """Test targets from a solution table (text, index `id`), in the form of `encode`."""

    # -------------------------------------------------------------- explaining

    @abstractmethod
    def describe_targets(self, targets: pd.DataFrame) -> dict:
        """For the exploration: `{"kind": "classes"|"labels"|"values"|(the task's own), ...}`.

        `classes`: `counts` {class: rows}; `labels`: `counts` {label: rows with it}, `rows`;
        `values`: `values` {target: list of numbers}. Another kind: `findings`, a list of
        (severity 1 to 3, title, sentence[, rows as dicts]), because the exploration knows nothing
        of it, and `counts` {name: rows with it}.
        """

    def numbers(self, target: np.ndarray) -> np.ndarray:
        """Targets as numbers, (n, ...), for the exploration to look for leaks in."""
        return target

    @abstractmethod
    def example_labels(self, targets: pd.DataFrame) -> pd.Series:
        """A short label per row for captions and for contact sheets per class."""

    def draw_targets(self, table: pd.DataFrame, target: np.ndarray, folder) -> list[str]:
        """Figures of targets of the task's own kind: names of the `target*.png` in a folder.

        Args:
            table: the manifest of the training rows; `target` has its rows.
        """
        return []

    def findings_in_pictures(self, table: pd.DataFrame, target: np.ndarray) -> list[tuple]:
        """More `findings`, of targets of the task's own kind: where pictures and targets disagree.

        Args:
            table: the manifest of the training rows; `target` has its rows.
        """
        return []

    def errors_by_name(self, target: np.ndarray, prediction: np.ndarray) -> list[dict]:
        """Of targets of the task's own kind: `{"name", "rows", "rmse", ...}` per point, say."""
        return []

    def answer(self, prediction: np.ndarray, severity: float) -> str:
        """Of targets of the task's own kind: a row's prediction in a few words, for captions."""
        return f"{severity:.4g}"

    def as_target(self, answer: np.ndarray) -> np.ndarray:
        """Rows that were decided (`decide`) in the form of targets."""
        return answer

    def draw(
        self,
        picture: np.ndarray,
        scale: np.ndarray,
        target: np.ndarray,
        prediction: np.ndarray | None = None,
    ) -> np.ndarray:
        """Of a spatial task: a row's target and prediction drawn on its picture.

        Args:
            picture: uint8 (h, w, 3), the row's, of any size.
            scale: its pixels per pixel of the row's picture, in x and y.
            target, prediction: the row's, as metrics take them; see `judges_answers`.
        """
        return picture

    @abstractmethod
    def mistakes(self, target: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """How wrong each row is, (n,), larger is worse: the order of the error gallery."""


def score(task: Task, metric: Metric, target, prediction, decision: dict | None = None) -> float:
    """The metric of a prediction, deciding labels first where the metric needs them."""
    decision = decision or task.default_decision()
    return float(metric(target, task.scored(metric, target, prediction, decision)))
