"""Single-label classification."""

from functools import partial
from typing import ClassVar

import numpy as np
import pandas as pd

from podium.errors import DataError, some_of
from podium.tasks import base, probes, targets, thresholds


class Task(base.Task):
    """One class per row; predictions are (n, classes) probabilities that sum to one."""

    space: ClassVar[str] = "probabilities"

    @classmethod
    def read_targets(cls, table, columns, options, sample):
        """See `base.Task.read_targets`. Classes come in the sample submission's order if it has
        a column per class."""
        targets.check_columns(table, columns)
        targets.check_filled(table, columns)
        labels = table[columns[0]].str.strip()
        names = targets.in_order(labels.unique())
        if len(names) < 2:
            raise DataError(
                f"column {columns[0]!r}: every training row is {names[0]!r}; two classes or more "
                "are needed"
            )
        if len(sample.columns) > 1:
            names = _in_sample_order(names, list(sample.columns))
        if options.positive is not None:
            if len(names) != 2 or options.positive not in names:
                raise DataError(
                    f"task.options.positive: found {options.positive!r}, expected one of two "
                    f"classes; the classes are {some_of(names, 12)}"
                )
            names = [name for name in names if name != options.positive] + [options.positive]
        classes = targets.index_of(labels, names, f"column {columns[0]!r}")
        frame = pd.DataFrame({"class": classes}, index=table.index)
        return frame, {"names": names, "column": columns[0]}

    def encode(self, targets):
        return targets["class"].to_numpy(dtype=np.int64)

    def stratify_by(self, target, bins):
        return target

    def balance_by(self, target):
        return target

    @property
    def class_count(self):
        return len(self.names)

    @property
    def outputs(self):
        return len(self.names)

    def default_loss(self):
        return {"cross_entropy": 1.0}

    def loss_terms(self, loss, train_target):
        from podium import losses

        counts = np.bincount(train_target, minlength=self.outputs)
        weight = losses.class_weight_tensor(loss.class_weights, counts)
        smoothing = loss.label_smoothing
        return {
            "cross_entropy": partial(losses.cross_entropy, smoothing=smoothing, weight=weight),
            "focal": partial(losses.focal, gamma=loss.gamma, weight=weight),
            "bce": partial(losses.one_hot_bce, smoothing=smoothing, weight=weight),
        }

    def predict(self, raw, train_target):
        return raw.float().softmax(1)

    def probe(self, features, target, strength, seed):
        return probes.logistic(features, target, self.outputs, strength, seed)

    def default_decision(self):
        return {"threshold": 0.5} if self.outputs == 2 else {}

    def fit_decision(self, metric, target, prediction):
        """Of two classes, the threshold on the second; of more, the largest probability."""
        if self.outputs != 2 or metric.needs != "labels":
            return self.default_decision()
        positive = prediction[:, 1]

        def score(cut: float) -> float:
            return metric.sign * metric(target, (positive >= cut).astype(np.int64))

        cut = thresholds.best_cut(score, thresholds.candidates(positive), start=0.5)
        return {"threshold": cut}

    def decide(self, prediction, decision):
        if self.outputs == 2 and "threshold" in decision:
            return (prediction[:, 1] >= decision["threshold"]).astype(np.int64)
        return prediction.argmax(1)

    def submission(self, prediction, decision, metric, sample):
        columns = list(sample.columns)
        if len(columns) > 1:
            by_name = dict(zip(self.names, prediction.T, strict=True))
            return targets.fill(sample, by_name)
        if metric.name == "map_at_k":
            k = metric.options.get("k", 5)
            return targets.fill(
                sample, {columns[0]: targets.ranked_labels(prediction, self.names, k)}
            )
        if metric.needs == "labels":
            labels = [self.names[number] for number in self.decide(prediction, decision)]
            return targets.fill(sample, {columns[0]: labels})
        if self.outputs == 2:
            return targets.fill(sample, {columns[0]: prediction[:, 1]})
        raise DataError(
            f"The sample submission has one column, {columns[0]!r}, but {metric.name} needs the "
            f"probabilities of {self.outputs} classes: expected a column per class"
        )

    def read_solution(self, table, columns):
        return targets.classes_of_solution(table, columns, self.names)

    def describe_targets(self, targets_table):
        return targets.describe_classes(self.encode(targets_table), self.names)

    def example_labels(self, targets_table):
        return targets_table["class"].map(dict(enumerate(self.names)))

    def mistakes(self, target, prediction):
        """Log loss of each row."""
        picked = prediction[np.arange(len(target)), target]
        return -np.log(np.clip(picked, 1e-15, 1))


def _in_sample_order(names: list[str], columns: list[str]) -> list[str]:
    lost = [name for name in names if name not in columns]
    if lost:
        raise DataError(
            f"The sample submission has {len(columns)} columns, but none for the classes "
            f"{some_of(lost)}; expected a column per class, named as in the training table"
        )
    return columns
