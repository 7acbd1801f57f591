"""A better picture of each picture: less noise, no stains, more pixels."""

import io
import os
import zlib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from PIL import Image

from podium.cache import scaled
from podium.errors import ConfigError, DataError, count, numbered, some_of
from podium.files import tables
from podium.files.pictures import ENDINGS, Folder, PictureError, mode_of, read_picture, scale_of
from podium.files.tables import path_problem
from podium.geometry import views
from podium.imaging import degrade, references
from podium.metrics.pictures import WHITE, decibels, psnr, ssim
from podium.packed import column, pack, unpack
from podium.tasks import base, targets
from podium.tasks.image_to_image import pixels
from podium.tasks.packed import PackedTask

#: Rows whose inputs are read again to say how bad they were.
LOOKED_AT = 32
#: Problems that an error lists.
LISTED = 20
#: Threads that read the clean pictures.
THREADS = 4
#: What the column is called that the option `pattern` makes.
CLEAN = "clean"
#: Levels of an error that the error map shows as fully wrong.
FAR = 64
#: Colours of what is too bright and too dark.
BRIGHT, DARK = (200, 20, 20), (20, 60, 200)


class Task(PackedTask):
    """Pictures: uint8 (H, W, 3), or (H, W, 1) where all clean pictures are grey.

    Predictions are uint8 too: rounding costs 1/12 of a squared level, 0.05 dB at 40 dB, where
    half-precision numbers take three times the space. A mean of several models' pictures keeps
    its fractions, as half-precision numbers.
    """

    space: ClassVar[str] = "pictures"
    key: ClassVar[base.Key] = {
        "above: picture, answer; below: clean, error": None,
        "too bright": BRIGHT,
        "too dark": DARK,
    }

    @classmethod
    def read_targets(cls, table, columns, options, sample, found):
        """See `PackedTask.read_targets`. Clean pictures must fit their rows' pictures."""
        names, folders = _names_of(table, columns, options, found)
        clean, bits = _read_all(names, folders, options, found)
        grey = all(is_grey for _, is_grey in clean) if options.grey == "auto" else options.grey
        rows = [_packed(*one, 1 if grey else 3) for one in clean]
        paths = map(str, found.pictures["path"])
        info = {
            "names": list(columns or sample.columns[-1:]),
            "channels": 1 if grey else 3,
            "bits": bits if grey else 8,
            "white": float(found.pictures["white"].max()) if len(found.pictures) else 0.0,
            "inputs": {
                _key(row): path
                for row, path, width in zip(rows, paths, found.pictures["width"], strict=True)
                if width  # can be read
            },
        }
        return pd.DataFrame({"packed": rows}, index=found.pictures.index), info

    @property
    def channels(self) -> int:
        """1 where the answers are grey, else 3."""
        return self.info["channels"]

    @property
    def bits(self) -> int:
        """Of a pixel of a clean picture as it is handed in: 8, or 16 where all of them have so."""
        return self.info.get("bits", 8)

    def stratify_by(self, target, bins):
        """Quantile bin of the brightness: dark and bright pictures in every fold."""
        mean = pd.Series([unpack(row)[0].mean() for row in target])
        ranks = mean.rank(method="first")
        return pd.qcut(ranks, min(bins, len(target)), labels=False).to_numpy()

    # --------------------------------------------------------------- learning

    def network(self, settings):
        from podium.tasks.image_to_image import networks

        return networks.build(settings, self.channels, self.options.scale)

    def framed(self, arrays, frames, row):
        """Where the network sees nothing of the picture, its border goes on."""
        scale, (picture,) = self.options.scale, arrays
        fitted, offset = _fitted(frames, row)
        if self.options.recipe is not None and tuple(fitted) != tuple(frames.sides[row]):
            raise ConfigError(
                "task.options.recipe: damages pictures at their own size, but a model resizes "
                f"them from {_size(frames.sides[row])} to {_size(fitted)} pixels; set its "
                "`resize: tiles`, or `image_size` to the pictures' own"
            )
        whole = scaled(picture, tuple(scale * fitted[::-1])).reshape(*scale * fitted[::-1], -1)
        size = [scale * side for side in frames.size]
        rows, columns = (
            np.clip(np.arange(side) - scale * start, 0, length - 1)
            for side, start, length in zip(size, offset[::-1], whole.shape, strict=False)
        )
        return whole[rows[:, None], columns]

    def unframed(self, framed):
        return (framed,)

    def compose_options(self):
        return {"additional_targets": {"clean": "image"}}

    def augmented(self, transform, picture, target):
        """Change both pictures alike; with a recipe, damage the clean one anew."""
        scale, channels = self.options.scale, target.shape[2]
        large = picture.repeat(scale, axis=0).repeat(scale, axis=1)
        clean = _with_channels(target, 3)
        changed = transform(image=large, clean=clean)
        if changed["image"].shape != large.shape or changed["clean"].shape != large.shape:
            raise ConfigError(
                f"augment: makes {changed['clean'].shape[:2]} of {large.shape[:2]} pixels, the "
                f"clean picture's size at `scale: {scale}`; take `preset: flips`"
            )
        clean = _with_channels(changed["clean"], channels)
        if self.options.recipe is not None:
            worse = degrade.degraded(clean, self.options.recipe, transform.random_generator)
            return _with_channels(worse, 3), clean
        if scale == 1:
            return changed["image"], clean
        height, width = picture.shape[:2]
        blocks = changed["image"].reshape(height, scale, width, scale, 3).mean(axis=(1, 3))
        return np.round(blocks).astype(np.uint8), clean

    def default_loss(self):
        return {"l1": 1.0, "ssim": 0.2}

    def loss_terms(self, loss, train_target):
        from podium import losses

        def term(error, raw, target):
            return error(raw, target.permute(0, 3, 1, 2).to(raw) / WHITE)

        def per_row(error, raw, target):
            return error(raw, target).flatten(1).mean(1)

        terms = {
            "l1": partial(term, partial(per_row, losses.each_l1)),
            "l2": partial(term, partial(per_row, losses.each_l2)),
            "ssim": partial(term, losses.unlike),
        }
        if self.options.perceptual is not None:
            terms["perceptual"] = partial(term, _Perceptual(self.options.perceptual))
        return terms

    def predict(self, raw, train_target):
        """Levels (batch, H, W, channels), 0 to 255."""
        return (WHITE * raw.float().clamp(0, 1)).permute(0, 2, 3, 1)

    def undo(self, view, prediction):
        return views.apply(views.INVERSE[view], prediction)

    def place_row(self, prediction, frames, row):
        """Beyond what a cropping model sees, the border goes on."""
        scale = self.options.scale
        seen = _levels(prediction.float().cpu().numpy())
        fitted, offset = _fitted(frames, row)
        rows, columns = (
            np.clip(np.arange(scale * length) + scale * start, 0, side - 1)
            for length, start, side in zip(fitted[::-1], offset[::-1], seen.shape, strict=False)
        )
        height, width = (scale * int(side) for side in frames.sides[row][::-1])
        whole = scaled(np.ascontiguousarray(seen[rows[:, None], columns]), (height, width))
        return (whole.reshape(height, width, -1),)

    # --------------------------------------------------------------- combining

    def combine_row(self, parts, weights):
        if len(parts) == 1:
            return parts[0]
        mean = sum(w * part.astype(np.float32) for w, (part,) in zip(weights, parts, strict=True))
        return (mean.astype(np.float16),)

    def is_decided(self, metric):
        """See `PackedTask.is_decided`: files have whole levels, tables of pixels have not."""
        return self.options.submission == "files"

    def decide_row(self, arrays, decision):
        return (_levels(arrays[0]),)

    # ---------------------------------------------------------------- writing

    @classmethod
    def index_sample(cls, sample, path, id_column, options):
        """See `base.Task.index_sample`; a table of pixels keeps its column of ids."""
        if options.submission == "files":
            return tables.index_by_id(sample, path, id_column)
        tables.check_columns(sample, path, [id_column])
        try:
            return sample.set_axis(pixels.split(sample[id_column])[0])
        except DataError as error:
            raise DataError(f"{path}, column {id_column!r}: {error}") from None

    @classmethod
    def check_sample(cls, sample, options, found, info):
        """See `base.Task.check_sample`: pixels must be within their pictures."""
        if options.submission == "files":
            return
        seen = found.pictures[found.pictures["width"] > 0]
        asked = sample[sample.index.isin(seen.index)]
        sides = options.scale * seen.loc[asked.index.unique(), ["height", "width"]]
        blank = [np.broadcast_to(np.uint8(0), size) for size in sides.itertuples(index=False)]
        ids, _ = pixels.columns_of(asked)
        try:
            pixels.values_of(asked[ids], blank, options.first_pixel)
        except DataError as error:
            raise DataError(f"competition.sample_submission, {found.table}: {error}") from None

    def submission(self, prediction, decision, metric, sample):
        """File names, or a value for each pixel that the sample asks for."""
        if self.options.submission == "files":
            name = self.names[0]
            return targets.fill(sample, {name: _file_names(sample, name)})
        if self.channels != 1:
            raise DataError(
                "task.options.submission: a table of pixels is of grey pictures, but the clean "
                "pictures are coloured; `task.options.grey: true` makes their mean of them"
            )
        ids, value = pixels.columns_of(sample)
        answers = [unpack(row)[0][:, :, 0] for row in prediction]
        shares = pixels.values_of(sample[ids], answers, self.options.first_pixel) / WHITE
        return sample.assign(**{value: shares * self.options.white})

    def files(self, prediction, decision, sample):
        if self.options.submission == "files":
            names = _file_names(sample, self.names[0])
            for name, row in zip(names, self.decide(prediction, decision), strict=True):
                yield f"{self.options.folder[0]}/{name}", _as_png(unpack(row)[0], self.bits)

    def read_solution(self, table, columns, found):
        if self.options.submission == "pixels":
            ids, value = pixels.columns_of(table)
            values = pd.to_numeric(table[value], errors="coerce")
            if values.isna().any():
                bad = table[ids][values.isna()].tolist()
                raise DataError(f"{found.table}: {len(bad)} pixels have no number: {some_of(bad)}")
            levels = _levels(values.to_numpy(dtype=np.float64) * (WHITE / self.options.white))
            sides = self.options.scale * found.pictures[["height", "width"]]
            pictures = pixels.pictures_from(table[ids], levels, sides, self.options.first_pixel)
            return column(pack(picture[:, :, None]) for picture in pictures)
        columns = columns or [name for name in self.names if name in table]
        if not columns and len(table.columns) == 1:  # which the sample submission calls otherwise
            cells = table.iloc[:, 0].astype(str).str.lower()
            columns = list(table.columns) if cells.str.endswith(ENDINGS).all() else []
        names, folders = _names_of(table, columns, self.options, found, is_solution=True)
        clean, _ = _read_all(names, folders, self.options, found)
        return column(_packed(*one, self.channels) for one in clean)

    # -------------------------------------------------------------- explaining

    def describe_targets(self, targets_table):
        target = self.encode(targets_table)
        sizes = Counter(unpack(row)[0].shape[:2] for row in target)
        counts = {_size(shape[::-1]): count for shape, count in sizes.most_common(12)}
        return {
            "kind": "pictures",
            "counts": counts,
            "findings": self._findings(targets_table.index, target),
        }

    def _findings(self, ids: pd.Index, target: np.ndarray) -> list[tuple]:
        looked = self._inputs(target)
        if not looked:
            return []
        lines = []
        for row, damaged in looked:
            (clean,) = unpack(target[row])
            error = damaged.astype(float) - clean
            lines.append(
                {
                    "id": ids[row],
                    "psnr": round(decibels(np.square(error).mean()), 2),
                    "error": round(float(error.std()), 2),
                    "shift": round(float(error.mean()), 2),
                    "noise": round(references.noise(damaged), 2),
                }
            )
        table = pd.DataFrame(lines)
        text = (
            f"That is the PSNR of the pictures as they are, mean of {len(lines)}: the score of "
            "doing nothing. Their error has a deviation of "
            f"{table['error'].mean():.1f} levels of 255, and looks like noise of "
            f"{table['noise'].mean():.1f} to a filter that does not know the clean pictures."
        )
        worst = table.nsmallest(5, "psnr").to_dict("records")
        found = [(1, f"Doing nothing scores {table['psnr'].mean():.2f} dB", text, worst)]
        same = table[table["psnr"] >= 100]
        if len(same):
            text = "There is nothing to learn from them: is `task.options.folder` the right one?"
            title = f"{len(same)} of {len(lines)} pictures are their own clean pictures"
            found.append((3 if len(same) == len(lines) else 2, title, text))
        apart = table[table["psnr"] < 10]
        if len(apart):
            text = (
                "Their error is as large as the pictures themselves: the clean picture of another "
                "row?"
            )
            rows = apart.to_dict("records")
            found.append(
                (2, f"{count(len(apart), 'picture')} nothing like their own clean ones", text, rows)
            )
        return found

    def _inputs(self, target: np.ndarray) -> list[tuple[int, np.ndarray]]:
        """Some rows with the pictures that they are answers to, at the answers' size."""
        some = np.linspace(0, len(target) - 1, min(LOOKED_AT, len(target))).astype(int)
        found = []
        for row in dict.fromkeys(some.tolist()):
            path = self.info["inputs"].get(_key(target[row]), "")
            if Path(path).is_file():
                (clean,) = unpack(target[row])
                seen = read_picture(path, white=self.info.get("white", 0))
                damaged = _with_channels(seen, self.channels)
                found.append((row, scaled(damaged, clean.shape[:2]).reshape(clean.shape)))
        return found

    def example_labels(self, targets_table):
        def label(row: bytes) -> str:
            picture = unpack(row)[0]
            kind = "grey" if _is_grey(picture) else "coloured"
            return f"{_size(picture.shape[1::-1])}, {kind}"

        return targets_table["packed"].map(label)

    def draw_targets(self, table, target, folder):
        """`target.png`: pictures as they are beside their clean ones, and what separates them."""
        from podium.drawing import figures

        looked = self._inputs(target)[:4]
        if not looked:
            return []
        figure, axes = figures.new(len(looked), 3, size=(7.5, 2.6 * len(looked)), squeeze=False)
        for line, (row, damaged) in zip(axes, looked, strict=True):
            (clean,) = unpack(target[row])
            error = np.square(damaged.astype(float) - clean).mean()
            shown = (damaged, clean, error_map(clean, damaged))
            titles = (f"{table.index[row]}: {decibels(error):.1f} dB", "clean", "error")
            for axis, picture, title in zip(line, shown, titles, strict=True):
                axis.imshow(_with_channels(picture, 3))
                axis.set_title(figures.shorten(title), fontsize=8)
                axis.axis("off")
        figures.save(figure, folder / "target.png")
        return ["target"]

    def errors_by_name(self, target, prediction):
        """PSNR and SSIM of doing nothing, of two filters and of the model, on some rows.

        Non-local means is told how strong the noise is, which nobody knows of a test picture.
        """
        said: dict[str, list] = {}
        for row, damaged in self._inputs(target):
            (clean,) = unpack(target[row])
            sigma = float((damaged.astype(float) - clean).std())
            for name, answer in (
                ("as it is", damaged),
                ("median 3 x 3", references.median(damaged)),
                ("median 5 x 5", references.median(damaged, 5)),
                ("non-local means", references.non_local_means(damaged, sigma)),
                ("model", unpack(prediction[row])[0]),
            ):
                measures = (*psnr(clean, answer), *ssim(clean, answer))
                said.setdefault(name, []).append(measures)
        return [
            {
                "name": name,
                "rows": len(measures),
                "psnr": float(np.mean([each[0] for each in measures])),
                "ssim": float(np.mean([each[1] for each in measures])),
            }
            for name, measures in said.items()
        ]

    def answer(self, prediction, severity):
        return f"{severity:.1f} levels off"

    def mistakes(self, target, prediction):
        """Root mean squared error of each row in levels of 255."""

        def error(true: bytes, said: bytes) -> float:
            difference = unpack(said)[0].astype(np.float64) - unpack(true)[0]
            return float(np.sqrt(np.square(difference).mean()))

        return np.array([error(*pair) for pair in zip(target, prediction, strict=True)])

    def draw(self, picture, scale, target, prediction=None):
        """Picture, clean one; with a prediction two rows: picture, it; clean one, its error."""
        (clean,) = unpack(target)
        rows = [[picture, _with_channels(clean, 3)]]
        if prediction is not None:
            answer = _levels(unpack(prediction)[0])
            rows[0][1] = _with_channels(answer, 3)
            rows.append([_with_channels(clean, 3), error_map(clean, answer)])
        size = picture.shape[:2]
        return np.vstack([np.hstack([scaled(each, size) for each in row]) for row in rows])


def error_map(clean: np.ndarray, answer: np.ndarray) -> np.ndarray:
    """Where an answer is too bright (red) and too dark (blue), uint8 (H, W, 3); right is white."""
    error = (answer.astype(np.float64) - clean).mean(axis=2)
    wrong = np.clip(np.abs(error) / FAR, 0, 1)[..., None]
    colour = np.where(error[..., None] > 0, BRIGHT, DARK)
    return np.round(255 * (1 - wrong) + colour * wrong).astype(np.uint8)


class _Perceptual:
    """Difference of two pictures in the eyes of a network (Johnson et al. 2016).

    Mean over its first stages of the mean absolute difference, relative to the clean picture's
    mean absolute value, since stages differ in size.
    """

    STAGES = 3

    def __init__(self, settings):
        self.settings = settings

    @cache  # noqa: B019 built once, where the term is used at all
    def _eyes(self, device):
        from podium.networks import weights
        from podium.networks.network import IMAGENET_MEAN, IMAGENET_STD

        net = weights.create(self.settings.backbone, self.settings.weights)
        known = net.pretrained_cfg or {}
        kept = [known.get("mean") or IMAGENET_MEAN, known.get("std") or IMAGENET_STD]
        mean, std = (net_tensor(values, device) for values in kept)
        return net.to(device).eval().requires_grad_(False), mean, std

    def __call__(self, raw, target):
        import torch

        net, mean, std = self._eyes(raw.device)

        def seen(pictures):
            pictures = pictures.expand(-1, 3, -1, -1)
            stages = net.forward_intermediates((pictures - mean) / std, intermediates_only=True)
            return stages[: self.STAGES]

        with torch.no_grad():
            true = seen(target)
        parts = [
            (said - known).abs().flatten(1).mean(1) / known.abs().flatten(1).mean(1).clamp(min=1e-6)
            for said, known in zip(seen(raw), true, strict=True)
        ]
        return sum(parts) / len(parts)


def net_tensor(values: Sequence[float], device):
    import torch

    return torch.tensor(values, device=device).view(1, 3, 1, 1)


def _one_name_each(names: pd.Series, found) -> pd.Series:
    """The clean picture's name of each id; DataError for ids of several rows or of none."""
    problems = []
    rows = pd.Series(np.arange(len(names)) + 2, index=names.index)
    repeated = rows[rows.index.duplicated(keep=False)]
    for id_, of_id in list(repeated.groupby(level=0, sort=False))[:LISTED]:
        problems.append(f"id {id_!r} is in rows {some_of(of_id.tolist())}, expected one row")
    for row, id_, empty in zip(rows, names.index, targets.is_empty(names), strict=True):
        problem = "is empty" if empty else path_problem(str(names.iloc[row - 2]))
        if problem:
            value = "" if empty else f" {names.iloc[row - 2]!r}"
            problems.append(f"row {row}, id {id_!r}: {names.name!r}{value} {problem}")
    if problems:
        raise DataError(_listed(found.table, problems))
    return names


def _names_of(
    table: pd.DataFrame, columns: list[str], options, found, is_solution: bool = False
) -> tuple[pd.Series, list[str]]:
    """The clean picture's name of each id, and the folders that it may be in."""
    if options.pattern and not (is_solution and columns):
        (folder,) = options.target_folders
        below = options.pattern.removeprefix(f"{folder}/")
        table = targets.with_paths(table, columns, CLEAN, below, found)
        return _one_name_each(table[CLEAN], found), [folder]
    targets.check_columns(table, columns)
    return _one_name_each(table[columns[0]], found), options.folder


def _packed(row: bytes, is_grey: bool, channels: int) -> bytes:
    """A clean picture of `_read_all` with the channels of all."""
    has = 1 if is_grey else 3
    return row if has == channels else pack(_with_channels(unpack(row)[0], channels))


def _read_all(
    names: pd.Series, folders: list[str], options, found
) -> tuple[list[tuple[bytes, bool]], int]:
    """The clean pictures of `found`, of the size that its pictures ask for, and if they are grey;
    and the bits of their numbers, 8 or 16.

    They are packed, grey ones (H, W, 1), others (H, W, 3): whole, they may not fit into memory.
    """
    rows = names.index.get_indexer(found.pictures.index) + 2
    column, names = names.name, names.reindex(found.pictures.index)
    nothing = np.zeros((1, 1, 3), np.uint8)  # the answer of a row that is left out
    places = [Folder(os.path.normpath(found.root / name)) for name in folders]
    sides = found.pictures[["width", "height"]].to_numpy(dtype=int)
    used: list[str] = []
    is_wild = "*" in (options.pattern or "")

    def read(place: int):
        picture, problem = found_for(place)
        if picture is None:
            return None, False, problem
        is_grey = _is_grey(picture)
        return pack(_with_channels(picture, 1 if is_grey else 3)), is_grey, problem

    def found_for(place: int):
        if not sides[place].any():
            return nothing, ""
        name = names.iloc[place]
        files, folder = next(
            ((files, f) for f in places if (files := f.find(str(name), is_wild))), ([], places[0])
        )
        if len(files) != 1:
            what = f"may be {some_of(files, 3)} of" if files else "is no picture in"
            where = folder.path if files else ", ".join(f.path for f in places)
            return None, f"{name!r} {what} {where}"
        path = f"{folder.path}/{files[0]}"
        used.append(os.path.relpath(path, found.root))
        try:
            picture = read_picture(path, found.max_pixels)
        except PictureError as error:
            return None, f"{path} {error}"
        wanted = options.scale * sides[place]
        if tuple(wanted) == picture.shape[1::-1]:
            return picture, ""
        times = f"{options.scale} times those of" if options.scale > 1 else "the size of"
        said = f"{path} is {_size(picture.shape[1::-1])} pixels, expected {_size(wanted)}, {times}"
        return scaled(picture, tuple(wanted[::-1])), f"{said} {found.pictures['path'].iloc[place]}"

    with ThreadPoolExecutor(THREADS) as pool:
        done = list(pool.map(read, range(len(names))))
    problems = []
    for row, id_, (packed, _, problem) in zip(rows, names.index, done, strict=True):
        if problem and packed is not None and options.repair:
            found.problems.append((found.table, f"row {row} (id {id_})", problem, "resized"))
        elif problem:
            problems.append(f"row {row}, id {id_!r}, {column!r}: {problem}")
    if problems:
        resizable = any(packed is not None and problem for packed, _, problem in done)
        hint = "\n`task.options.repair: true` resizes them." if resizable else ""
        raise DataError(_listed(found.table, problems) + hint)
    targets.note_unnamed(used, found, options.pattern)
    bits = _bits_of([found.root / path for path in used], found)
    return [(packed, is_grey) for packed, is_grey, _ in done], bits


def _bits_of(paths: list[Path], found) -> int:
    """Bits of clean pictures' numbers, 8 or 16; DataError for other numbers than these."""
    modes = [mode_of(path) for path in paths]
    other = [path for path, mode in zip(paths, modes, strict=True) if mode in ("I", "F")]
    scales = {path: scale_of(path) for path in other}
    if len(set(scales.values())) > 1 or "its own" in scales.values():
        first = {scale: path for path, scale in reversed(scales.items())}
        told = some_of([f"{path} ({scale})" for scale, path in first.items()])
        raise DataError(
            f"{found.table}: clean pictures of fractions or of 32 bits have no common white: "
            f"{told}. Convert all to 8 or 16 bits, by one scale"
        )
    deep = [path.name for path, mode in zip(paths, modes, strict=True) if mode.startswith("I;16")]
    if deep:
        problem = f"{len(deep)} of {len(paths)} clean pictures have 16 bits"
        found.problems.append(
            (found.table, some_of(sorted(deep), 3), problem, "learned and scored in 8 bits")
        )
    clear = [p.name for p, mode in zip(paths, modes, strict=True) if mode in ("RGBA", "LA", "PA")]
    if clear:
        problem = f"{len(clear)} clean pictures have a channel of transparency"
        found.problems.append((found.table, some_of(sorted(clear), 3), problem, "laid over white"))
    return 16 if deep and len(deep) == len(paths) else 8


def _listed(table: str, problems: list[str]) -> str:
    rest = len(problems) - LISTED
    more = f"\n  - and {rest} more" if rest > 0 else ""
    return (
        f"{table}: {len(problems)} rows have no clean picture that fits:\n"
        f"{numbered(problems[:LISTED])}{more}"
    )


def _file_names(sample: pd.DataFrame, column: str) -> list[str]:
    """The sample's own names of pictures, or the ids as such; a name of several rows is none."""
    if column not in sample.columns:
        return [f"{id_}.png" for id_ in sample.index]
    given = sample[column].fillna("").astype(str)
    of_ids = pd.Series([f"{id_}.png" for id_ in sample.index], index=given.index)
    is_own = given.str.lower().str.endswith(".png") & ~given.map(path_problem).astype(bool)
    is_own &= ~given.str.lower().duplicated(keep=False)
    names = given.where(is_own, of_ids)
    return (of_ids if names.str.lower().duplicated().any() else names).tolist()


def _as_png(picture: np.ndarray, bits: int = 8) -> bytes:
    file = io.BytesIO()
    levels = picture[:, :, 0] if picture.shape[2] == 1 else picture
    Image.fromarray(levels * np.uint16(257) if bits == 16 else levels).save(file, "PNG")
    return file.getvalue()


def _key(row: bytes) -> str:
    return f"{zlib.crc32(row):08x}"


def _is_grey(picture: np.ndarray) -> bool:
    return bool((picture == picture[:, :, :1]).all())


def _with_channels(picture: np.ndarray, channels: int) -> np.ndarray:
    """A picture (H, W, 1 or 3) with 1 channel, the mean, or with 3."""
    if picture.shape[2] == channels:
        return picture
    if channels == 3:
        return np.repeat(picture, 3, axis=2)
    return np.round(picture.mean(axis=2, keepdims=True)).astype(picture.dtype)


def _levels(values: np.ndarray) -> np.ndarray:
    """Numbers as uint8 0..255."""
    if values.dtype == np.uint8:
        return values
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def _fitted(frames, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Width and height of a row's picture within the network's, and where it begins there."""
    fitted = np.round(frames.sides[row] * frames.scale[row]).astype(int)
    return fitted, np.round(frames.offset[row]).astype(int)


def _size(sides: Sequence[int]) -> str:
    return f"{int(sides[0])} x {int(sides[1])}"
