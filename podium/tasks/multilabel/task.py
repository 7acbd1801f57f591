"""Multi-label classification."""

from functools import partial
from typing import ClassVar

import numpy as np
import pandas as pd

from podium.errors import DataError, numbered, some_of
from podium.tasks import base, probes, targets, thresholds


class Task(base.Task):
    """Any labels per row; predictions are (n, labels) independent probabilities."""

    space: ClassVar[str] = "probabilities"

    @classmethod
    def read_targets(cls, table, columns, options, sample):
        """See `base.Task.read_targets`; several columns are one-hot, one column is a list."""
        targets.check_columns(table, columns)
        if len(columns) > 1:
            frame = _read_one_hot(table, columns)
            return frame, {"names": list(columns), "column": None}
        lists = table[columns[0]].fillna("").str.strip().map(lambda cell: _labels(cell, options))
        names = targets.in_order([label for labels in lists for label in labels])
        if len(sample.columns) > 1:
            extra = [name for name in names if name not in set(sample.columns)]
            if extra:
                raise DataError(
                    f"The sample submission has a column per label, but none for {some_of(extra)}"
                )
            names = list(sample.columns)
        if not names:
            raise DataError(f"column {columns[0]!r}: no row has a label")
        hot = [[int(name in set(labels)) for name in names] for labels in lists]
        frame = pd.DataFrame(hot, index=table.index, columns=names)
        return frame, {"names": names, "column": columns[0]}

    def encode(self, targets):
        return targets[self.names].to_numpy(dtype=np.float32)

    def stratify_by(self, target, bins):
        return target.astype(np.int64)

    def balance_by(self, target):
        """Each row counts as its rarest label; rows without labels as a class of their own."""
        counts = target.sum(0)
        masked = np.where(target > 0, counts, np.inf)
        rarest = masked.argmin(1)
        return np.where(target.sum(1) > 0, rarest, len(self.names)).astype(np.int64)

    @property
    def outputs(self):
        return len(self.names)

    def default_loss(self):
        return {"bce": 1.0}

    def loss_terms(self, loss, train_target):
        from podium import losses

        weight = losses.class_weight_tensor(loss.class_weights, train_target.sum(0))
        return {
            "bce": partial(losses.bce, smoothing=loss.label_smoothing, weight=weight),
            "focal": partial(losses.binary_focal, gamma=loss.gamma, weight=weight),
            "dice": losses.dice,
        }

    def predict(self, raw, train_target):
        return raw.float().sigmoid()

    def probe(self, features, target, strength, seed):
        return probes.separate_logistics(features, target, strength, seed)

    def default_decision(self):
        return {"thresholds": [0.5] * len(self.names)}

    def fit_decision(self, metric, target, prediction):
        """One threshold for all labels first, then each label's own where that is better."""
        if metric.needs != "labels":
            return self.default_decision()

        def score(cuts) -> float:
            return metric.sign * metric(target, (prediction >= cuts).astype(np.int64))

        shared = thresholds.best_cut(score, thresholds.candidates(prediction.ravel()), start=0.5)
        cuts = thresholds.coordinate_search(
            score,
            np.full(len(self.names), shared),
            lambda label, _: thresholds.candidates(prediction[:, label], most=25),
            passes=1,
        )
        return {"thresholds": cuts.tolist()}

    def decide(self, prediction, decision):
        return (prediction >= np.array(decision["thresholds"])).astype(np.int64)

    def submission(self, prediction, decision, metric, sample):
        columns = list(sample.columns)
        labels = self.decide(prediction, decision)
        if self.info["column"] is None or len(columns) > 1:
            values = labels if metric.needs == "labels" else prediction
            return targets.fill(sample, dict(zip(self.names, values.T, strict=True)))
        if metric.name == "map_at_k":
            k = metric.options.get("k", 5)
            lists = targets.ranked_labels(prediction, self.names, k)
        else:
            separator = self.options.separator
            lists = [
                separator.join(name for name, has in zip(self.names, row, strict=True) if has)
                for row in labels
            ]
        return targets.fill(sample, {columns[0]: lists})

    def read_solution(self, table, columns):
        frame, info = self.read_targets(table, columns, self.options, pd.DataFrame())
        extra = [name for name in info["names"] if name not in self.names]
        if extra:
            raise DataError(f"The solution has labels that training has not: {some_of(extra)}")
        return frame.reindex(columns=self.names, fill_value=0).to_numpy(dtype=np.float32)

    def describe_targets(self, targets_table):
        target = self.encode(targets_table)
        counts = {n: int(c) for n, c in zip(self.names, target.sum(0), strict=True)}
        return {"kind": "labels", "counts": counts, "rows": len(target)}

    def example_labels(self, targets_table):
        def text(row) -> str:
            return " ".join(name for name in self.names if row[name]) or "(none)"

        return targets_table.apply(text, axis=1)

    def mistakes(self, target, prediction):
        """Mean log loss over the labels of each row."""
        p = np.clip(prediction, 1e-7, 1 - 1e-7)
        return -(target * np.log(p) + (1 - target) * np.log(1 - p)).mean(1)


def _labels(cell: str, options) -> list[str]:
    return [label.strip() for label in cell.split(options.separator) if label.strip()]


def _read_one_hot(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    numbers = targets.read_numbers(table, columns)
    problems = []
    for name in columns:
        bad = ~numbers[name].isin([0, 1])
        if bad.any():
            found = some_of([f"{v!r} (id {i})" for i, v in table[name][bad].items()])
            problems.append(f"column {name!r}: expected 0 or 1, found {found}")
    if problems:
        raise DataError("The label columns are not all 0 or 1:\n" + numbered(problems))
    return numbers.astype(np.int64)
