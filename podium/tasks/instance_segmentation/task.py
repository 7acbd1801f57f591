"""Objects with a mask each."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import ClassVar

import numpy as np
import pandas as pd

from podium.errors import DataError, count, some_of
from podium.files import coco
from podium.geometry import framing, instances, masks, run_order, views
from podium.geometry.basins import Basins
from podium.metrics.instances import answer_of, dsb_precision, matched, target_of
from podium.packed import column, pack, unpack
from podium.tasks import base, targets
from podium.tasks.instance_segmentation import reading
from podium.tasks.instance_segmentation.options import RCNN
from podium.tasks.instance_segmentation.options import losses as names_of_losses
from podium.tasks.packed import (
    PackedTask,
    check_row_per_picture,
    check_without_blanks,
    fitted_apart,
)

#: A piece of an object that a transform has cut it in is one of its own from this share of it.
PIECE = 0.1
#: Colours of outlines.
FOUND, TRUE, MISSED, WRONG = (0, 200, 80), (70, 150, 255), (255, 215, 0), (235, 40, 40)
#: Thirds of the training objects, by their area.
SIZES = ("small", "middle", "large")
#: Least area of an object where nothing else is said: noise has fewer pixels.
SMALL = 5
#: The least score of an object of one class, and of one of several, whose class is unsure as well.
SURE, SURE_OF_CLASS = 0.4, 0.3
#: Least scores that are tried.
SCORES = (0.0, 0.4, 0.6, 0.7, 0.8, 0.9)
SCORES_OF_CLASSES = (0.0, 0.2, *SCORES[1:])
#: Columns of a sample submission, in lower case, for an object's score.
SCORE_COLUMNS = ("score", "confidence")
#: Likewise, for all objects of a picture.
STRING_COLUMNS = ("predictionstring", "prediction_string")


class Task(PackedTask):
    """Targets are label pictures (height, width) uint16, 0 where there is no object.

    Predictions are maps uint8 (3, height, width), in 255ths, see `podium.geometry.instances`, or
    label pictures with scores (objects,); answers are the latter. Of several classes there are a
    map for each of them, and classes int16 (objects,), places in `classes`, behind labels and
    scores. Framed targets are codes (height, width), see `podium.geometry.instances`.
    """

    space: ClassVar[str] = "instances"
    judges_answers: ClassVar[bool] = True
    key: ClassVar[base.Key] = {
        "found": FOUND,
        "its true outline": TRUE,
        "missed": MISSED,
        "wrong": WRONG,
    }
    #: A watershed takes its time.
    fitted_on: ClassVar[int] = 120
    finds_by: ClassVar[tuple[str, ...]] = ("threshold", "depth")

    @classmethod
    def read_targets(cls, table, columns, options, sample, found):
        """See `PackedTask.read_targets`."""
        path = coco.path_of(options, found)
        if options.pattern:
            name = (*_only(sample, options.class_column), "labels")[0]
            table = targets.with_paths(table, columns, name, options.pattern, found)
            columns = [name]
        columns = columns or _only(sample, options.class_column)
        name = (*columns, "segmentation")[0]
        rows, classes, ids = reading.read_objects(table, name, options, found, path)
        if options.targets_are_paths:
            targets.note_unnamed(targets.filled(table[name]), found, options.pattern)
        areas = np.concatenate(_areas_of(rows))
        if not len(areas):
            if path is not None:
                raise coco.no_object(path, found.problems)
            raise DataError(
                f"{found.table}: no row of column {name!r} has an object; all are empty"
            )
        frame = pd.DataFrame({"packed": column(rows)}, index=found.pictures.index)
        sizes = np.percentile(areas, [0, 100 / 3, 200 / 3]).round(1).tolist()
        names = classes if len(classes) > 1 else list(instances.MAPS)
        varying = [] if options.class_column else targets.varying(table, [name])
        told = {"names": names, "classes": classes, "column": name, "sizes": sizes}
        return frame, {**told, "varying": varying, "category_ids": ids}

    def read_solution(self, table, columns, found):
        path = coco.solution_of(found)
        of_class = self.options.class_column
        named = _without(columns, of_class)
        if not set(named) & set(table.columns):  # a sample submission may call it otherwise
            named = [*_only(table, of_class), *named]
        name = [*named, self.info["column"]][0]
        known = self.classes if self._several else []
        if of_class in table.columns:  # which may have the ids of a COCO file
            labels = coco.as_names(table[of_class], self.classes, self.info.get("category_ids"))
            table = table.assign(**{of_class: labels})
        rows, *_ = reading.read_objects(
            table, name, self.options, found, path, known, is_solution=True
        )
        return column(rows)

    @property
    def classes(self) -> list[str]:
        """Names of the classes, if anything tells them."""
        return self.info.get("classes", [])

    @property
    def _count(self) -> int:
        return max(1, len(self.classes))

    @property
    def _several(self) -> bool:
        return self._count > 1

    def stratify_by(self, target, bins):
        """Quantile bin of how many objects there are, of equally many how much they cover.

        Of several classes: the rarest one of a picture, and whether it has more objects than most.
        """
        if self._several:
            counts = self._counts(target)
            seen = np.column_stack([counts > 0, counts.sum(axis=1) == 0])
            rarity = np.where(seen, seen.sum(axis=0), np.inf)
            total = counts.sum(axis=1)
            return 2 * rarity.argmin(axis=1) + (total > np.median(total))
        rows = (unpack(row)[0] for row in target)
        facts = pd.DataFrame([(r.max(initial=0), (r > 0).mean()) for r in rows], columns=["n", "a"])
        ranks = facts.sort_values(["n", "a"], kind="stable").index
        place = np.empty(len(target), np.int64)
        place[ranks] = np.arange(len(target))
        return place * min(bins, len(target)) // max(len(target), 1)

    def _counts(self, target) -> np.ndarray:
        """Objects of each class in each row, (n, classes)."""
        kinds = [target_of(unpack(row))[1] for row in target]
        return np.array([np.bincount(row, minlength=self._count) for row in kinds])

    # --------------------------------------------------------------- learning

    def network(self, settings):
        if settings.approach == RCNN:
            from podium.tasks.instance_segmentation import rcnn

            return rcnn.build(settings, self._count)
        from podium.networks.maps import build_segmenter

        return build_segmenter(settings, len(instances.MAPS) + self._maps_of_classes)

    @property
    def _maps_of_classes(self) -> int:
        return self._count if self._several else 0

    def default_loss(self):
        maps = {"foreground": 1.0, "dice": 0.5, "border": 0.5, "distance": 0.3}
        return {**maps, "classes": 1.0} if self._several else maps

    def default_loss_of(self, approach):
        if approach == RCNN:
            return dict.fromkeys(names_of_losses(self.options, approach), 1.0)
        return self.default_loss()

    def loss_terms(self, loss, train_target):
        from podium import losses

        def of_network(name, raw, target):
            return raw["losses"][name]

        return {
            "foreground": losses.object_foreground,
            "dice": losses.object_overlap,
            "border": losses.object_borders,
            "distance": partial(losses.object_depths, beta=loss.beta),
            "classes": partial(losses.object_classes, smoothing=loss.label_smoothing),
            **{name: partial(of_network, name) for name in names_of_losses(self.options, RCNN)},
        }

    def framed(self, arrays, frames, row):
        labels, classes = target_of(arrays)
        return self._coded(framing.framed(labels, frames, row), classes)

    def unframed(self, framed):
        """A target, from codes or from what `collated` puts them in."""
        codes = framed if framed.ndim == 2 else framed[-1]
        return self._decoded(codes.astype(np.int32))[: 1 + self._several]

    def _coded(self, labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
        return instances.coded(labels, classes, self._count)

    def _decoded(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return instances.decoded(codes, self._count)

    def augmented(self, transform, picture, target):
        """Moves labels as a mask; what a mirrored border shows twice are two objects."""
        labels, classes = self._decoded(target)
        moved = transform(image=picture, mask=labels.astype(np.int16))
        pieces, owners = _pieces(moved["mask"])
        return moved["image"], self._coded(pieces, classes[owners - 1])

    def united(self, size, parts):
        whole, kinds = np.zeros(size, np.int32), [np.zeros(0, np.int16)]
        for codes, top, left in parts:
            labels, classes = self._decoded(codes)
            here = whole[top : top + labels.shape[0], left : left + labels.shape[1]]
            here[labels > 0] = labels[labels > 0] + sum(map(len, kinds))
            kinds.append(classes)
        return self._coded(whole, np.concatenate(kinds))

    def pasted(self, picture, framed, other, others, random):
        """Half of the other's objects, in front of what is there."""
        labels, classes = self._decoded(framed)
        their_labels, their_classes = self._decoded(others)
        chosen = 1 + np.flatnonzero(random.random(len(their_classes)) < 0.5)
        on = np.isin(their_labels, chosen)
        made, both = picture.copy(), labels.astype(np.int32)
        made[on] = other[on]
        both[on] = their_labels[on] + np.int32(len(classes))
        pieces, owners = _pieces(both)
        return made, self._coded(pieces, np.concatenate([classes, their_classes])[owners - 1])

    def collated(self, framed):
        """Maps and codes, float32 (batch, maps + 1, H, W)."""
        import torch

        rows = [np.concatenate([instances.maps_of(each), each[None]]) for each in framed]
        return torch.from_numpy(np.stack(rows).astype(np.float32))

    def predict(self, raw, train_target):
        """Maps (batch, H, W, maps), or Mask R-CNN's answers as they are."""
        import torch

        if not _are_maps(raw):
            return raw
        plain, of_classes = raw.split([len(instances.MAPS), self._maps_of_classes], dim=1)
        return torch.cat([plain.sigmoid(), of_classes.softmax(1)], 1).permute(0, 2, 3, 1)

    def undo(self, view, prediction):
        if _are_maps(prediction):
            return views.apply(views.INVERSE[view], prediction)
        from podium.tasks.instance_segmentation import rcnn

        return [rcnn.undone(view, each) for each in prediction]

    def merged(self, predictions):
        """The mean of maps; of objects, each row's answers in a list."""
        if _are_maps(predictions[0]):
            return super().merged(predictions)
        return [list(each) for each in zip(*predictions, strict=True)]

    def place_row(self, prediction, frames, row):
        if not _are_maps(prediction):
            return _placed(prediction, frames, row, 2 + self._several)
        return (framing.placed(prediction, frames, row),)

    # --------------------------------------------------------------- deciding

    def combine_row(self, parts, weights):
        """The mean of maps; objects, and maps as objects, by a vote (`instances.fused`).

        Objects are fused whatever their classes; the class is voted on.
        """
        if len(parts) == 1:
            return parts[0]
        if all(len(part) == 1 for part in parts):
            return (framing.mean_of([maps for (maps,) in parts], weights),)
        decision = self.default_decision()
        found = [self._grown(part, decision) for part in parts]
        return instances.fused(found, weights)

    def default_decision(self):
        small = {"min_area": SMALL, "min_share": 0.1}
        own = fitted_apart(self._count)
        score = [SURE_OF_CLASS] * own if self._several else SURE
        return {"threshold": 0.5, "rise": 0.1, "depth": 0.5, **small, "score": score}

    def grid(self, metric, target):
        areas = np.concatenate(_areas_of(target))
        small, larger = np.percentile(areas, [1, 5]) if len(areas) else (0, 0)
        areas = sorted({0, round(small / 2), round(small), round(larger)})
        scores = {"score": list(SCORES)}
        if self._several:
            places = range(len(self.default_decision()["score"]))
            scores = {f"score.{place}": list(SCORES_OF_CLASSES) for place in places}
        return {
            "threshold": [0.3, 0.4, 0.5, 0.6, 0.7],
            "depth": [0.0, 0.5, 1.0],
            "rise": [0.03, 0.05, 0.1, 0.15, 0.2, 0.3],
            "min_area": areas,
            "min_share": [0.0, 0.05, 0.1, 0.2],
            **scores,
        }

    def found_row(self, arrays, decision):
        """Basins of maps; labels, scores and, of several, classes as they are."""
        if len(arrays) > 1:
            return arrays
        return instances.basins_in(
            _maps_of(arrays), **{name: decision[name] for name in self.finds_by}
        )

    def _grown(self, arrays, decision) -> tuple[np.ndarray, ...]:
        """Labels, scores and, of several, classes of a prediction of either form."""
        if len(arrays) > 1:
            return arrays
        how = {name: decision[name] for name in (*self.finds_by, "rise")}
        return instances.objects_in(_maps_of(arrays), **how)

    def exact_row(self, target):
        labels, *classes = target
        return labels, np.ones(int(labels.max(initial=0)), np.float32), *classes

    def decide_row(self, arrays, decision):
        """The objects that are sure and large enough, compared to others of their class."""
        if isinstance(arrays, Basins):
            owners, areas, *told = instances.merged(arrays, decision["rise"])
            keep = self._keeps(decision, areas, *told)
            return instances.painted(arrays, owners, keep, told)
        labels, scores, classes = answer_of(arrays)
        keep = self._keeps(decision, masks.areas(labels, len(scores)), scores, classes)
        if keep.all():
            return arrays
        labels, old = masks.renumbered(labels, keep)
        return labels, *(each[old - 1] for each in arrays[1:])

    def _keeps(self, decision, areas, scores, classes=None) -> np.ndarray:
        """Which objects are an answer, bool (objects,)."""
        classes = np.zeros(len(scores), np.int16) if classes is None else classes
        typical = [instances.typical(areas[classes == kind]) for kind in range(self._count)]
        least = np.maximum(decision["min_area"], decision["min_share"] * np.array(typical))
        sure = np.resize(decision["score"], self._count).astype(np.float32)
        return (scores >= sure[classes]) & (areas >= np.maximum(least, 1)[classes])

    # ---------------------------------------------------------------- writing

    def asked_rows(self, sample):
        """See `base.Task.asked_rows`: a cell holds all objects of its picture."""
        if self.options.submission:
            check_row_per_picture(sample)
            if "{label}" in self.options.submission:
                check_without_blanks(list(self._called(sample).values()), "a cell of objects")
        return sample

    def submission(self, prediction, decision, metric, sample):
        """A row per object, in the order of the sample's ids; empty cells for none.

        A column of scores is filled too; others hold what they do in the first of a picture's rows.
        With the option `submission` a row per picture, with all its objects in one cell.
        """
        of_class = self.options.class_column
        of_score = [name for name in sample.columns if name.lower() in SCORE_COLUMNS][:1]
        of_score = [] if self.options.submission else of_score
        field = self._field_of(sample, of_score)
        ids, lines, called = [], [], self._called(sample)
        for id_, row in zip(
            dict.fromkeys(sample.index), self.decide(prediction, decision), strict=True
        ):
            texts, names, scores = self._told(answer_of(unpack(row)), called)
            ids += [id_] * max(len(texts), 1)
            lines += list(zip(texts, names, scores, strict=True)) or [("",) * 3]
        names = [field, of_class, *(of_score or [None])]
        cells = pd.DataFrame(lines, columns=names, dtype=object)
        index = pd.Index(ids, name=sample.index.name, dtype=sample.index.dtype)
        kept = sample[~sample.index.duplicated()].drop(columns=names, errors="ignore")
        cells = cells.set_index(index)
        return cells.loc[:, cells.columns.notna()].join(kept)[list(sample.columns)]

    def _field_of(self, sample: pd.DataFrame, of_score: list[str]) -> str:
        """The sample's column of masks; DataError where it cannot be told, or nothing fills it."""
        of_class, own = self.options.class_column, self.info["column"]
        fields = [name for name in _without(sample.columns, of_class) if name not in of_score]
        if own in fields and not set(fields) & set(self.info.get("varying", [])):
            fields = [own]
        if self.options.submission:
            fields = [name for name in fields if name.lower() in STRING_COLUMNS] or fields
        if len(fields) != 1:
            raise DataError(
                f"The sample submission has the columns {some_of(list(sample.columns), 12)}, but "
                f"this task fills one with a row per object, that of `competition.target`, here "
                f"{own}, or the only one, and that of classes which `task.options.class_column` "
                "names; or with `task.options.submission` one with all objects of a picture, "
                "PredictionString or the only one."
            )
        names_classes = "{label}" in (self.options.submission or "")
        if (of_class in sample.columns or names_classes) and not self.classes:
            where = (
                "task.options.submission has {label}"
                if names_classes
                else (f"The sample submission has a column {of_class}")
            )
            raise DataError(
                f"{where}, but no class is known: task.options.class_column or a COCO file must "
                "name them, and task.options.classes must not be [], which tells none apart."
            )
        return fields[0]

    def _called(self, sample: pd.DataFrame) -> dict[str, str]:
        """What the submission calls the classes."""
        said = _said_labels(sample, self.options)
        ids = self.info.get("category_ids")
        return coco.called(self.classes, ids, said, self.options.class_column)

    def _told(
        self, answer: tuple[np.ndarray, ...], called: dict[str, str]
    ) -> tuple[list[str], list[str], Sequence]:
        """Cells of a picture's masks, classes and scores: one for each of its rows, or none."""
        labels, scores, classes = answer
        names = [called.get(name, name) for name in self._names_of(classes)]
        scores = [round(float(score), 6) for score in scores]
        template = self.options.submission
        if template is None:
            runs, counting = masks.runs_of_labels(labels, self.options.order), self.options.counting
            return [masks.write_runs(each, **counting) for each in runs], names, scores
        runs = masks.runs_of_labels(labels)
        words = [
            template.format(
                label=names[place],
                score=f"{scores[place]:.6g}",
                mask=masks.write_text(runs[place], labels.shape),
            )
            for place in np.argsort(np.negative(scores), kind="stable")  # the surest first
        ]
        return [" ".join(words)], [""], [""]

    def _names_of(self, classes: np.ndarray) -> list[str]:
        return [self.classes[kind] for kind in classes] if self.classes else [""] * len(classes)

    # -------------------------------------------------------------- explaining

    def numbers(self, target):
        """Objects of each class, (n, classes), where there are several."""
        return self._counts(target).astype(float) if self._several else super().numbers(target)

    def describe_targets(self, targets):
        areas = _areas_of(targets["packed"])
        counts = pd.Series(list(map(len, areas)), index=targets.index)
        bins = {
            "none": (0, 0),
            "1": (1, 1),
            "2 to 9": (2, 9),
            "10 to 99": (10, 99),
            "100 or more": (100, np.inf),
        }
        return {
            "kind": "objects",
            "counts": {
                name: int(counts.between(low, high).sum()) for name, (low, high) in bins.items()
            },
            "findings": self._findings(targets["packed"], counts, areas),
        }

    def findings_in_pictures(self, table, target):
        if self.options.format != "runs":
            return []
        return run_order.findings(table, lambda row: unpack(target[row])[0], self.options.order)

    def _findings(self, target, counts: pd.Series, areas: list[np.ndarray]) -> list[tuple]:
        area = np.concatenate(areas)
        if not len(area):  # a fold may be of pictures without objects alone
            return []
        return [
            *self._findings_of_objects(target, counts, area),
            *self._findings_of_classes(target, areas),
        ]

    def _findings_of_objects(self, target, counts: pd.Series, areas: np.ndarray) -> list[tuple]:
        sides = np.sqrt(np.percentile(areas, [5, 50, 95]))
        busiest = counts.sort_values(ascending=False).head(5)
        found = [
            (
                1,
                f"{counts.sum():,} objects, {counts.median():g} in the median picture",
                f"Up to {counts.max()} in one. The middle object is {sides[1]:.0f} pixels across "
                f"(the root of its area), nine of ten are from {sides[0]:.0f} to {sides[2]:.0f}.",
                [{"id": id_, "objects": int(n)} for id_, n in busiest.items()],
            )
        ]
        if (counts == 0).any():
            empty = counts.index[counts == 0]
            text = "They teach where nothing is; check that they are not just unlabelled."
            found.append(
                (
                    1,
                    f"{count(len(empty), 'picture')} without objects",
                    text,
                    [{"id": i} for i in empty[:20]],
                )
            )
        meet, pieces = zip(*(_meet_and_pieces(unpack(row)[0]) for row in target), strict=True)
        if any(meet):
            text = (
                "Objects meet in them: a plain mask would make one of two. The map of borders and "
                "the watershed keep them apart."
            )
            found.append((1, f"{sum(meet)} pictures with touching objects", text))
        apart = sum(pieces)
        if apart:
            text = (
                "Something in front of an object parts it. Where this is the rule, a mask of all "
                "objects of a picture was taken for one: each needs a row or a number of its own."
            )
            title = f"{apart:,} of {len(areas):,} objects in several pieces"
            found.append((2 if apart > 0.2 * len(areas) else 1, title, text))
        tiny = areas < 10
        if tiny.any():
            text = (
                "Objects of fewer than 10 pixels are lost where pictures are shrunk; some are "
                "slips of the mouse. `min_area` is searched, so that they need not be found."
            )
            found.append(
                (
                    2 if tiny.mean() > 0.02 else 1,
                    f"{count(int(tiny.sum()), 'object')} of a few pixels",
                    text,
                )
            )
        return found

    def _findings_of_classes(self, target, areas: list[np.ndarray]) -> list[tuple]:
        if not self._several:
            return []
        area = np.concatenate(areas)
        kinds = np.concatenate([target_of(unpack(row))[1] for row in target])
        counts = self._counts(target)
        total, shown = counts.sum(axis=0), (counts > 0).sum(axis=0)
        lines = [
            {
                "class": name,
                "objects": int(total[kind]),
                "pictures": int(shown[kind]),
                "median area": float(np.median(area[kinds == kind])) if total[kind] else None,
            }
            for kind, name in enumerate(self.classes)
        ]
        rare = total.max() / max(total[total > 0].min(), 1)
        text = (
            f"The rarest is {self.classes[int(np.where(total, total, np.inf).argmin())]}. A mean "
            "over classes weighs it as much as the most frequent."
        )
        title = f"{len(self.classes)} classes of objects, {targets.rarer(rare)}"
        found = [(2 if rare > 20 else 1, title, text, lines)]
        lost = [name for name, count in zip(self.classes, total, strict=True) if not count]
        if lost:
            text = (
                f"{some_of(lost)}: named in task.options.classes or in the file of the objects, "
                "but no model can learn them."
            )
            found.append((2, f"{len(lost)} classes without an object", text))
        return found

    def example_labels(self, targets):
        return targets["packed"].map(lambda row: self._in_words(target_of(unpack(row))[1]))

    def _in_words(self, classes: np.ndarray) -> str:
        """How many objects there are; of several classes, of the three most frequent ones."""
        if self._several and len(classes):
            counts = Counter(self._names_of(classes)).most_common(3)
            return ", ".join(f"{count} {name}" for name, count in counts)
        return f"{len(classes)} object{'' if len(classes) == 1 else 's'}"

    def draw_targets(self, table, target, folder):
        """`target.png`: how many objects a picture has, how large they are, and of which class."""
        from podium.drawing import figures

        areas = _areas_of(target)
        figure, axes = figures.new(cols=2 + self._several, size=(7.0 + 3.5 * self._several, 3.0))
        axes[0].hist(list(map(len, areas)), bins=30)
        axes[0].set_xlabel("objects in a picture")
        axes[0].set_ylabel("pictures")
        axes[1].hist(np.sqrt(np.concatenate(areas)), bins=40)
        axes[1].set_xlabel("root of the area, pixels")
        axes[1].set_ylabel("objects")
        if self._several:
            total = self._counts(target).sum(axis=0)
            order = np.argsort(-total, kind="stable")
            figures.bars(axes[2], {self.classes[kind]: int(total[kind]) for kind in order})
            axes[2].set_xlabel("objects of a class")
        figures.save(figure, folder / "target.png")
        return ["target"]

    def errors_by_name(self, target, prediction):
        """How many objects there are and which share is found at IoU 0.5: a line per size, and
        one per class where there are several."""
        area, hit, kinds = [], [], []
        for true, said in zip(target, prediction, strict=True):
            labels, classes = target_of(unpack(true))
            area.append(masks.areas(labels, len(classes)))
            hit.append(matched(unpack(true), unpack(said), 0.5)[0])
            kinds.append(classes)
        area, hit, kinds = (np.concatenate(each) for each in (area, hit, kinds))
        edges = [*self.info["sizes"], np.inf]
        named = {
            f"{name} objects": (area >= low) & (area < high)
            for name, low, high in zip(SIZES, edges, edges[1:], strict=False)
        }
        if self._several:
            named |= {name: kinds == kind for kind, name in enumerate(self.classes)}
        return [
            {
                "name": name,
                "rows": int(some.sum()),
                "found": float(hit[some].mean()) if some.any() else None,
            }
            for name, some in named.items()
        ]

    def answer(self, prediction, severity):
        classes = answer_of(unpack(prediction))[2]
        return f"{self._in_words(classes)}, {1 - severity:.2f} right"

    def as_target(self, answer):
        def without_scores(row: bytes) -> bytes:
            labels, _, *classes = unpack(row)
            return pack(labels, *classes)

        return column(map(without_scores, answer))

    def mistakes(self, target, prediction):
        """One less the row's precision by the rule of the Data Science Bowl."""
        return np.array(
            [
                1 - dsb_precision(unpack(true), unpack(said))[0]
                for true, said in zip(target, prediction, strict=True)
            ]
        )

    def draw(self, picture, scale, target, prediction=None):
        """Outlines: found objects green, missed ones yellow, wrong answers red.

        A found one's true outline is blue below the green. Of several classes with their names.
        """
        true = unpack(target)
        labels, classes = target_of(true)
        drawn = picture.copy()
        if prediction is None:
            self._outline(drawn, labels, classes, np.ones(len(classes), bool), FOUND)
            return drawn
        said = unpack(prediction)
        found, right = matched(true, said, 0.5)
        said_labels, _, said_classes = answer_of(said)
        _outline(drawn, labels, found, TRUE)
        self._outline(drawn, said_labels, said_classes, ~right, WRONG)
        self._outline(drawn, said_labels, said_classes, right, FOUND)
        self._outline(drawn, labels, classes, ~found, MISSED)
        return drawn

    def _outline(self, picture, labels, classes, which: np.ndarray, colour) -> None:
        """Draw the outlines of some objects, and what they are, in a picture of any size."""
        _outline(picture, labels, which, colour)
        size = min(picture.shape[:2]) / 900
        if not self._several or size < 0.2:  # nobody could read it
            return
        import cv2

        corners = masks.boxes(labels, len(classes))[:, :2]
        places = corners * picture.shape[1::-1] // labels.shape[::-1]
        for (x, y), name in zip(places[which], self._names_of(classes[which]), strict=True):
            at = int(x) + 1, max(int(y) - 3, round(30 * size))
            for ink, width in (((0, 0, 0), 3), (colour, 1)):
                cv2.putText(
                    picture, name, at, cv2.FONT_HERSHEY_SIMPLEX, size, ink, width, cv2.LINE_AA
                )


def _areas_of(target) -> list[np.ndarray]:
    """Pixels of each object of each packed row: one row at a time is unpacked."""
    return [masks.areas(unpack(row)[0]) for row in target]


def _meet_and_pieces(labels: np.ndarray) -> tuple[bool, int]:
    """Whether objects meet, and how many are in several pieces."""
    apart = np.count_nonzero(np.bincount(_pieces(labels)[1]) > 1)
    return bool(instances.borders(labels).any()), apart


def _maps_of(arrays) -> np.ndarray:
    return arrays[0].astype(np.float32) / 255


def _are_maps(prediction) -> bool:
    return not isinstance(prediction, list | dict)


def _without(columns, name: str | None) -> list[str]:
    return [column for column in columns if column != name]


def _said_labels(sample: pd.DataFrame, options) -> list[str]:
    """The classes of the objects in a sample submission, as far as they can be told."""
    if options.class_column in sample.columns:
        return sample[options.class_column].dropna().astype(str).tolist()
    words = (options.submission or "").split()
    columns = [name for name in sample.columns if name.lower() in STRING_COLUMNS]
    if "{label}" not in words or len(columns) != 1:
        return []
    cells = sample[columns[0]].dropna().astype(str).str.split()
    return [label for cell in cells for label in cell[words.index("{label}") :: len(words)]]


def _only(table: pd.DataFrame, name: str | None) -> list[str]:
    """The table's column beside one of a name, where there is a single one."""
    found = _without(table.columns, name)
    return found if len(found) == 1 else []


def _placed(answers: dict | list[dict], frames, row: int, count: int) -> tuple[np.ndarray, ...]:
    """Mask R-CNN's answer in the row's own picture, `count` arrays; several views' vote."""
    from podium.tasks.instance_segmentation import rcnn

    answers = answers if isinstance(answers, list) else [answers]
    parts = [rcnn.pasted(each, frames, row)[:count] for each in answers]
    if len(parts) == 1:
        return parts[0]
    return instances.fused(parts, [1 / len(parts)] * len(parts))


def _pieces(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A label picture in which the larger pieces of an object are objects of their own, and the
    old labels of its objects."""
    from skimage.measure import label

    pieces, count = label(labels, connectivity=2, return_num=True)
    _, first = np.unique(pieces, return_index=True)
    owner = labels.ravel()[first][-count:] if count else np.zeros(0, labels.dtype)
    area = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
    whole = np.bincount(owner, area, minlength=int(labels.max(initial=0)) + 1)
    order = np.argsort(-area, kind="stable")
    largest = np.zeros(len(whole), np.int64)
    largest[owner[order[::-1]]] = order[::-1] + 1
    own = np.where(area >= PIECE * whole[owner], np.arange(1, count + 1), largest[owner])
    found, kept = masks.renumbered(np.concatenate([[0], own])[pieces])
    return found, owner[kept - 1]


def _outline(picture: np.ndarray, labels: np.ndarray, which: np.ndarray, colour) -> None:
    """Draw the outlines of some objects in a picture of any size."""
    import cv2
    from skimage.segmentation import find_boundaries

    if not which.any():
        return
    kept = np.where(np.concatenate([[False], which])[labels], labels, 0)
    large = cv2.resize(
        kept.astype(np.uint16), picture.shape[1::-1], interpolation=cv2.INTER_NEAREST
    )
    picture[find_boundaries(large, mode="inner")] = colour
