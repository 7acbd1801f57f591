"""A class for every pixel, or a mask for every class."""

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

import cv2
import numpy as np
import pandas as pd

from podium.errors import DataError, count, did_you_mean, some_of
from podium.files import coco, tables
from podium.geometry import framing, masks, run_order, views
from podium.packed import column, pack, unpack
from podium.tasks import base, targets
from podium.tasks.faults import Faults
from podium.tasks.packed import PackedTask, fitted_apart
from podium.tasks.segmentation import ids as class_ids
from podium.tasks.segmentation.options import ARCHITECTURES
from podium.tasks.segmentation.reading import (
    MASK,
    Reader,
    cells_of,
    check_not_all_empty,
    class_names,
    numbers_of,
)

#: Thresholds of probability that are tried.
THRESHOLDS = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
#: How sure of anything a picture must be to have a mask at all: shares that are tried.
SURE = [0.0, 0.4, 0.6, 0.75, 0.9]
#: The surest pixels of a picture, whose mean says whether there is a mask at all: 1 of so many.
SUREST = 500
#: Pixels of all classes, times the classes, that it is fitted on; but a few pictures at least.
FITTED_PIXELS, FEWEST = 2**26, 64
#: Where pictures are handed in, and what all classes together are called.
FOLDER, LABELS = "masks", "(labels)"
#: Colours of pixels that are found, missed and wrong.
FOUND, MISSED, WRONG = (0, 200, 80), (255, 215, 0), (235, 40, 40)
#: Colours of classes, where a target is drawn alone.
CLASSES = (
    (0, 200, 80), (255, 140, 0), (60, 130, 255), (235, 40, 40), (200, 90, 220), (255, 215, 0),
)  # fmt: skip


class Task(PackedTask):
    """Targets are masks uint8 (classes, height, width) of 0 and 1.

    Of labels with the option `ignore` a last one tells which pixels are not labelled; it counts as
    a class where masks are moved. Predictions are probabilities (classes, height, width) in 255ths;
    answers have the form of targets, with every pixel labelled.
    """

    space: ClassVar[str] = "masks"
    judges_answers: ClassVar[bool] = True
    key: ClassVar[base.Key] = {"found": FOUND, "missed": MISSED, "wrong": WRONG}

    @classmethod
    def read_targets(cls, table, columns, options, sample, found):
        """See `PackedTask.read_targets`."""
        path = coco.path_of(options, found)
        if options.pattern:
            table = targets.with_paths(table, columns, MASK, options.pattern, found)
            columns = [MASK]
        faults = Faults(found, options.repair, path)
        cells = cells_of(table, columns, options, path, faults)
        names = class_names(cells, options)
        reader = Reader(cells, names, options, faults)
        packed = column(map(pack, reader.stacks()))
        check_not_all_empty(reader.seen, names, cells, options, faults)
        if options.targets_are_paths:
            paths = (path for name in columns for path in targets.filled(table[name]))
            targets.note_unnamed(paths, found, options.pattern)
        frame = pd.DataFrame({"packed": packed}, index=found.pictures.index)
        varying = [] if cells.class_column else targets.varying(table, columns)
        nothing = masks.word_for_none(*(table[name] for name in columns if name in table))
        told = {"names": names, "columns": list(columns), "varying": varying, "nothing": nothing}
        return frame, told

    @classmethod
    def index_train(cls, table, path, id_column, options):
        """See `base.Task.index_train`; ids that name a class as well are split.

        A table beside a COCO file lists pictures.
        """
        if options.id_pattern and not (options.annotations or coco.is_coco(path)):
            return class_ids.split(table, path, id_column, options).drop(columns=id_column)
        return super().index_train(table, path, id_column, options)

    @classmethod
    def index_sample(cls, sample, path, id_column, options):
        """See `base.Task.index_sample`; ids that name a class as well are split, and kept."""
        if options.id_pattern:
            tables.index_by_id(sample, path, id_column)  # no mask is asked for twice
            return class_ids.split(sample, path, id_column, options)
        return super().index_sample(sample, path, id_column, options)

    @classmethod
    def check_sample(cls, sample, options, found, info):
        """See `base.Task.check_sample`: classes that it never asks for are listed."""
        column = class_ids.class_column_of(options)
        if column not in sample or options.classes:
            return
        asked = [str(name) for name in sample[column].unique()]
        names = info["names"][1:] if options.kind == "labels" else info["names"]
        others = [name for name in names if name not in asked]
        if len(others) in (0, len(names)):  # a sample without classes has something else there
            return
        problem = (
            f"{count(len(others), 'class', 'classes')} of the training table asked for nowhere"
            f"{did_you_mean(others[0], asked)}: mend what is a slip, or name all classes in "
            "task.options.classes"
        )
        found.problems.append((found.table, some_of(others), problem, "learned all the same"))

    def read_solution(self, table, columns, found):
        path = coco.solution_of(found)
        faults = Faults(found, self.options.repair, path)
        others = [name for name in table.columns if name not in self._beside_masks(table)]
        if path is None and not columns:  # the options say where the training masks are
            columns = others
            if not columns:
                raise DataError(f"{found.table} has no column of masks")
        if len(columns) == len(others) == 1:  # which a sample submission may call otherwise
            columns = others
        cells = cells_of(table, columns, self.options, path, faults, is_solution=True)
        size = self.options.submission_size if cells.format == "runs" else None
        return column(map(pack, Reader(cells, self.names, self.options, faults).stacks(size)))

    def beside(self, target, answer):
        """See `PackedTask.beside`: as large as masks of a solution that are not of their pictures'
        size, which are those that are handed in."""
        (stack,), size = answer, target[0].shape[1:]
        return (stack if stack.shape[1:] == size else masks.resized(stack, size),)

    @property
    def _exclusive(self) -> bool:
        """Whether every pixel has one class, the first of which is the background."""
        return self.options.kind == "labels"

    @property
    def target_key(self):
        """See `base.Task.target_key`: none for one class, or for too many to tell."""
        told = 1 < len(self._shown) <= len(CLASSES)
        return dict(zip(self._shown, CLASSES, strict=False)) if told else {}

    @property
    def _shown(self) -> list[str]:
        """The classes that are looked for: without the background."""
        return self.names[1:] if self._exclusive else self.names

    def _classes_in(self, stack: np.ndarray) -> np.ndarray:
        """The masks of `_shown`: without the background, and what is not labelled."""
        return stack[int(self._exclusive) : len(self.names)]

    def stratify_by(self, target, bins):
        """Quantile bin of how much is covered, empty pictures apart; several classes: which."""
        covered = self.numbers(target)
        if len(self._shown) > 1:
            return (covered > 0).astype(np.int64)
        share = covered[:, 0]
        ranks = pd.Series(share[share > 0]).rank(method="first")
        strata = np.zeros(len(target), np.int64)
        if len(ranks):
            count = min(bins, len(ranks))
            strata[share > 0] = 1 + pd.qcut(ranks, count, labels=False).to_numpy()
        return strata

    # --------------------------------------------------------------- learning

    def network(self, settings):
        from podium.networks.maps import build_segmenter

        return build_segmenter(settings, len(self.names), settings.approach or ARCHITECTURES[0])

    def default_loss(self):
        return {"cross_entropy" if self._exclusive else "bce": 1.0, "dice": 1.0}

    def loss_terms(self, loss, train_target):
        from podium import losses

        of_kind = {"exclusive": self._exclusive}
        pixels = losses.pixel_cross_entropy if self._exclusive else losses.pixel_bce
        terms = {
            "cross_entropy" if self._exclusive else "bce": partial(
                pixels, smoothing=loss.label_smoothing
            ),
            "dice": partial(losses.mask_dice, **of_kind),
            "focal": partial(losses.mask_focal, gamma=loss.gamma, **of_kind),
            "lovasz": partial(losses.lovasz, **of_kind),
            "tversky": partial(losses.tversky, **of_kind),
            "boundary": partial(losses.boundary, **of_kind),
            "presence": partial(losses.presence, **of_kind),
        }
        if self.options.ignore:
            return {name: partial(losses.where_labelled, term) for name, term in terms.items()}
        return terms

    def framed(self, arrays, frames, row):
        seen = np.stack([framing.framed(mask, frames, row) for mask in arrays[0]])
        if self._exclusive:  # the padding is background
            seen[0] = ~seen[1:].any(axis=0)
        return seen

    def unframed(self, framed):
        return (framed.astype(np.uint8),)

    def augmented(self, transform, picture, target):
        moved = transform(image=picture, mask=np.ascontiguousarray(target.transpose(1, 2, 0)))
        there = moved["mask"].reshape(*moved["image"].shape[:2], len(target)).transpose(2, 0, 1)
        if self._exclusive:
            there = there.copy()
            there[0] = ~there[1:].any(axis=0)
        return moved["image"], there

    def united(self, size, parts):
        whole = np.zeros((len(parts[0][0]), *size), np.uint8)
        for stack, top, left in parts:
            whole[:, top : top + stack.shape[1], left : left + stack.shape[2]] = stack
        return whole

    def predict(self, raw, train_target):
        """Probabilities (batch, H, W, classes)."""
        return (raw.softmax(1) if self._exclusive else raw.sigmoid()).permute(0, 2, 3, 1)

    def undo(self, view, prediction):
        return views.apply(views.INVERSE[view], prediction)

    def place_row(self, prediction, frames, row):
        return (framing.placed(prediction, frames, row),)

    # --------------------------------------------------------------- deciding

    def combine_row(self, parts, weights):
        if len(parts) == 1:
            return parts[0]
        return (framing.mean_of([maps for (maps,) in parts], weights),)

    def default_decision(self):
        count = fitted_apart(len(self._shown))
        small = {"min_area": [0] * count, "fill_holes": False}
        if self._exclusive:
            return small
        return {"threshold": [0.5] * count, "sure": [0.0] * count, **small}

    def grid(self, metric, target):
        grid: dict[str, list] = {}
        stacks = [self._classes_in(unpack(row)[0]) for row in target]
        own = len(self.default_decision()["min_area"])
        for place in range(own):
            some = np.s_[place : place + 1] if own > 1 else np.s_[:]
            smallest, small = _areas([mask for stack in stacks for mask in stack[some]])
            if not self._exclusive:
                grid[f"threshold.{place}"] = THRESHOLDS
                grid[f"sure.{place}"] = SURE
            areas = {0, round(smallest / 2), round(smallest), round(small)}
            grid[f"min_area.{place}"] = sorted(areas)
        return {**grid, "fill_holes": [False, True]}

    def rows_to_fit(self, target):
        """Fewer of large pictures, which are looked at for every value of every class."""
        sizes = [unpack(row)[0].size for row in target[:FEWEST]]
        most = FITTED_PIXELS / (np.mean(sizes) * len(self._shown)) if sizes else 0
        return int(np.clip(most, FEWEST, self.fitted_on))

    def exact_row(self, target):
        return (255 * target[0][: len(self.names)],)

    def decide_row(self, arrays, decision):
        maps, count = arrays[0], len(self._shown)
        if self._exclusive:
            best = maps.argmax(axis=0)
            said = (best == np.arange(1, len(maps))[:, None, None]).astype(np.uint8)
        else:
            cuts = np.rint(255 * np.resize(decision["threshold"], count))[:, None, None]
            said = (maps >= cuts).astype(np.uint8)
            for place, sure in enumerate(np.resize(decision["sure"], count)):
                if sure and _sureness(maps[place]) < 255 * sure:
                    said[place] = 0
        for place, least in enumerate(np.resize(decision["min_area"], count)):
            if decision["fill_holes"] and said[place].any():
                filled = masks.without_holes(said[place])
                if self._exclusive:  # what shows another class is no hole of this one
                    filled &= said.sum(axis=0) == said[place]
                said[place] = filled
            if least and said[place].any():
                said[place] = masks.without_small(said[place], least)
        if not self._exclusive:
            return (said,)
        background = (~said.any(axis=0))[None].astype(np.uint8)
        return (np.concatenate([background, said]),)

    # ---------------------------------------------------------------- writing

    def submission(self, prediction, decision, metric, sample):
        """A row per picture, a row per picture and class, or a column per class.

        The sample's own rows, in their order, with run lengths or names of pictures.
        """
        asked = masks.word_for_none(*(sample[name] for name in self._fields(sample)))
        nothing = asked or self.info.get("nothing", "")
        written = self._written(prediction, decision, sample, nothing)
        texts = {(id_, name): text for id_, name, text, _ in written}
        filled = sample.copy()
        for field, name in self._fields(sample).items():
            named = sample[self._class_column] if name is None else [name] * len(sample)
            filled[field] = [
                texts[id_, class_] for id_, class_ in zip(sample.index, named, strict=True)
            ]
        return filled

    def asked_rows(self, sample):
        """See `base.Task.asked_rows`: classes that are known, or a row for each of them."""
        sample = self._row_per_class(sample)
        if None not in self._fields(sample).values():
            return sample
        if self._is_one_picture:
            raise DataError(
                "a row of the sample submission has a class, but with `kind: labels` and "
                "`submission: pictures` a picture of labels has all classes"
            )
        unknown = sample.loc[~sample[self._class_column].isin(self._shown), self._class_column]
        if len(unknown):
            row = "an id" if self.options.id_pattern else f"column {self._class_column!r}"
            classes = some_of(sorted(map(str, unknown.unique())))
            raise DataError(
                f"{row} of the sample submission has the class {classes} (id "
                f"{unknown.index[0]!r}), expected one of {some_of(self._shown)}"
            )
        return sample

    def _row_per_class(self, sample: pd.DataFrame) -> pd.DataFrame:
        """The sample, each of its rows as one for each class if it has one a picture.

        Such a sample has something else in place of all classes, as Severstal's: 0.
        """
        column, count = self.options.class_column, len(self._shown)
        if column not in sample.columns or count < 2 or self._is_one_picture:
            return sample
        said = sample[column].unique()
        if sample.index.has_duplicates or len(said) != 1 or said[0] in self._shown:
            return sample
        return sample.loc[sample.index.repeat(count)].assign(**{column: self._shown * len(sample)})

    def files(self, prediction, decision, sample):
        if self.options.submission == "pictures":
            for _, _, name, picture in self._written(prediction, decision, sample):
                yield name, cv2.imencode(".png", picture)[1].tobytes()

    def _written(
        self, prediction, decision: dict, sample: pd.DataFrame, nothing: str = ""
    ) -> Iterator[tuple]:
        """Id, class (`LABELS`: all of them), text and picture of each mask to hand in.

        Args:
            nothing: the text of an empty mask.
        """
        ids = dict.fromkeys(sample.index)
        for id_, row in zip(ids, self.decide(prediction, decision), strict=True):
            stack = unpack(row)[0]
            if self.options.submission_size is not None:
                stack = masks.resized(stack, self.options.submission_size)
            if self._is_one_picture:
                picture = self._numbers[stack.argmax(axis=0)]
                yield id_, LABELS, f"{FOLDER}/{id_}.png", picture
                continue
            for name, mask in zip(self._shown, self._classes_in(stack), strict=True):
                if self.options.submission == "pictures":
                    only = "" if len(self._shown) == 1 else f"_{name}"
                    yield id_, name, f"{FOLDER}/{id_}{only}.png", 255 * mask
                    continue
                order, counting = self.options.order, self.options.counting
                text = masks.encode(mask, order=order, **counting)
                yield id_, name, text or nothing, mask

    @property
    def _numbers(self) -> np.ndarray:
        return numbers_of(self.options, len(self.names))

    @property
    def _is_one_picture(self) -> bool:
        """Whether all classes of a picture are handed in as one picture of labels."""
        return self._exclusive and self.options.submission == "pictures"

    @property
    def _class_column(self) -> str | None:
        return class_ids.class_column_of(self.options)

    def _beside_masks(self, table: pd.DataFrame) -> list[str]:
        """Columns of a sample that hold no masks: whole ids, classes."""
        return list(table.columns[-2:]) if self.options.id_pattern else [self._class_column]

    def _fields(self, sample: pd.DataFrame) -> dict[str, str | None]:
        """The sample's columns of masks, each with its class; None: as the row's class says."""
        columns = list(sample.columns)
        others = [name for name in columns if name not in self._beside_masks(sample)]
        own = [name for name in others if name in self.info["columns"]]
        field = own if len(own) == 1 else others
        if self._is_one_picture and len(field) == 1 and len(others) == len(columns):
            return {field[0]: LABELS}
        if len(field) == 1 and len(others) < len(columns):
            return {field[0]: None}
        is_each = set(self._shown) in (set(columns), set(own)) and not self._is_one_picture
        is_of_class = set(columns) & set(self.info.get("varying", []))  # and nothing says so
        if is_each and not is_of_class:
            return {name: name for name in columns if name in self._shown}
        if len(field) == 1 and len(self._shown) == 1 and not is_of_class:
            return {field[0]: self._shown[0]}
        raise DataError(
            f"The sample submission has the columns {some_of(columns, 12)}, expected one of masks "
            "(that of `competition.target`, or the only one) beside `task.options.class_column` or "
            f"with `id_pattern`, or one for each of {some_of(self._shown, 12)}"
        )

    # -------------------------------------------------------------- explaining

    def describe_targets(self, targets):
        covered = self.numbers(targets["packed"])
        there = covered > 0
        counts = dict(zip(self._shown, map(int, there.sum(axis=0)), strict=True))
        findings = self._findings(targets.index, covered)
        if self.options.ignore:
            share = np.mean([unpack(row)[0][-1].mean() for row in targets["packed"]])
            text = "They teach nothing and are not scored: `task.options.ignore`."
            findings.append((1, f"{share:.1%} of the pixels are not labelled", text))
        return {
            "kind": "masks",
            "counts": {**counts, "(nothing)": int((~there.any(axis=1)).sum())},
            "findings": findings,
        }

    def _findings(self, ids: pd.Index, covered: np.ndarray) -> list[tuple]:
        there, found = covered > 0, []
        for place, name in enumerate(self._shown):
            shown = there[:, place]
            share = covered[shown, place]
            text = (
                f"Where it is, it covers {share.mean():.1%} of the picture in the mean, from "
                f"{share.min():.2%} to {share.max():.1%}."
                if shown.any()
                else "It is nowhere."
            )
            rare = shown.mean() < 0.05
            title = f"{name}: in {shown.sum():,} of {len(shown):,} pictures"
            found.append((2 if rare else 1, title, text))
        empty = ~there.any(axis=1)
        if empty.any():
            text = (
                "A picture that is answered with any pixel is then wrong, so that it pays to be "
                "sure: `sure` and `min_area` are searched out of fold. Check that they are not "
                "just unlabelled."
            )
            rows = [{"id": id_} for id_ in ids[empty][:20]]
            found.append((1, f"{count(int(empty.sum()), 'picture')} without a mask", text, rows))
        full = (covered > 0.99).any(axis=1)
        if full.any() and not self._exclusive:
            text = "Masks that are the whole picture are often a labelling habit, not an object."
            rows = [{"id": id_} for id_ in ids[full][:20]]
            found.append((2, f"{count(int(full.sum()), 'mask')} of a whole picture", text, rows))
        return found

    def findings_in_pictures(self, table, target):
        if self.options.format != "runs":
            return []
        kinds = 1 + np.arange(len(self._shown))[:, None, None]

        def labels_of(row: int) -> np.ndarray:
            return (self._classes_in(unpack(target[row])[0]) * kinds).max(axis=0)

        return run_order.findings(table, labels_of, self.options.order)

    def numbers(self, target):
        """How much of the picture each class covers, (n, classes) 0 to 1."""
        return np.array([self._classes_in(unpack(row)[0]).mean(axis=(1, 2)) for row in target])

    def example_labels(self, targets):
        def words(row: bytes) -> str:
            stack = self._classes_in(unpack(row)[0])
            covered = stack.mean(axis=(1, 2))
            said = [
                f"{name} {share:.0%}"
                for name, share in zip(self._shown, covered, strict=True)
                if share
            ]
            return ", ".join(said) or "nothing"

        return targets["packed"].map(words)

    def draw_targets(self, table, target, folder):
        """`target.png`: how much of the pictures the classes cover, and where."""
        from podium.drawing import figures

        shown = min(len(self._shown), 4)
        covered, where = self.numbers(target), np.zeros((shown, 64, 64))
        for row in target:
            for place, mask in enumerate(self._classes_in(unpack(row)[0])[:shown]):
                mask = mask.astype(np.float32)
                where[place] += cv2.resize(mask, (64, 64), interpolation=cv2.INTER_AREA)
        figure, axes = figures.new(2, shown, size=(3.2 * max(shown, 2), 5.6))
        axes = np.array(axes).reshape(2, shown)
        for place, name in enumerate(self._shown[:shown]):
            axes[0, place].hist(100 * covered[:, place], bins=30, color=figures.BLUE)
            axes[0, place].set_title(figures.shorten(name))
            axes[0, place].set_xlabel("% of the picture")
            axes[1, place].imshow(where[place] / len(target), cmap="viridis", vmin=0)
            axes[1, place].set_xlabel("where it is, mean of all pictures")
            axes[1, place].set_xticks([])
            axes[1, place].set_yticks([])
        figures.save(figure, folder / "target.png")
        return ["target"]

    def errors_by_name(self, target, prediction):
        """A line per class: pictures with it, and Dice, precision and recall of its pixels."""
        counts = np.zeros((4, len(self._shown)))
        for true, said in zip(target, prediction, strict=True):
            true, said = self._compared(true, said)
            counts += np.stack(
                [
                    true.any(axis=(1, 2)),
                    (true & said).sum(axis=(1, 2)),
                    true.sum(axis=(1, 2)),
                    said.sum(axis=(1, 2)),
                ]
            )
        return [
            {
                "name": name,
                "rows": int(rows),
                "dice": 2 * both / (true + said) if true + said else None,
                "precision": both / said if said else None,
                "recall": both / true if true else None,
            }
            for name, (rows, both, true, said) in zip(self._shown, counts.T, strict=True)
        ]

    def answer(self, prediction, severity):
        return f"Dice {1 - severity:.2f}"

    def mistakes(self, target, prediction):
        """One less the row's Dice, mean over its classes."""
        from podium.metrics.masks import dice

        return np.array(
            [
                1 - dice(unpack(true)[0], unpack(said)[0], ignore_first=self._exclusive)[0]
                for true, said in zip(target, prediction, strict=True)
            ]
        )

    def _compared(self, target: bytes, answer: bytes) -> tuple[np.ndarray, np.ndarray]:
        """Masks of `_shown`, of pixels that are labelled."""
        from podium.metrics.masks import labelled

        true, said, _ = labelled(unpack(target)[0], unpack(answer)[0])
        return self._classes_in(true), self._classes_in(said)

    def draw(self, picture, scale, target, prediction=None):
        """Pixels found green, missed yellow, wrong red; a target alone in colours of classes."""
        if prediction is None:
            stack = self._classes_in(unpack(target)[0])
            layers = [(stack.any(axis=0), FOUND)]
            if self.target_key:
                layers = list(zip(stack == 1, CLASSES, strict=False))
        else:
            true, said = self._compared(target, prediction)
            layers = [
                ((true & said).any(axis=0), FOUND),
                ((true & ~said & 1).any(axis=0), MISSED),
                ((said & ~true & 1).any(axis=0), WRONG),
            ]
        drawn = picture.copy()
        size = picture.shape[1::-1]
        for mask, colour in layers:
            shown = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
            drawn[shown] = (0.55 * drawn[shown] + 0.45 * np.array(colour)).astype(np.uint8)
        return drawn


def _sureness(maps: np.ndarray) -> float:
    """Mean of the surest pixels of a map."""
    count = max(1, maps.size // SUREST)
    return float(np.partition(maps.ravel(), maps.size - count)[-count:].mean())


def _areas(stack: list[np.ndarray]) -> list[float]:
    """The 1st and the 5th percentile of the areas of a class's pieces, in pixels."""
    areas = [masks.areas(masks.pieces(mask)) for mask in stack if mask.any()]
    if not areas:
        return [0.0, 0.0]
    return [float(each) for each in np.percentile(np.concatenate(areas), [1, 5])]
