"""Ordinal grades."""

from functools import partial
from typing import ClassVar

import numpy as np
import pandas as pd

from podium.errors import DataError, some_of
from podium.tasks import base, probes, targets, thresholds


class Task(base.Task):
    """One grade per row; a prediction is (n, 1), the expected grade's index from 0."""

    space: ClassVar[str] = "values"

    @classmethod
    def read_targets(cls, table, columns, options, sample):
        """See `base.Task.read_targets`."""
        targets.check_columns(table, columns)
        targets.check_filled(table, columns)
        labels = table[columns[0]].str.strip()
        grades = options.order or targets.in_order(labels.unique())
        if options.order is None:
            _check_numeric(grades, columns[0])
        if len(grades) < 2:
            raise DataError(f"column {columns[0]!r}: every training row is {grades[0]!r}")
        index = targets.index_of(labels, grades, f"column {columns[0]!r}")
        frame = pd.DataFrame({"grade": index}, index=table.index)
        return frame, {"names": [columns[0]], "grades": list(grades)}

    @property
    def grades(self) -> list[str]:
        """The grades from lowest to highest, as in the table."""
        return self.info["grades"]

    def encode(self, targets):
        return targets["grade"].to_numpy(dtype=np.int64)

    def stratify_by(self, target, bins):
        return target

    def balance_by(self, target):
        return target

    @property
    def class_count(self):
        return len(self.grades)

    @property
    def outputs(self):
        return {
            "regression": 1,
            "classification": len(self.grades),
            "cumulative": len(self.grades) - 1,
        }[self.options.approach]

    def default_loss(self):
        by_approach = {
            "regression": "l2",
            "classification": "cross_entropy",
            "cumulative": "cumulative_link",
        }
        return {by_approach[self.options.approach]: 1.0}

    def loss_terms(self, loss, train_target):
        from podium import losses

        if self.options.approach == "regression":
            smooth = partial(losses.smooth_l1, beta=loss.beta)
            return {"l2": losses.l2, "l1": losses.l1, "smooth_l1": smooth}
        if self.options.approach == "cumulative":
            return {"cumulative_link": losses.cumulative_link}
        counts = np.bincount(train_target, minlength=self.outputs)
        weight = losses.class_weight_tensor(loss.class_weights, counts)
        smoothing = loss.label_smoothing
        return {
            "cross_entropy": partial(losses.cross_entropy, smoothing=smoothing, weight=weight),
            "focal": partial(losses.focal, gamma=loss.gamma, weight=weight),
        }

    def learning_target(self, target, train_target, frames=None):
        if self.options.approach != "regression":
            return target
        mean, deviation = _scale(train_target)
        return ((target - mean) / deviation).astype(np.float32)[:, None]

    def predict(self, raw, train_target):
        import torch

        raw = raw.float()
        if self.options.approach == "regression":
            mean, deviation = _scale(train_target)
            return raw * deviation + mean
        if self.options.approach == "cumulative":
            return raw.sigmoid().sum(1, keepdim=True)
        grades = torch.arange(raw.shape[1], device=raw.device, dtype=raw.dtype)
        return (raw.softmax(1) * grades).sum(1, keepdim=True)

    def probe(self, features, target, strength, seed):
        if self.options.approach == "regression":
            return probes.ridge(features, target, strength)
        if self.options.approach == "cumulative":
            above = (target[:, None] > np.arange(self.outputs)).astype(np.int64)
            return probes.separate_logistics(features, above, strength, seed)
        return probes.logistic(features, target, self.outputs, strength, seed)

    def default_decision(self):
        return {"cuts": (np.arange(len(self.grades) - 1) + 0.5).tolist()}

    def fit_decision(self, metric, target, prediction):
        """Cut points between the grades, improved one at a time from the half-way points."""
        start = np.array(self.default_decision()["cuts"])
        if metric.needs != "labels":
            return {"cuts": start.tolist()}
        values = prediction[:, 0]

        def score(cuts: np.ndarray) -> float:
            return metric.sign * metric(target, np.searchsorted(cuts, values, side="right"))

        def between(position: int, cuts: np.ndarray) -> np.ndarray:
            low = cuts[position - 1] if position else -np.inf
            high = cuts[position + 1] if position + 1 < len(cuts) else np.inf
            inside = values[(values > low) & (values < high)]
            return thresholds.candidates(inside, most=50) if len(inside) > 1 else cuts[[position]]

        return {"cuts": np.sort(thresholds.coordinate_search(score, start, between)).tolist()}

    def decide(self, prediction, decision):
        return np.searchsorted(np.array(decision["cuts"]), prediction[:, 0], side="right")

    def submission(self, prediction, decision, metric, sample):
        column = sample.columns[0]
        if metric.needs == "labels":
            values = [self.grades[grade] for grade in self.decide(prediction, decision)]
        else:
            steps = np.arange(len(self.grades))
            _check_numeric(self.grades, column)
            values = np.interp(prediction[:, 0], steps, [float(grade) for grade in self.grades])
        return targets.fill(sample, {column: values})

    def read_solution(self, table, columns):
        return targets.classes_of_solution(table, columns, self.grades)

    def describe_targets(self, targets_table):
        return targets.describe_classes(self.encode(targets_table), self.grades)

    def example_labels(self, targets_table):
        return targets_table["grade"].map(dict(enumerate(self.grades)))

    def mistakes(self, target, prediction):
        """Distance from the true grade, in grades."""
        return np.abs(prediction[:, 0] - target)


def _scale(train_target: np.ndarray) -> tuple[float, float]:
    return float(train_target.mean()), float(train_target.std()) or 1.0


def _check_numeric(grades: list[str], column: str) -> None:
    try:
        [float(grade) for grade in grades]
    except ValueError:
        raise DataError(
            f"column {column!r}: the grades {some_of(grades, 12)} are not numbers; name them from "
            "lowest to highest in task.options.order"
        ) from None
