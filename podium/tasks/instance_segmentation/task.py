"""Objects with a mask each."""

from functools import partial
from typing import ClassVar

import numpy as np
import pandas as pd

from podium import coco, framing, instances, masks, views
from podium.errors import DataError
from podium.packed import column, pack, unpack
from podium.tasks.instance_segmentation import reading
from podium.tasks.instance_segmentation.options import RCNN
from podium.tasks.instance_segmentation.options import losses as names_of_losses
from podium.tasks.packed import PackedTask

#: A piece of an object that a transform has cut it in is one of its own from this share of it.
PIECE = 0.1
#: Colours of outlines.
FOUND, MISSED, WRONG = (0, 200, 80), (255, 215, 0), (235, 40, 40)
#: Thirds of the training objects, by their area.
SIZES = ("small", "middle", "large")


class Task(PackedTask):
    """Targets are label pictures (height, width) uint16, 0 where there is no object.

    Predictions are maps uint8 (3, height, width), see `podium.instances`, in 255ths, or label
    pictures with scores (objects,); answers are the latter.
    """

    space: ClassVar[str] = "instances"
    #: A watershed takes its time.
    fitted_on: ClassVar[int] = 160
    finds_by: ClassVar[tuple[str, ...]] = ("threshold", "seed", "depth")

    @classmethod
    def read_targets(cls, table, columns, options, sample, found):
        """See `PackedTask.read_targets`."""
        path = coco.path_of(options, found)
        columns = columns or list(sample.columns if len(sample.columns) == 1 else ())
        name = (*columns, "segmentation")[0]
        pictures = reading.read_objects(table, name, options, found, path)
        areas = np.concatenate([masks.areas(each) for each in pictures])
        if not len(areas):
            if path is not None:
                raise coco.no_object(path, found.problems)
            raise DataError(
                f"{found.table}: no row of column {name!r} has an object; all are empty"
            )
        frame = pd.DataFrame({"packed": column(map(pack, pictures))}, index=found.pictures.index)
        sizes = np.percentile(areas, [0, 100 / 3, 200 / 3]).round(1).tolist()
        return frame, {"names": list(instances.MAPS), "column": name, "sizes": sizes}

    def read_solution(self, table, columns, found):
        path = coco.solution_of(found)
        only = table.columns if len(table.columns) == 1 else ()
        name = (*columns, *only, self.info["column"])[0]
        return column(map(pack, reading.read_objects(table, name, self.options, found, path)))

    def stratify_by(self, target, bins):
        """Quantile bin of how many objects there are, of equally many how much they cover."""
        rows = [unpack(row)[0] for row in target]
        facts = pd.DataFrame(
            {"n": [r.max(initial=0) for r in rows], "a": [(r > 0).mean() for r in rows]}
        )
        ranks = facts.sort_values(["n", "a"], kind="stable").index
        place = np.empty(len(target), np.int64)
        place[ranks] = np.arange(len(target))
        return place * min(bins, len(target)) // max(len(target), 1)

    # --------------------------------------------------------------- learning

    def network(self, settings):
        if settings.approach == RCNN:
            from podium.tasks.instance_segmentation import rcnn

            return rcnn.build(settings)
        from podium.maps import build_segmenter

        return build_segmenter(settings, len(instances.MAPS))

    def default_loss(self):
        return {"foreground": 1.0, "dice": 0.5, "border": 0.5, "distance": 0.3}

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
            **{name: partial(of_network, name) for name in names_of_losses(self.options, RCNN)},
        }

    def framed(self, arrays, frames, row):
        return framing.framed(arrays[0], frames, row)

    def unframed(self, framed):
        """Labels, from themselves or from what `collated` puts beside the maps."""
        labels = framed if framed.ndim == 2 else framed[-1]
        return (labels.astype(np.uint16),)

    def augmented(self, transform, picture, target):
        """Moves labels as a mask; what a mirrored border shows twice are two objects."""
        moved = transform(image=picture, mask=target.astype(np.int16))
        return moved["image"], _pieces(moved["mask"]).astype(target.dtype)

    def united(self, size, parts):
        whole, last = np.zeros(size, parts[0][0].dtype), 0
        for labels, top, left in parts:
            here = whole[top : top + labels.shape[0], left : left + labels.shape[1]]
            here[labels > 0] = labels[labels > 0] + last
            last = int(whole.max(initial=0))
        return masks.renumbered(whole)[0].astype(whole.dtype)

    def pasted(self, picture, framed, other, others, random):
        """Half of the other's objects, in front of what is there."""
        chosen = 1 + np.flatnonzero(random.random(int(others.max(initial=0))) < 0.5)
        on = np.isin(others, chosen)
        made, labels = picture.copy(), framed.copy()
        made[on] = other[on]
        labels[on] = others[on] + framed.max(initial=0)
        return made, _pieces(labels).astype(framed.dtype)

    def collated(self, framed):
        """Maps and labels, float32 (batch, maps + 1, H, W)."""
        import torch

        return torch.from_numpy(
            np.stack([np.concatenate([instances.maps_of(each), each[None]]) for each in framed])
        )

    def predict(self, raw, train_target):
        """Maps (batch, H, W, maps), or Mask R-CNN's answers as they are."""
        return raw.sigmoid().permute(0, 2, 3, 1) if _are_maps(raw) else raw

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
            return _placed(prediction, frames, row)
        return (framing.placed(prediction, frames, row),)

    # --------------------------------------------------------------- deciding

    def combine_row(self, parts, weights):
        """The mean of maps; objects, and maps as objects, by a vote (`instances.fused`)."""
        if len(parts) == 1:
            return parts[0]
        if all(len(part) == 1 for part in parts):
            return (framing.mean_of([maps for (maps,) in parts], weights),)
        decision = self.default_decision()
        found = [self.found_row(part, decision) for part in parts]
        return instances.fused(found, weights)

    def default_decision(self):
        small = {"min_area": instances.SEED, "min_share": 0.1}
        return {"threshold": 0.5, "seed": 0.6, "depth": 0.5, **small, "score": 0.4}

    def grid(self, metric, target):
        areas = np.concatenate([masks.areas(unpack(row)[0]) for row in target])
        small, larger = np.percentile(areas, [1, 5]) if len(areas) else (0, 0)
        areas = sorted({0, round(small / 2), round(small), round(larger)})
        return {
            "threshold": [0.3, 0.4, 0.5, 0.6, 0.7],
            "depth": [0.0, 0.5, 1.0],
            "seed": [0.4, 0.5, 0.6, 0.7, 0.8],
            "min_area": areas,
            "min_share": [0.0, 0.05, 0.1, 0.2],
            "score": [0.0, 0.4, 0.6, 0.7, 0.8, 0.9],
        }

    def found_row(self, arrays, decision):
        """Labels and scores of a prediction of either form."""
        if len(arrays) > 1:
            return arrays
        maps = arrays[0].astype(np.float32) / 255
        return instances.objects_in(maps, **{name: decision[name] for name in self.finds_by})

    def decide_row(self, arrays, decision):
        labels, scores = arrays
        areas = masks.areas(labels, len(scores))
        least = max(decision["min_area"], decision["min_share"] * instances.typical(areas), 1)
        keep = (scores >= decision["score"]) & (areas >= least)
        if keep.all():
            return labels, scores
        labels, old = masks.renumbered(labels, keep)
        return labels, scores[old - 1]

    # ---------------------------------------------------------------- writing

    def submission(self, prediction, decision, metric, sample):
        """A row per object, in the order of the sample's ids; an empty cell for none."""
        if len(sample.columns) != 1:
            raise DataError(
                f"The sample submission has the columns {', '.join(sample.columns)}, but this task "
                f"fills one, such as {self.info['column']}, with a row per object."
            )
        ids, cells = [], []
        for id_, row in zip(
            dict.fromkeys(sample.index), self.decide(prediction, decision), strict=True
        ):
            runs = masks.runs_of_labels(unpack(row)[0], self.options.order)
            texts = [masks.write_runs(r, first_pixel=self.options.first_pixel) for r in runs]
            ids += [id_] * max(len(texts), 1)
            cells += texts or [""]
        index = pd.Index(ids, name=sample.index.name, dtype=sample.index.dtype)
        return pd.DataFrame({sample.columns[0]: cells}, index=index, dtype=object)

    # -------------------------------------------------------------- explaining

    def describe_targets(self, targets):
        rows = [unpack(row)[0] for row in targets["packed"]]
        counts = pd.Series([int(row.max(initial=0)) for row in rows], index=targets.index)
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
            "findings": self._findings(rows, counts),
        }

    def _findings(self, rows: list[np.ndarray], counts: pd.Series) -> list[tuple]:
        areas = np.concatenate([masks.areas(row) for row in rows])
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
                (1, f"{len(empty)} pictures without objects", text, [{"id": i} for i in empty[:20]])
            )
        touching = np.array([instances.borders(row).any() for row in rows])
        if touching.any():
            text = (
                "Objects meet in them: a plain mask would make one of two. The map of borders and "
                "the watershed keep them apart."
            )
            found.append((1, f"{touching.sum()} pictures with touching objects", text))
        tiny = areas < 10
        if tiny.any():
            text = (
                "Objects of fewer than 10 pixels are lost where pictures are shrunk; some are "
                "slips of the mouse. `min_area` is searched, so that they need not be found."
            )
            found.append(
                (2 if tiny.mean() > 0.02 else 1, f"{tiny.sum()} objects of a few pixels", text)
            )
        return found

    def example_labels(self, targets):
        counts = targets["packed"].map(lambda row: int(unpack(row)[0].max(initial=0)))
        return counts.map(lambda n: f"{n} object{'' if n == 1 else 's'}")

    def draw_targets(self, table, target, folder):
        """`target.png`: how many objects a picture has, and how large they are."""
        from podium import figures

        rows = [unpack(row)[0] for row in target]
        counts = [int(row.max(initial=0)) for row in rows]
        areas = np.concatenate([masks.areas(row) for row in rows])
        figure, axes = figures.new(cols=2, size=(7.0, 3.0))
        axes[0].hist(counts, bins=30)
        axes[0].set_xlabel("objects in a picture")
        axes[0].set_ylabel("pictures")
        axes[1].hist(np.sqrt(areas), bins=40)
        axes[1].set_xlabel("root of the area, pixels")
        axes[1].set_ylabel("objects")
        figures.save(figure, folder / "target.png")
        return ["target"]

    def errors_by_name(self, target, prediction):
        """A line per size of object: how many there are, and which share is found at IoU 0.5."""
        area, hit = [], []
        for true, said in zip(target, self._decided(prediction), strict=True):
            labels = unpack(true)[0]
            area.append(masks.areas(labels))
            hit.append(_matches(labels, *unpack(said))[0])
        area, hit = np.concatenate(area), np.concatenate(hit)
        edges = [*self.info["sizes"], np.inf]
        lines = []
        for name, low, high in zip(SIZES, edges, edges[1:], strict=False):
            some = (area >= low) & (area < high)
            share = float(hit[some].mean()) if some.any() else None
            lines.append({"name": f"{name} objects", "rows": int(some.sum()), "found": share})
        return lines

    def answer(self, prediction, severity):
        count = int(unpack(self._decided([prediction])[0])[0].max(initial=0))
        return f"{count} object{'' if count == 1 else 's'}, {1 - severity:.2f} right"

    def mistakes(self, target, prediction):
        """One less the row's precision by the rule of the Data Science Bowl."""
        from podium.metrics.instances import dsb_precision

        return np.array(
            [
                1 - dsb_precision(unpack(true)[0], unpack(said))[0]
                for true, said in zip(target, self._decided(prediction), strict=True)
            ]
        )

    def _decided(self, prediction) -> np.ndarray:
        return self.decide(prediction, self.default_decision())

    def draw(self, picture, scale, target, prediction=None):
        """Outlines: found objects green, missed ones yellow, wrong answers red."""
        true = unpack(target)[0]
        drawn = picture.copy()
        if prediction is None:
            _outline(drawn, true, np.ones(true.max(initial=0), bool), FOUND)
            return drawn
        said, scores = unpack(self._decided([prediction])[0])
        found, right = _matches(true, said, scores)
        _outline(drawn, said, ~right, WRONG)
        _outline(drawn, said, right, FOUND)
        _outline(drawn, true, ~found, MISSED)
        return drawn


def _are_maps(prediction) -> bool:
    return not isinstance(prediction, list | dict)


def _placed(answers: dict | list[dict], frames, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Mask R-CNN's answer in the row's own picture; those of several views vote."""
    from podium.tasks.instance_segmentation import rcnn

    answers = answers if isinstance(answers, list) else [answers]
    parts = [rcnn.pasted(each, frames, row) for each in answers]
    if len(parts) == 1:
        return parts[0]
    return instances.fused(parts, [1 / len(parts)] * len(parts))


def _pieces(labels: np.ndarray) -> np.ndarray:
    """A label picture in which the larger pieces of an object are objects of their own."""
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
    return masks.renumbered(np.concatenate([[0], own])[pieces])[0]


def _matches(true: np.ndarray, said: np.ndarray, scores: np.ndarray):
    """Whether each true object is found at IoU 0.5, and each answer right."""
    from podium.metrics.instances import matched

    return matched((true,), (said, scores), 0.5)


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
