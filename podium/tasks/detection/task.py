"""Boxes around objects, each of a class."""

import os
import re
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import ClassVar

import numpy as np
import pandas as pd

from podium.errors import DataError, PodiumError, count, did_you_mean, some_of
from podium.files import box_tables, coco
from podium.files.box_tables import Form, Read
from podium.geometry import boxes, views
from podium.metrics.boxes import found_in, matched, precision_of_class
from podium.metrics.coco import LEVELS
from podium.packed import column, pack, unpack
from podium.tasks import base, targets
from podium.tasks.detection.options import TRAITS, losses
from podium.tasks.packed import (
    PackedTask,
    check_row_per_picture,
    check_without_blanks,
    fitted_apart,
)

#: Share of a box that must be left in the network's picture, and its least side in pixels there.
VISIBLE, LEAST_SIDE = 0.15, 1.0
#: Pixels of the row's picture that a predicted box has at least in width and height.
THINNEST = 0.1
#: Score from which boxes are drawn and counted for people.
SHOWN = 0.4
#: The thresholds that are tried for each class.
THRESHOLDS = (0.05, 0.1, 0.15, 0.25, 0.35, 0.45, 0.55, 0.7)
#: Pixels of a network's picture that an object should have.
ENOUGH = 8
#: Where COCO's results are written, beside the submission.
RESULTS = "detections.json"
#: Weights of loss terms, (approach, term), that their authors do not leave at 1.
_WEIGHTS = {("rt_detr", "box"): 5.0, ("rt_detr", "giou"): 2.0}
#: Boxes drawn in a figure, at most.
DRAWN = 4000
GREEN, YELLOW, RED = (0, 190, 80), (255, 205, 0), (230, 40, 40)


class Task(PackedTask):
    """Targets are (boxes (k, 4), classes (k,)), predictions (boxes, scores (m,), classes).

    Boxes are corners in pixels of the row's picture, float32; classes int16 places in `names`.
    Predictions are best first. As seen in the network's picture they go from 0 to 1 across it.
    """

    space: ClassVar[str] = "boxes"
    key: ClassVar[base.Key] = {"found": GREEN, "missed": YELLOW, "wrong": RED}
    takes_targets: ClassVar[bool] = True
    is_spatial: ClassVar[bool] = TRAITS.is_spatial

    # ---------------------------------------------------------------- reading

    @classmethod
    def read_targets(cls, table, columns, options, sample, found):
        """See `PackedTask.read_targets`."""
        numbered = options.classes_folder is not None and _asks_numbers(sample, options)
        read = _read(table, columns, options, found, numbered)
        found.problems.extend(read.problems)
        if not len(read.objects):
            if read.file is not None:
                raise coco.no_object(read.file, found.problems)
            raise DataError(f"{found.table}: no training picture has a box")
        names = list(options.classes or read.names or targets.in_order(read.objects["label"]))
        names = [name for name in names if name not in options.nothing]
        rows = read.of(found.pictures.index, names)
        packed = pd.DataFrame({"packed": column(pack(*row) for row in rows)})
        packed.index = found.pictures.index
        ids = dict(read.ids or {})
        if coco.is_coco(found.test):
            ids["row_ids"] = coco.ids_of_rows(found.test, found.id_column)
        info = {"names": names, "sizes": _sizes(read, found.pictures, names), "coco": ids}
        return packed, info

    def read_solution(self, table, columns, found):
        """Boxes as the training table has them, strings as in a submission, or a COCO file."""
        options = self.options.model_copy(update={"classes": None})  # checked below
        if coco.is_coco(found.table):
            options = options.model_copy(update={"format": "coco", "annotations": None})
        elif options.annotations:  # which are of the training pictures
            changed = {"format": "auto", "normalised": options.hands_in_shares}
            options = options.model_copy(update=changed)
            columns = columns or list(table.columns)
        try:
            read = self._known(_read(table, columns, options, found))
        except PodiumError as error:
            if options.format == "coco":
                raise
            if len(columns) > 1 and all(name in table.columns for name in columns):
                raise
            try:
                read = self._read_strings(table, found)
            except DataError:
                if isinstance(error, _UnknownClassError):  # nothing else is strange
                    raise error from None
                raise
        return column(pack(*row) for row in read.of(found.pictures.index, self.names))

    def _known(self, read: Read) -> Read:
        """The objects of a solution; DataError where the training set does not have a class.

        Classes may be called by the ids that a COCO file gives them.
        """
        ids = self.info["coco"].get("category_ids")
        labels = coco.as_names(read.objects["label"], self.names, ids)
        objects = read.objects.assign(label=labels)
        unknown = objects[~objects["label"].isin(self.names)]
        if len(unknown):
            label, id_ = unknown["label"].iloc[0], unknown["id"].iloc[0]
            raise _UnknownClassError(
                f"{unknown['label'].nunique()} classes of {len(unknown)} boxes are none of the "
                f"training set's, {some_of(self.names)}: the first is {label!r} (id {id_})"
                f"{did_you_mean(label, self.names)}. Write them as there, or leave these boxes out"
            )
        return replace(read, objects=objects)

    def _read_strings(self, table: pd.DataFrame, found) -> Read:
        """A column of strings with or without scores, such as a submission's."""
        if not len(table.columns):
            raise DataError(f"{found.table} has no column with boxes")
        name = table.columns[0]
        fields = self.options.submission.split()
        roles = boxes.roles_of(self.options.submission, or_middle=True)
        if boxes.way_of(roles) is None:
            raise DataError(
                f"{found.table} has middles alone, which no metric is of; give a table of boxes, "
                "such as the training table's"
            )
        bare = [field for field, role in zip(fields, roles, strict=True) if role != "score"]
        for tried in (bare, fields):
            form = Form(
                "string",
                box=(name,),
                fields=" ".join(tried),
                normalised=self.options.hands_in_shares,
                nothing=(self.options.submission_nothing, *self.options.nothing),
            )
            try:
                read = box_tables.read(table, [name], form, found.pictures, file=found.table)
                return self._known(read)
            except DataError as error:
                problem = error
        raise problem

    def blank(self, rows):
        return column(pack(*_NONE) for _ in range(rows))

    def stratify_by(self, target, bins):
        """The rarest class of each picture, and whether it holds more boxes than most."""
        rows = [unpack(row)[1] for row in target]
        seen = np.zeros((len(rows), len(self.names) + 1), dtype=bool)
        for row, classes in enumerate(rows):
            seen[row, classes] = True
            seen[row, -1] = not len(classes)
        rarity = np.where(seen, seen.sum(axis=0), np.inf)
        counts = np.array([len(classes) for classes in rows])
        return 2 * rarity.argmin(axis=1) + (counts > np.median(counts))

    # --------------------------------------------------------------- learning

    def network(self, settings):
        from podium.networks.detectors import build_detector

        approach = TRAITS.approach_of(settings)
        width, most = self.options.width, self.options.most
        return build_detector(settings, approach, len(self.names), width, most)

    def default_loss(self):
        return {"classification": 1.0, "box": 1.0}

    def default_loss_of(self, approach):
        return {
            name: _WEIGHTS.get((approach, name), 1.0) for name in losses(self.options, approach)
        }

    def loss_terms(self, loss, train_target):
        def term(name, raw, target):
            return raw["losses"][name]

        names = ("classification", "box", "centerness", "objectness", "rpn_box", "giou")
        return {name: partial(term, name) for name in names}

    def framed(self, arrays, frames, row):
        """`boxes` (k, 4) float32 in the network's pixels and `labels` (k,) int64."""
        known, labels = arrays
        moved = known * np.tile(frames.scale[row], 2) + np.tile(frames.offset[row], 2)
        inside = np.clip(moved, 0, np.tile(frames.size[::-1], 2))
        sides = inside[:, 2:] - inside[:, :2]
        whole = np.maximum(boxes.areas(moved), 1e-9)
        kept = (boxes.areas(inside) >= VISIBLE * whole) & (sides >= LEAST_SIDE).all(axis=1)
        return {
            "boxes": inside[kept].astype(np.float32),
            "labels": labels[kept].astype(np.int64),
        }

    def unframed(self, framed):
        return framed["boxes"].astype(np.float32), framed["labels"].astype(np.int16)

    def compose_options(self):
        import albumentations as A

        params = A.BboxParams(
            "pascal_voc",
            label_fields=["labels"],
            min_visibility=VISIBLE,
            min_width=LEAST_SIDE,
            min_height=LEAST_SIDE,
            clip=True,
        )
        return {"bbox_params": params}

    def augmented(self, transform, picture, target):
        """A picture and its boxes, moved together; boxes that get lost or too small are dropped."""
        moved = transform(image=picture, bboxes=target["boxes"], labels=target["labels"])
        found = np.asarray(moved["bboxes"], dtype=np.float32).reshape(-1, 4)
        labels = np.asarray(moved["labels"], dtype=np.int64).reshape(-1)
        return moved["image"], {"boxes": found, "labels": labels}

    def united(self, size, parts):
        moved = [one["boxes"] + np.float32([left, top, left, top]) for one, top, left in parts]
        return {
            "boxes": np.concatenate(moved).astype(np.float32),
            "labels": np.concatenate([one["labels"] for one, _, _ in parts]),
        }

    def pasted(self, picture, framed, other, others, random):
        """Half of the other's boxes with what they hold; what they hide is dropped."""
        chosen = random.random(len(others["boxes"])) < 0.5
        made, hidden = picture.copy(), np.zeros(picture.shape[:2], bool)
        for left, top, right, bottom in np.rint(others["boxes"][chosen]).astype(int):
            made[top:bottom, left:right] = other[top:bottom, left:right]
            hidden[top:bottom, left:right] = True
        seen = np.array(
            [
                (~hidden[top:bottom, left:right]).mean() if bottom > top and right > left else 0
                for left, top, right, bottom in np.rint(framed["boxes"]).astype(int)
            ]
        )
        kept = seen > VISIBLE
        return made, {
            name: np.concatenate([framed[name][kept], others[name][chosen]]) for name in framed
        }

    def collated(self, framed):
        import torch

        return [{name: torch.from_numpy(a) for name, a in one.items()} for one in framed]

    def predict(self, raw, train_target):
        """A tuple of boxes, scores and classes per picture, on the CPU."""
        answers = []
        for answer in raw:
            fine = answer["boxes"].isfinite().all(1) & answer["scores"].isfinite()
            parts = (answer[name][fine].cpu() for name in ("boxes", "scores", "labels"))
            answers.append(tuple(parts))
        return answers

    def undo(self, view, prediction):
        return [(_undone(view, box), *rest) for box, *rest in prediction]

    def merged(self, predictions):
        if len(predictions) == 1:
            return predictions[0]
        even = [1 / len(predictions)] * len(predictions)
        return [
            self._fused([tuple(np.asarray(array) for array in part) for part in parts], even)
            for parts in zip(*predictions, strict=True)
        ]

    def _fused(self, parts, weights):
        options = self.options
        return boxes.fused(parts, weights, options.fusion, options.fusion_iou, options.most)

    def place_row(self, prediction, frames, row):
        box, scores, classes = (np.asarray(array) for array in prediction)
        there = box.astype(np.float64) * np.tile(frames.size[::-1], 2)
        home = (there - np.tile(frames.offset[row], 2)) / np.tile(frames.scale[row], 2)
        home = np.clip(home, 0, np.tile(frames.sides[row], 2)).astype(np.float32)
        kept = ((home[:, 2:] - home[:, :2]) >= THINNEST).all(axis=1)
        order = np.flatnonzero(kept)[np.argsort(-scores[kept], kind="stable")]
        return (
            home[order].reshape(-1, 4),
            scores[order].astype(np.float32),
            classes[order].astype(np.int16),
        )

    def combine_row(self, parts, weights):
        return self._fused(parts, weights)

    # --------------------------------------------------------------- deciding

    def default_decision(self):
        count = fitted_apart(len(self.names))
        return {"threshold": [0.5] * count}

    def grid(self, metric, target):
        if metric.needs != "labels":
            return {}
        places = range(len(self.default_decision()["threshold"]))
        return {f"threshold.{place}": list(THRESHOLDS) for place in places}

    def exact_row(self, target):
        box, classes = target
        return box, np.ones(len(box), np.float32), classes

    def decide_row(self, arrays, decision):
        """Boxes and classes of the boxes whose score reaches that of their class, best first."""
        box, _, classes = self._passed(arrays, decision)
        return box, classes

    def _passed(self, arrays, decision: dict):
        box, scores, classes = arrays
        thresholds = np.resize(decision["threshold"], len(self.names))
        order = np.argsort(-scores, kind="stable")
        order = order[scores[order] >= thresholds[classes[order]]]
        return box[order], scores[order], classes[order]

    # ---------------------------------------------------------------- writing

    def asked_rows(self, sample):
        """See `base.Task.asked_rows`: strings of the form that is handed in, one a picture."""
        name = _string_column(sample)
        if name is None:
            return sample
        check_row_per_picture(sample)
        options = self.options
        cells = sample[name].fillna("").astype(str).str.strip()
        for row, cell in enumerate(cells, start=2):
            problem = boxes.misfit(cell, options.submission)
            if problem and cell != options.submission_nothing.strip():
                raise DataError(
                    f"row {row}: {cell[:80]!r} is not of the form {options.submission!r}: "
                    f"{problem}. Set `task.options.submission` to what its parts are, such as "
                    "`score xmin ymin width height`, or `submission_nothing` to a text that "
                    "stands for no box"
                )
        return sample

    @classmethod
    def check_sample(cls, sample, options, found, info):
        """See `base.Task.check_sample`: classes that nobody knows are listed."""
        try:
            said, name = _said_labels(sample, options)
        except DataError:  # which the rehearsal tells
            return
        called = coco.called(info["names"], info["coco"].get("category_ids"), said, name)
        none = options.submission_nothing
        known = {*called.values(), "", none, *options.nothing}
        known |= set(boxes.labels_in(none, options.submission))
        strange = [label for label in dict.fromkeys(said) if label not in known]
        if strange:
            problem = "classes of the sample submission that are none of the training boxes'"
            action = (
                f"answered with {some_of(list(called.values()))}: are these the names it wants?"
            )
            found.problems.append((found.table, some_of(strange), problem, action))

    def handed_in(self, prediction, pictures):
        """Boxes in pixels, or in shares of their pictures' sides."""
        if not self.options.hands_in_shares:
            return prediction
        sides = np.tile(pictures[["width", "height"]].to_numpy(dtype=np.float64), 2)
        rows = zip(map(unpack, prediction), sides, strict=True)
        return column(pack(box / side, *rest) for (box, *rest), side in rows)

    @property
    def _digits(self) -> int:
        """Decimals of a submission's numbers."""
        return 6 if self.options.hands_in_shares else 2

    def submission(self, prediction, decision, metric, sample):
        """A string per picture, or a row per box where the sample has columns of a box.

        Other columns hold what they do in the first of a picture's rows. With a metric of decided
        boxes those below the thresholds are left out.
        """
        rows = [unpack(row) for row in prediction]
        if metric.needs == "labels":
            rows = [self._passed(row, decision) for row in rows]
        kept, name = sample[~sample.index.duplicated()], _string_column(sample)
        ids = self.info["coco"].get("category_ids")
        called = coco.called(self.names, ids, *_said_labels(sample, self.options))
        names = [called[name] for name in self.names]
        if name is None:
            return self._rows_of(rows, kept, names)
        fields, between = self.options.submission, self.options.submission_between
        if "label" in boxes.roles_of(fields, or_middle=True):
            check_without_blanks(names, "a string of boxes")
        texts = [
            boxes.write(
                fields, [names[place] for place in classes], box, scores, self._digits, between
            )
            or self.options.submission_nothing
            for box, scores, classes in rows
        ]
        return kept.astype(object).assign(**{name: texts})

    def files(self, prediction, decision, sample):
        if self.options.coco_results:
            ids = list(dict.fromkeys(sample.index))
            known = self.info.get("coco") or {}
            rows = [unpack(row) for row in prediction]
            yield RESULTS, coco.results(ids, rows, self.names, **known)

    def _rows_of(self, rows, kept: pd.DataFrame, called: list[str]) -> pd.DataFrame:
        """A row per box, its fields by the sample's columns; an empty one where there is none.

        Args:
            kept: the sample submission's first row of each picture.
            called: what it calls the classes.
        """
        filled = _columns_of_a_box(kept, self.options)
        columns, roles = list(filled), list(filled.values())
        numbers = [role for role in roles if role not in ("label", "score")]
        fields = " ".join(numbers)  # of a column each, or those of a list
        lines, index = [], []
        for id_, (box, scores, classes) in zip(kept.index, rows, strict=True):
            for one, score, kind in zip(box, scores, classes, strict=True):
                cells = boxes.write(fields, [""], one[None], [score], self._digits).split(" ")
                cells = cells if len(numbers) > 1 else [f"[{', '.join(cells)}]"]
                said = dict(zip(numbers, cells, strict=True))
                said |= {"label": called[kind], "score": f"{score:.6f}"}
                lines.append([said[role] for role in roles])
            lines += [] if len(box) else [[""] * len(columns)]
            index += [id_] * max(1, len(box))
        filled = kept.astype(object).loc[index]
        filled[columns] = np.array(lines, dtype=object).reshape(-1, len(columns))
        return filled

    # -------------------------------------------------------------- explaining

    def numbers(self, target):
        """Boxes of each class, (n, classes)."""
        rows = [unpack(row)[1] for row in target]
        return np.array([np.bincount(row, minlength=len(self.names)) for row in rows], float)

    def describe_targets(self, targets_table):
        rows = [unpack(row) for row in self.encode(targets_table)]
        found = Counter(name for _, classes in rows for name in classes.tolist())
        return {
            "kind": "boxes",
            "counts": {name: found.get(place, 0) for place, name in enumerate(self.names)},
            "findings": self._findings(targets_table.index, rows, found),
        }

    def _findings(self, ids, rows, found: Counter) -> list[tuple]:
        sizes, total = self.info["sizes"], sum(found.values())
        if not total:  # a fold may be of such pictures alone
            return []
        counts = np.array([len(box) for box, _ in rows])
        pictures = [
            sum(place in classes for _, classes in rows) for place in range(len(self.names))
        ]
        lines = [
            {
                "class": name,
                "boxes": found.get(place, 0),
                "pictures": pictures[place],
                "median width": sizes["width"][place],
                "median height": sizes["height"][place],
            }
            for place, name in enumerate(self.names)
        ]
        rarest, most = min(found.values()), max(found.values())
        text = (
            f"{total:,} boxes in {len(rows):,} pictures, {counts.mean():.1f} a picture "
            f"({counts.min()} to {counts.max()}). Widths and heights are shares of the picture's. "
            "A mean over classes weighs the rarest as much as the most frequent."
        )
        title = f"{len(self.names)} classes of boxes, {targets.rarer(most / rarest)}"
        listed = [(2 if most > 20 * rarest else 1, title, text, lines)]
        lost = [name for place, name in enumerate(self.names) if not found.get(place)]
        if lost:
            text = (
                f"{some_of(lost)}: named in task.options.classes or in the file of the boxes, but "
                "no model can learn them."
            )
            listed.append((2, f"{len(lost)} classes without a box", text))
        if (counts == 0).any():
            bare = [ids[row] for row in np.flatnonzero(counts == 0)]
            text = (
                f"{some_of(bare)}: what is found there is false. They stay in the training, which "
                "teaches just that; if they were only not looked at, leave them out."
            )
            listed.append((1, f"{count(len(bare), 'picture')} without objects", text))
        side = int(np.ceil(ENOUGH / max(sizes["small"], 1e-6)))
        text = (
            f"One box in twenty is smaller than {sizes['small']:.1%} of the picture in width or "
            f"height; it has {ENOUGH} pixels of an image_size of {side} or more. Below that, "
            "detectors miss it."
        )
        listed.append((2 if side > 512 else 1, "How small the small boxes are", text))
        if sizes["border"]:
            text = (
                "Objects cut by the border are partly outside of the picture. Boxes that reach "
                "less than a pixel beyond it are taken as touching it."
            )
            listed.append((1, f"{sizes['border']:,} boxes touch the border", text))
        if counts.max() > self.options.most:
            text = (
                f"Only {self.options.most} boxes a picture are kept: `task.options.most`. COCO's "
                f"metrics count {boxes.MOST}, others all."
            )
            listed.append((3, f"A picture with {counts.max()} boxes", text))
        return listed

    def example_labels(self, targets_table):
        said = [self._in_words(unpack(row)[1]) for row in self.encode(targets_table)]
        return pd.Series(said, index=targets_table.index, dtype=object)

    def _in_words(self, classes: np.ndarray) -> str:
        counts = Counter(self.names[name] for name in classes).most_common(3)
        return ", ".join(f"{count} {name}" for name, count in counts) or "none"

    def draw_targets(self, table, target, folder):
        """`target.png`: boxes per class and per picture, their sizes and where they are."""
        from podium.drawing import figures

        rows = [unpack(row) for row in target]
        counts = Counter(name for _, classes in rows for name in classes.tolist())
        named = {self.names[place]: count for place, count in counts.most_common()}
        figure, axes = figures.new(2, 2, size=(figures.WIDTH, 6.4))
        figures.bars(axes[0, 0], named)
        axes[0, 0].set_title("Boxes per class")
        figures.histogram(axes[0, 1], {"boxes": np.array([len(box) for box, _ in rows])})
        axes[0, 1].set_title("Boxes per picture")
        sides = np.maximum(table[["width", "height"]].to_numpy(dtype=np.float64), 1)
        shares = [box / np.tile(side, 2) for (box, _), side in zip(rows, sides, strict=True)]
        share = np.concatenate(shares) if shares else np.zeros((0, 4))
        classes = np.concatenate([kind for _, kind in rows])
        some = np.random.default_rng(0).permutation(len(share))[:DRAWN]
        share, classes = share[some], classes[some]
        size, middle = share[:, 2:] - share[:, :2], (share[:, :2] + share[:, 2:]) / 2
        for place, name in enumerate(self.names[: len(figures.PALETTE)]):
            style = {"color": figures.PALETTE[place], "alpha": 0.35, "markersize": 3}
            label = figures.shorten(name)
            axes[1, 0].plot(*size[classes == place].T, ".", label=label, **style)
            axes[1, 1].plot(*middle[classes == place].T, ".", **style)
        axes[1, 0].set(title="Sizes", xlabel="share of the width", ylabel="share of the height")
        axes[1, 0].legend(markerscale=3)
        axes[1, 1].set(title="Middles", xlabel="share of the width", xlim=(0, 1), ylim=(1, 0))
        figures.save(figure, folder / "target.png")
        return ["target"]

    def errors_by_name(self, target, prediction):
        """A line per class: objects, average precision (COCO's, and at IoU 0.5), recall, precision.

        Recall and precision, at IoU 0.5, are those of boxes with a score of at least `SHOWN`.
        """
        pairs = zip(map(unpack, target), map(unpack, prediction), strict=True)
        measures = [found_in(true, said, LEVELS) for true, said in pairs]
        lines = []
        for place, name in enumerate(self.names):
            precisions, scores, hits, objects = precision_of_class(measures, place)
            kept = scores >= SHOWN
            right, said = int(hits[kept].sum()), int(kept.sum())
            lines.append(
                {
                    "name": name,
                    "rows": sum(int((row[3] == place).any()) for row in measures),
                    "objects": objects,
                    "ap": None if precisions is None else float(precisions.mean()),
                    "ap50": None if precisions is None else float(precisions[0]),
                    "recall": right / objects if objects else None,
                    "precision": right / said if said else None,
                }
            )
        return lines

    def answer(self, prediction, severity):
        _, scores, classes = unpack(prediction)
        return f"{self._in_words(classes[scores >= SHOWN])} ({severity:.0%} wrong)"

    def mistakes(self, target, prediction):
        """1 - found / (objects + false), each box counted by its score, at an IoU of 0.5."""
        return np.array(
            [_severity(unpack(t), unpack(p)) for t, p in zip(target, prediction, strict=True)]
        )

    def draw(self, picture, scale, target, prediction=None):
        """Boxes on a picture: found green, missed yellow, false red, with label and score."""
        true, names = unpack(target)
        scale = np.tile(scale, 2)
        drawn = picture.copy()
        if prediction is None:
            for box, name in zip(true * scale, names, strict=True):
                _draw_box(drawn, box, GREEN, self.names[name])
            return drawn
        box, scores, classes = unpack(prediction)
        box, scores, classes = (array[scores >= SHOWN] for array in (box, scores, classes))
        found = matched((true, names), box, classes, (0.5,))[:, 0]
        for place in np.setdiff1d(np.arange(len(true)), found):
            _draw_box(drawn, true[place] * scale, YELLOW, f"{self.names[names[place]]} missed")
        for one, score, name, hit in zip(box * scale, scores, classes, found >= 0, strict=True):
            _draw_box(drawn, one, GREEN if hit else RED, f"{self.names[name]} {score:.2f}")
        return drawn


class _UnknownClassError(DataError):
    """A solution has a class that the training set does not have."""


_NONE = (np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int16))


def _string_column(sample: pd.DataFrame) -> str | None:
    """A sample submission's column of strings; None where a row is a box.

    Raises DataError where several columns may be it.
    """
    columns = list(sample.columns)
    if len(columns) == 1:
        return columns[0]
    if boxes.way_of(boxes.roles_in(columns)) is not None or _list_column(sample) is not None:
        return None
    likely = [name for name in columns if re.search("pred|string|box", name.lower())]
    if len(likely) != 1:
        raise DataError(
            f"the sample submission has the columns {some_of(columns, 12)}: expected those of a "
            "box (xmin, ymin, xmax, ymax ..), or one for strings whose name has `pred`, `string` "
            "or `box` in it"
        )
    return likely[0]


def _list_column(sample: pd.DataFrame) -> str | None:
    """The column for a box as a list, where a row is a box: beside those of its class or score."""
    roles = set(boxes.roles_in(list(sample.columns)))
    named = [name for name in sample.columns if re.fullmatch("(?i)(bbox|box|bounding.?box)", name)]
    if len(named) != 1 or not roles & {"label", "score"}:
        return None
    cells = sample[named[0]].dropna().astype(str).str.strip()
    return named[0] if cells[cells != ""].str.startswith(("[", "(")).all() else None


def _columns_of_a_box(sample: pd.DataFrame, options) -> dict[str, str]:
    """The columns that are filled of a sample with a row per box, and the role of each.

    The role of a list are its fields. What else a box is told by, such as the picture's width
    beside corners, stays as it is.
    """
    roles = dict(zip(sample.columns, boxes.roles_in(list(sample.columns)), strict=True))
    labels = [name for name, role in roles.items() if role == "label"]
    if len(labels) > 1:  # `name` may well be the picture's
        roles |= {name: None for name in labels if name.lower() == "name"}
    listed = _list_column(sample)
    if listed is not None:
        roles_there = boxes.roles_of(options.fields or box_tables.FIELDS["list"])
        if options.format not in ("auto", "list") or len(roles_there) != 4:  # those of a string
            roles_there = boxes.roles_of(box_tables.FIELDS["list"])
        fields = " ".join(roles_there)
        roles[listed], told = fields, {"label", "score", fields}
    else:
        told = {"label", "score", *boxes.WAYS[boxes.way_of(roles.values())]}
    found = {name: role for name, role in roles.items() if role in told}
    again = [name for name, role in found.items() if list(found.values()).count(role) > 1]
    if again:
        raise DataError(
            f"the sample submission says the same of a box in several columns, {some_of(again)}: "
            "nothing tells which of them is to be filled"
        )
    return found


def _said_labels(sample: pd.DataFrame, options) -> tuple[list[str], str]:
    """The labels of the boxes in a sample submission, and the name of their column, if any."""
    if not len(sample.columns):
        return [], ""
    name = _string_column(sample)
    if name is not None:
        cells = sample[name].dropna().astype(str)
        return [label for cell in cells for label in boxes.labels_in(cell, options.submission)], ""
    roles = _columns_of_a_box(sample, options)
    column = next((name for name, role in roles.items() if role == "label"), "")
    return (sample[column].dropna().astype(str).tolist() if column else []), column


def _asks_numbers(sample: pd.DataFrame, options) -> bool:
    """Whether the boxes in a sample submission are of classes that are numbers."""
    labels, _ = _said_labels(sample, options)
    numbers = boxes.numbers_of(labels)
    return bool(labels) and bool((numbers == np.floor(numbers)).all())


def _read(table, columns, options, found, numbered=False) -> Read:
    annotations = options.annotations
    if options.format == "coco" and annotations is None and coco.is_coco(found.table):
        annotations = os.path.abspath(found.table)  # a solution
    form = Form(
        options.format,
        label=options.columns.label,
        box=tuple(options.columns.box),
        fields=options.fields,
        normalised=options.normalised,
        annotations=annotations,
        nothing=tuple(options.nothing),
        numbered=numbered,
    )
    return box_tables.read(
        table, columns, form, found.pictures,
        file=found.table, root=found.root, classes=options.classes, repair=options.repair,
    )  # fmt: skip


def _sizes(read: Read, pictures: pd.DataFrame, names: list[str]) -> dict:
    """Of the training boxes, relative to the pictures: medians per class, the small, the cut."""
    objects = read.objects
    sides = pictures[["width", "height"]].loc[objects["id"]].to_numpy(dtype=np.float64)
    corners = objects[list(boxes.CORNERS)].to_numpy(dtype=np.float64)
    share = (corners[:, 2:] - corners[:, :2]) / sides
    medians = pd.DataFrame(share).groupby(objects["label"].to_numpy()).median().reindex(names)
    touches = (corners[:, :2] <= 0).any(axis=1) | (corners[:, 2:] >= sides).any(axis=1)
    wide, high = (
        [None if np.isnan(v) else round(float(v), 4) for v in medians[axis]] for axis in (0, 1)
    )
    return {
        "width": wide,
        "height": high,
        "small": float(np.quantile(share.min(axis=1), 0.05)),
        "border": int(touches.sum()),
    }


def _undone(view: str, box):
    """Corners from 0 to 1 across a view, in the picture itself."""
    import torch

    ends = views.undo_points(view, box.reshape(-1, 2, 2) - 0.5) + 0.5
    return torch.cat([ends.amin(1), ends.amax(1)], 1)


def _severity(target, prediction) -> float:
    box, scores, classes = prediction
    is_hit = matched(target, box, classes, (0.5,))[:, 0] >= 0
    right, false = float(scores[is_hit].sum()), float(scores[~is_hit].sum())
    whole = len(target[0]) + false
    return 1 - right / whole if whole else 0.0


def _draw_box(picture: np.ndarray, box: np.ndarray, colour: tuple, text: str) -> None:
    import cv2

    x0, y0, x1, y1 = (round(float(value)) for value in box)
    width = max(1, round(min(picture.shape[:2]) / 200))
    cv2.rectangle(picture, (x0, y0), (x1 - 1, y1 - 1), colour, width, cv2.LINE_AA)
    size = min(picture.shape[:2]) / 900
    if size < 0.2:  # nobody could read it
        return
    place = (x0 + 1, y0 - 3 if y0 > 40 * size else y1 + round(30 * size))
    for ink, stroke in (((0, 0, 0), 2 * width + 1), (colour, width)):
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, ink, stroke, cv2.LINE_AA)
