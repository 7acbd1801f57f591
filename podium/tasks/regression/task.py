"""Regression of one or several numbers."""

from functools import partial
from typing import ClassVar

import numpy as np
import pandas as pd

from podium.errors import DataError, some_of
from podium.tasks import base, probes, targets


class Task(base.Task):
    """Numbers per row; predictions are (n, targets) in the targets' own units."""

    space: ClassVar[str] = "values"

    @classmethod
    def read_targets(cls, table, columns, options, sample):
        """See `base.Task.read_targets`. Values outside the transform's range are errors."""
        frame = targets.read_numbers(table, columns)
        floor = {"none": -np.inf, "log1p": -1.0, "log": 0.0}[options.transform]
        for name in columns:
            bad = frame[name] <= floor
            if bad.any():
                found = some_of([f"{v} (id {i})" for i, v in frame[name][bad].items()])
                raise DataError(
                    f"task.options.transform: {options.transform} needs values above {floor:g}, "
                    f"column {name!r} has {found}"
                )
        return frame, {"names": list(columns)}

    def encode(self, targets):
        return targets[self.names].to_numpy(dtype=np.float64)

    def stratify_by(self, target, bins):
        """Quantile bin of the targets' mean rank."""
        ranks = pd.DataFrame(target).rank(pct=True).mean(axis=1)
        return pd.qcut(ranks.rank(method="first"), min(bins, len(target)), labels=False).to_numpy()

    @property
    def outputs(self):
        return len(self.names)

    def default_loss(self):
        return {"l2": 1.0}

    def loss_terms(self, loss, train_target):
        from podium import losses

        smooth = partial(losses.smooth_l1, beta=loss.beta)
        return {"l2": losses.l2, "l1": losses.l1, "smooth_l1": smooth}

    def _transform(self, target: np.ndarray) -> np.ndarray:
        return {"none": np.asarray, "log1p": np.log1p, "log": np.log}[self.options.transform](
            target
        )

    def _scale(self, train_target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if not self.options.standardize:
            return np.zeros(self.outputs), np.ones(self.outputs)
        changed = self._transform(train_target)
        deviation = changed.std(0)
        return changed.mean(0), np.where(deviation > 0, deviation, 1.0)

    def learning_target(self, target, train_target, frames=None):
        mean, deviation = self._scale(train_target)
        return ((self._transform(target) - mean) / deviation).astype(np.float32)

    def predict(self, raw, train_target):
        import torch

        mean, deviation = (torch.as_tensor(part) for part in self._scale(train_target))
        values = raw.detach().cpu().double() * deviation + mean
        undo = {"none": lambda v: v, "log1p": torch.expm1, "log": torch.exp}
        values = undo[self.options.transform](values)
        if self.options.clip:
            low, high = (torch.as_tensor(edge(train_target, axis=0)) for edge in (np.min, np.max))
            values = torch.minimum(torch.maximum(values, low), high)
        return values

    def probe(self, features, target, strength, seed):
        return probes.ridge(features, target, strength)

    def submission(self, prediction, decision, metric, sample):
        if len(self.names) == 1 and len(sample.columns) == 1:
            return targets.fill(sample, {sample.columns[0]: prediction[:, 0]})
        return targets.fill(sample, dict(zip(self.names, prediction.T, strict=True)))

    def read_solution(self, table, columns):
        return targets.read_numbers(table, columns).to_numpy(dtype=np.float64)

    def describe_targets(self, targets_table):
        values = {name: targets_table[name].tolist() for name in self.names}
        return {"kind": "values", "values": values}

    def example_labels(self, targets_table):
        return targets_table.apply(
            lambda row: ", ".join(f"{row[name]:.4g}" for name in self.names[:3]), axis=1
        )

    def mistakes(self, target, prediction):
        """Mean absolute error over the targets, each in deviations of the target."""
        deviation = np.where(target.std(0) > 0, target.std(0), 1.0)
        return (np.abs(prediction - target) / deviation).mean(1)
