"""Named points in a picture."""

import re
from collections import Counter
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from podium.errors import ConfigError, DataError, count, did_you_mean, numbered, some_of
from podium.files import coco, tables
from podium.geometry import views
from podium.tasks import base, probes, targets, thresholds
from podium.tasks.keypoints import annotated, long, outside
from podium.tasks.keypoints.options import TRAITS

#: A vector of raw outputs is relative coordinates in this unit: about the spread of points. Maps
#: are logits of where a point is.
UNIT = 0.25
#: Losses are in percent of the picture's side.
PERCENT = 100.0
#: Rows whose points are drawn in one figure, at most.
DRAWN = 1000
#: Pixels between the points that show whether a transform mirrors.
STEP = 5.0
#: Colours of points, and of the line between two.
TRUE, SAID, BETWEEN = (0, 190, 80), (230, 40, 40), (255, 220, 0)


class Task(base.Task):
    """Points: targets are (n, 2 x points), x and y by turns, in pixels of the row's picture.

    NaN is a missing point. Predictions have the same form; with `visibility` the probability that
    each point is there comes after, (n, 3 x points).
    """

    space: ClassVar[str] = "values"
    key: ClassVar[base.Key] = {"true": TRUE, "said": SAID, "how far off": BETWEEN}
    is_spatial: ClassVar[bool] = TRAITS.is_spatial

    @classmethod
    def reads_pictures(cls, options):
        """See `base.Task.reads_pictures`: a COCO file names them, and has their sizes."""
        return options.annotations is not None

    @classmethod
    def read_targets(cls, table, columns, options, sample, found=None):
        """See `base.Task.read_targets`. Half a point is an error, a missing one is not."""
        visible = options.visible
        if found is not None:
            path = coco.path_of(options, found)
            table, columns = annotated.read_points(path, found, options.repair)
            visible = annotated.VISIBLE
            if not (table.to_numpy()[:, 2::3] > 0).any():
                raise coco.no_object(path, found.problems)
        points = points_of(columns)
        names = [name for pair in points.values() for name in pair]
        if visible:
            needed = [visible.replace("*", point) for point in points]
            targets.check_columns(table, needed, "task.options.visible")
        frame = _read(table, names, visible)
        problems = []
        for point, (x, y) in points.items():
            half = frame.index[frame[x].isna() != frame[y].isna()]
            if len(half):
                problems.append(f"point {point!r} has only one of {x!r} and {y!r}: {some_of(half)}")
            if frame[x].isna().all():
                problems.append(f"point {point!r}: no training row has it")
        if problems:
            raise DataError("The points are not whole:\n" + numbered(problems))
        info = {
            "names": names + [f"{point}_visible" for point in points if options.visibility],
            "points": list(points),
            "mirrored": _mirrored(list(points), options.flip),
            "long": None,
        }
        if long.is_long(sample.index, options):
            info["long"] = long.columns_of(sample, names, options)
        return frame, info

    @classmethod
    def check_targets(cls, targets, options, found):
        """See `base.Task.check_targets`: points may be outside of their pictures."""
        path, points = coco.path_of(options, found), points_of(list(targets))
        inside = outside.checked(targets, points, found, options.repair, path)
        gone = [name for name, (x, _) in points.items() if inside[x].isna().all()]
        if gone:
            raise DataError(f"{path or found.table}: no training row has the point {gone[0]!r}")
        return inside

    @classmethod
    def index_sample(cls, sample, path, id_column, options):
        """See `base.Task.index_sample`; a long sample has a row for each coordinate."""
        column = options.picture_column or id_column
        tables.check_columns(sample, path, [column])
        unique = not long.is_long(sample[column], options)
        return tables.index_by_id(sample, path, column, unique)

    @classmethod
    def index_solution(cls, table, path, id_column, options):
        """See `base.Task.index_solution`; a long one has a row for each coordinate."""
        column = options.picture_column
        column = column if column in table.columns else id_column
        tables.check_columns(table, path, [column])
        return tables.index_by_id(table, path, column, unique=False)

    @property
    def points(self) -> list[str]:
        """The points' names."""
        return self.info["points"]

    @property
    def coordinates(self) -> list[str]:
        """Names of the coordinates, x and y by turns."""
        return self.names[: 2 * len(self.points)]

    def _parts(self, prediction):
        """Coordinates (n, 2 x points), and probabilities (n, points) or (n, 0)."""
        return prediction[:, : 2 * len(self.points)], prediction[:, 2 * len(self.points) :]

    def encode(self, targets):
        return targets[self.coordinates].to_numpy(dtype=np.float64)

    def stratify_by(self, target, bins):
        """Quantile bin of how far the points are spread: small and large faces in every fold."""
        spread = np.nan_to_num(_spread(target))
        ranks = pd.Series(spread).rank(method="first")
        return pd.qcut(ranks, min(bins, len(target)), labels=False).to_numpy()

    @property
    def outputs(self):
        return len(self.names)

    def default_loss(self):
        of_points = {"smooth_l1": 1.0, "wing": 0.1}
        return of_points | {"visibility": 1.0} if self.options.visibility else of_points

    def loss_terms(self, loss, train_target):
        from podium import losses

        if self.options.visibility and loss.terms and "visibility" not in loss.terms:
            raise ConfigError(
                "task.options.visibility: a model's loss.terms has no `visibility`, so that it "
                "would not learn which points are there; add it, such as visibility: 1.0"
            )

        def term(error, raw, target):
            missing = target.isnan()
            known = target.where(~missing, 0.0)
            said, _ = self._parts(self.predict(raw, train_target))
            each = error(PERCENT * said, PERCENT * known).where(~missing, 0.0)
            return each.sum(1) / (~missing).sum(1).clamp(min=1)

        smooth = partial(losses.each_smooth_l1, beta=loss.beta)
        kinds = {
            "l2": losses.each_l2, "l1": losses.each_l1, "smooth_l1": smooth,
            "wing": losses.each_wing,
        }  # fmt: skip
        terms = {name: partial(term, error) for name, error in kinds.items()}
        if self.options.visibility:
            terms |= {
                "visibility": lambda raw, target: losses.bce(
                    self._visible(raw), ~target[:, ::2].isnan()
                )
            }
        return terms | {"heatmap": losses.heat_map, "heatmap_mse": losses.heat_map_mse}

    def network(self, settings):
        from podium.networks.maps import build_maps

        return build_maps(settings, len(self.points)) if settings.approach == "heatmap" else None

    def learning_target(self, target, train_target, frames=None):
        return _flat(frames.relative(_points(target))).astype(np.float32)

    def compose_options(self):
        import albumentations as A

        return {"keypoint_params": A.KeypointParams("xy", ["order"], remove_invisible=False)}

    def augmented(self, transform, picture, target):
        """Move picture and points; where the transform mirrors, left becomes right."""
        sides = np.array(picture.shape[1::-1])
        points = (_points(target[None])[0] + 0.5) * sides - 0.5
        middle = sides / 2
        compass = middle + np.array([[0, 0], [STEP, 0], [0, STEP]])
        asked = np.concatenate([points, compass]).astype(np.float32)
        known = np.flatnonzero(~np.isnan(asked[:, 0]))
        moved = transform(image=picture, keypoints=asked[known], order=known)
        order = np.asarray(moved["order"], dtype=int)
        if len(np.unique(order)) < len(order):
            raise ConfigError(
                "augment.transforms: a transform makes several points of one. A mirrored border "
                "(border_mode 2 or 4) does: take 0 or 1."
            )
        there = np.full(asked.shape, np.nan)  # what a transform has lost is missing
        there[order] = moved["keypoints"]
        points, (origin, east, south) = there[:-3], there[-3:]
        turn = np.linalg.det(np.stack([east - origin, south - origin]))
        if np.isnan(turn):  # which way round, nobody can tell
            return picture, target
        if turn < 0:
            points = points[self.info["mirrored"]]
        relative = (points + 0.5) / np.array(moved["image"].shape[1::-1]) - 0.5
        return moved["image"], relative.reshape(-1).astype(target.dtype)

    def predict(self, raw, train_target):
        import torch

        from podium import losses

        if raw.dim() == 2:
            points = UNIT * self._parts(raw.float())[0]
        else:
            points = losses.middle_of(raw).flatten(1)
        if not self.options.visibility:
            return points
        return torch.cat([points, self._visible(raw).sigmoid()], 1)

    def _visible(self, raw):
        """Logits of whether each point is there: outputs of their own, or each map's largest.

        Where a point is does not change when something is added to its whole map, so that its
        height is free to tell this.
        """
        return self._parts(raw.float())[1] if raw.dim() == 2 else raw.flatten(2).amax(2)

    def undo(self, view, prediction):
        import torch

        points, visible = self._parts(prediction)
        points = views.undo_points(view, points.reshape(len(points), -1, 2))
        if view in views.MIRRORING:
            points = points[:, self.info["mirrored"]]
            visible = visible[:, self.info["mirrored"]] if self.options.visibility else visible
        return torch.cat([points.flatten(1), visible], 1)

    def place(self, prediction, frames):
        points, visible = self._parts(prediction)
        pixels = frames.pixels(_points(points))
        if self.options.clip:
            pixels = np.clip(pixels, -0.5, frames.sides[:, None] - 0.5)
        return np.concatenate([_flat(pixels), visible], axis=1)

    def probe(self, features, target, strength, seed):
        means = np.nanmean(target, axis=0)
        filled = np.where(np.isnan(target), means, target)
        fitted = [probes.ridge(features, filled / UNIT, strength)]
        if self.options.visibility:
            there = ~np.isnan(target[:, ::2])
            fitted.append(probes.separate_logistics(features, there, strength, seed))
        weights, biases = zip(*fitted, strict=True)
        return np.concatenate(weights), np.concatenate(biases)

    def default_decision(self):
        return {"visible": 0.5} if self.options.visibility else {}

    def fit_decision(self, metric, target, prediction):
        """The probability from which on points are there, one for all."""
        if metric.needs != "labels" or not self.options.visibility:
            return self.default_decision()

        def score(cut: float) -> float:
            return metric.sign * metric(target, self.decide(prediction, {"visible": cut}))

        cuts = thresholds.candidates(self._parts(prediction)[1].ravel())
        return {"visible": thresholds.best_cut(score, cuts, start=0.5)}

    def decide(self, prediction, decision):
        points, visible = self._parts(prediction)
        if not visible.shape[1]:
            return points
        unseen = np.repeat(visible < decision["visible"], 2, axis=1)
        return np.where(unseen, np.nan, points)

    def scored(self, metric, target, prediction, decision):
        """Coordinates alone; NaN where a metric of labels is told that a point is not there."""
        if metric.needs == "labels":
            return self.decide(prediction, decision)
        return self._parts(prediction)[0]

    @property
    def leaves_gaps(self):
        return self.options.blank_invisible

    def submission(self, prediction, decision, metric, sample):
        points, _ = self._parts(prediction)
        if self.options.blank_invisible:
            points = self.decide(prediction, decision)
        if self.info["long"]:
            return long.fill(sample, self.coordinates, points, **self.info["long"])
        return targets.fill(sample, dict(zip(self.coordinates, points.T, strict=True)))

    def read_solution(self, table, columns, found=None):
        """A table as the training table, a long one as the sample submission, or a COCO file."""
        if found is not None and coco.is_coco(found.table):
            path, repair = Path(found.table), self.options.repair
            table, _ = annotated.read_points(path, found, repair)
            frame = _read(table, self.coordinates, annotated.VISIBLE)
            frame = outside.checked(frame, points_of(self.coordinates), found, repair, path)
        else:
            if not set(self.coordinates) & set(table.columns):
                table = self._widened(table)
            if table.index.has_duplicates:
                again = table.index[table.index.duplicated()].unique()
                raise DataError(f"The solution has several rows for {some_of(again)}")
            table = table if found is None else table.loc[found.pictures.index]
            frame = _read(table, self.coordinates, self.options.visible)
        return frame.to_numpy(np.float64)

    def _widened(self, table: pd.DataFrame) -> pd.DataFrame:
        """A long solution as a wide one; its columns are those of the sample, if it has these."""
        named = self.info["long"] or {}
        if not named or not set(named.values()) <= set(table.columns):
            named = long.columns_of(table, self.coordinates, self.options, "The long solution")
        return long.widened(table, self.coordinates, **named)

    def describe_targets(self, targets_table):
        target = self.encode(targets_table)
        seen = (~np.isnan(_points(target)[:, :, 0])).sum(axis=0)
        return {
            "kind": "points",
            "counts": {name: int(count) for name, count in zip(self.points, seen, strict=True)},
            "findings": self._findings(targets_table.index, target),
        }

    def _findings(self, ids: pd.Index, target: np.ndarray) -> list[tuple]:
        points = _points(target)
        missing = np.isnan(points[:, :, 0])
        found = []
        mirrored = [name for n, name in enumerate(self.points) if self.info["mirrored"][n] != n]
        text = (
            f"{some_of(mirrored)} change sides in flips, which training and views may show."
            if mirrored
            else "No point changes places in a mirror. If some do, name them in "
            "`task.options.flip`, or flips will teach the wrong sides."
        )
        found.append(
            (1 if mirrored else 2, f"{count(len(mirrored), 'point')} with a mirror image", text)
        )
        if missing.any():
            share = missing.mean(axis=0)
            rows = [
                {"point": name, "rows without": int(n)}
                for name, n in zip(self.points, missing.sum(axis=0), strict=True)
                if n
            ]
            text = (
                "They do not count in losses and metrics. A model still answers where they would "
                "be; blank them in the submission only if the competition wants that."
            )
            title = f"{count(len(rows), 'point')} missing in some rows"
            found.append((2 if share.max() > 0.2 else 1, title, text, rows))
        spread = _spread(target)
        far = spread > 4 * np.median(spread)
        if far.any():
            rows = [{"id": ids[row], "pixels": float(spread[row])} for row in np.flatnonzero(far)]
            text = "Their points are four times as far apart as in the median row: typing errors?"
            found.append((2, f"{count(int(far.sum()), 'row')} with points far apart", text, rows))
        return found

    def draw_targets(self, table, target, folder):
        """`target.png`: every row's points, relative to its picture, in the colour of the point."""
        from podium.drawing import figures

        sides = table[["width", "height"]].to_numpy(dtype=np.float64)
        known = sides[:, 0] > 0
        relative = _points(target[known]) / sides[known][:, None]
        figure, axes = figures.new(size=(6.0, 6.0))
        some = np.random.default_rng(0).permutation(len(relative))[:DRAWN]
        for number, name in enumerate(self.points):
            colour = figures.PALETTE[number % len(figures.PALETTE)]
            axes.plot(*relative[some, number].T, ".", color=colour, alpha=0.25, markersize=3)
            middle = np.nanmean(relative[:, number], axis=0)
            axes.annotate(figures.shorten(name), middle, fontsize=7, ha="center")
        axes.set_xlim(0, 1)
        axes.set_ylim(1, 0)
        axes.set_xlabel("share of the width")
        axes.set_ylabel("share of the height")
        axes.set_title("Where the points are")
        figures.save(figure, folder / "target.png")
        return ["target"]

    def errors_by_name(self, target, prediction):
        """A line per point: its rows, root mean squared and mean distance in pixels."""
        distance = self._distances(target, prediction)
        lines = []
        for number, name in enumerate(self.points):
            known = distance[~np.isnan(distance[:, number]), number]
            line = {"name": name, "rows": len(known), "rmse": None, "mae": None}
            if len(known):
                line |= {"rmse": float(np.sqrt((known**2).mean())), "mae": float(known.mean())}
            lines.append(line)
        return lines

    def answer(self, prediction, severity):
        return f"{severity:.2f} px off"

    def example_labels(self, targets_table):
        counts = targets_table.notna().sum(axis=1) // 2
        return counts.map(lambda count: f"{count} of {len(self.points)} points")

    def mistakes(self, target, prediction):
        """Mean distance in pixels over the row's points."""
        distance = self._distances(target, prediction)
        known = ~np.isnan(distance)
        return np.where(known, distance, 0).sum(1) / np.maximum(known.sum(1), 1)

    def _distances(self, target: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Pixels between each point and its prediction, (n, points)."""
        return np.linalg.norm(_points(self._parts(prediction)[0] - target), axis=2)

    def draw(self, picture, scale, target, prediction=None):
        """The points on a picture: true ones green, predicted ones red, a line between them.

        A point that is predicted not to be there is not drawn.
        """
        import cv2

        drawn = picture.copy()
        size = max(2, round(min(drawn.shape[:2]) / 60))

        def at(point) -> tuple[int, int]:
            return tuple(round(v) for v in (point + 0.5) * scale - 0.5)

        layers = [(_points(target[None])[0], TRUE)]
        if prediction is not None:
            said = _points(self.decide(prediction[None], self.default_decision()))[0]
            layers.append((said, SAID))
            for a, b in zip(layers[0][0], said, strict=True):
                if np.isfinite([a, b]).all():
                    cv2.line(drawn, at(a), at(b), BETWEEN, 1, cv2.LINE_AA)
        for points, colour in layers:
            for point in points[np.isfinite(points).all(axis=1)]:
                cv2.circle(drawn, at(point), size, colour, -1, cv2.LINE_AA)
        return drawn


def points_of(columns: list[str]) -> dict[str, tuple[str, str]]:
    """The columns of each point, x and y, by its name: `nose_x`, `nose_y` are those of `nose`.

    Raises ConfigError for columns that are not in pairs.
    """
    found: dict[str, dict[str, str]] = {}
    problems = []
    for column in columns:
        match = re.fullmatch(r"(.*?)[_. -]?([xyXY])", column) or re.fullmatch(
            r"([xyXY])(?:[_. -]|(?=\d))(.+)", column
        )
        if match is None:
            problems.append(f"{column!r} neither ends nor begins with x or y")
            continue
        parts = match.groups()
        name, axis = parts if parts[1].lower() in ("x", "y") else parts[::-1]
        before = found.setdefault(name, {}).setdefault(axis.lower(), column)
        if before != column:
            problems.append(f"{before!r} and {column!r} are both the {axis.lower()} of {name!r}")
    for name, axes in found.items():
        for axis in {"x", "y"} - set(axes):
            there = next(iter(axes.values()))
            problems.append(
                f"{there!r} has no column for {axis}{did_you_mean(name, set(found) - {name})}"
            )
    if problems:
        raise ConfigError(
            "competition.target: points are pairs of columns, such as nose_x and nose_y:\n"
            + numbered(problems)
        )
    return {name: (axes["x"], axes["y"]) for name, axes in found.items()}


#: Words that stand for numbers in columns of `visible`.
_ANSWERS = {"true": "1", "false": "0", "yes": "1", "no": "0"}


def _read(table: pd.DataFrame, columns: list[str], visible: str | None) -> pd.DataFrame:
    """Coordinates; NaN where the columns of `visible`, as far as the table has them, say so."""
    frame = targets.read_numbers(table, columns, may_miss=True)
    for point, pair in points_of(columns).items():
        column = (visible or "").replace("*", point)
        if column in table.columns:
            words = table[[column]].map(lambda cell: _ANSWERS.get(str(cell).strip().lower(), cell))
            there = targets.read_numbers(words, [column], may_miss=True)[column]
            frame.loc[~(there > 0), list(pair)] = np.nan
    return frame


def _mirrored(points: list[str], flip: dict[str, str] | str) -> list[int]:
    """For each point the place of the one that it becomes in a mirror."""
    places = {name: place for place, name in enumerate(points)}
    if flip == "auto":
        pairs = {name: _other_side(name) for name in points}
        pairs = {name: other for name, other in pairs.items() if other in places}
    else:
        unknown = [name for name in [*flip, *flip.values()] if name not in places]
        if unknown:
            hints = [f"{name!r}{did_you_mean(name, places)}" for name in unknown]
            raise ConfigError(
                f"task.options.flip: found {', '.join(hints)}, expected names of points: "
                f"{some_of(points, 12)}"
            )
        pairs = {**flip, **{other: name for name, other in flip.items()}}
        sides = Counter(name for pair in set(map(frozenset, flip.items())) for name in pair)
        several = [name for name, times in sides.items() if times > 1]
        if several:
            raise ConfigError(
                f"task.options.flip: found {some_of(several)} in several pairs, expected each "
                "point in one: the two of a pair change places"
            )
    return [places[pairs.get(name, name)] for name in points]


def _other_side(name: str) -> str:
    pairs = [("left", "right"), ("Left", "Right"), ("LEFT", "RIGHT")]
    sides = {one: other for pair in pairs for one, other in (pair, pair[::-1])}
    return re.sub("|".join(sides), lambda match: sides[match[0]], name)


def _points(flat: np.ndarray) -> np.ndarray:
    return flat.reshape(len(flat), -1, 2)


def _flat(points: np.ndarray) -> np.ndarray:
    return points.reshape(len(points), -1)


def _spread(target: np.ndarray) -> np.ndarray:
    """Diagonal of the box around each row's points, (n,); 0 without points."""
    points = _points(target)
    low = np.where(np.isnan(points), np.inf, points).min(axis=1)
    high = np.where(np.isnan(points), -np.inf, points).max(axis=1)
    sides = np.where(np.isfinite(high - low), high - low, 0)
    return np.linalg.norm(sides, axis=1)
