"""The rows of a fold as batches: pictures or features, tabular columns, targets."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from podium.geometry.frames import Frames
from podium.tasks.packed import Framed
from podium.training import augment
from podium.training.joining import Joining

#: What a network looks at; see `Rows`.
Seen = np.ndarray | list[np.ndarray] | None


@dataclass(frozen=True)
class Batch:
    """A batch on the training device.

    Attributes:
        seen: uint8 pictures (batch, pictures, H, W, 3), or float features (batch, width), or None.
        tabular: float (batch, columns), or None.
        target: what the loss takes, (batch, ...) or what the task collates, or None.
        rows: positions in the fold's arrays, (batch,) numpy.
    """

    seen: Tensor | None
    tabular: Tensor | None
    target: Tensor | list | None
    rows: np.ndarray


@dataclass(frozen=True)
class Rows:
    """Rows to train on, to validate or to predict.

    Attributes:
        seen: memory-mapped uint8 pictures (all rows, pictures, H, W, 3); or a frozen backbone's
            half-precision features (all rows, width), one array per view; or None for a model of
            tabular columns alone.
        places: (n,) positions of the rows within `seen`.
        tabular: float32 (n, columns), or None.
        target: the task's encoded target, (n, ...); None for test rows.
        learning_target: what the loss takes, (n, ...), or `Framed` rows of a task that packs
            them; None for test rows.
        frames: of a spatial task, where the network sees the rows' pictures.
        looks: (n,) kinds of the rows' pictures (`looks.kind_of`); None where nobody asks.
    """

    seen: Seen
    places: np.ndarray
    tabular: np.ndarray | None
    target: np.ndarray | None
    learning_target: np.ndarray | Framed | None
    frames: Frames | None = None
    looks: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.places)

    @property
    def has_features(self) -> bool:
        """Whether `seen` is the output of a frozen backbone rather than pictures."""
        return isinstance(self.seen, list)

    def collated(self, targets: np.ndarray | list) -> Tensor | list:
        """Learning targets of some rows as a batch."""
        if isinstance(targets, np.ndarray):
            return torch.from_numpy(targets)
        return self.learning_target.collated(targets)

    def part(self, mask: np.ndarray) -> "Rows":
        """Those of the rows that a mask (n,) names."""

        def some(values):
            return None if values is None else values[mask]

        return Rows(
            self.seen,
            self.places[mask],
            some(self.tabular),
            some(self.target),
            some(self.learning_target),
            None if self.frames is None else self.frames.take(mask),
            some(self.looks),
        )

    def take(self, rows: np.ndarray, view: int | np.ndarray = 0) -> np.ndarray | None:
        """Pictures of some rows, or their features in one view each."""
        if self.seen is None:
            return None
        places = self.places[rows]
        if not self.has_features:
            return self.seen[places]
        if np.ndim(view) == 0:
            return self.seen[view][places]
        taken = np.empty((len(rows), self.seen[0].shape[1]), self.seen[0].dtype)
        for number, features in enumerate(self.seen):
            taken[view == number] = features[places[view == number]]
        return taken


@dataclass(frozen=True)
class Augmenting:
    """How training pictures are changed.

    Attributes:
        transform: of albumentations; None for none.
        together: of a spatial task, its `augmented`, which moves the target too.
        joining: mosaics and their like, or None.
    """

    transform: object
    together: Callable | None = None
    joining: Joining | None = None

    def __call__(
        self, pictures: np.ndarray, targets: np.ndarray | list, seed: int
    ) -> tuple[np.ndarray, np.ndarray | list]:
        """Pictures (batch, pictures, H, W, 3) and learning targets (batch, ...), under a seed."""
        if self.joining is not None:
            pictures, targets = self.joining.joined(pictures, targets, seed)
        if self.transform is not None and self.together is None:
            pictures = augment.apply(self.transform, pictures, seed)
        elif self.transform is not None:
            pictures, targets = augment.apply_together(
                self.transform, self.together, pictures, targets, seed
            )
        if self.joining is not None:
            pictures, targets = self.joining.scaled(pictures, targets, seed)
        return pictures, targets


class Loader:
    """Batches of an epoch, made ahead in the background where that helps.

    Every batch is made under a seed of its own (seed, epoch, batch), so that neither the number
    of workers nor a resumed run changes a single picture.
    """

    def __init__(
        self, rows: Rows, augmenting: Augmenting, device: torch.device, threads: int, seed: int
    ):
        self.rows, self.augmenting, self.device = rows, augmenting, device
        self.threads, self.seed = threads, seed

    def epoch(self, number: int, batches: list[np.ndarray]) -> Iterator[Batch]:
        """The batches of one epoch, each given by its rows."""
        made = self.made_ahead(number, batches)
        for rows, (seen, target) in zip(batches, made, strict=True):
            yield to_device(self.rows, rows, seen, target, self.device)

    def made_ahead(self, number: int, batches: list[np.ndarray]) -> Iterable[tuple]:
        """What is seen in each batch of an epoch and its targets, made by processes for a GPU."""
        jobs = _Jobs(self.rows, self.augmenting, self.seed, number, batches)
        if (
            (self.augmenting.transform is not None or self.augmenting.joining is not None)
            and self.device.type == "cuda"
            and self.threads > 1
        ):
            return torch.utils.data.DataLoader(
                jobs, batch_size=None, num_workers=self.threads - 1, pin_memory=False
            )
        if self.threads > 1 and self.rows.seen is not None:
            return _prefetched(jobs)
        return (jobs[index] for index in range(len(jobs)))


class _Jobs(torch.utils.data.Dataset):
    """What is seen in each batch of an epoch, and what it should be answered with."""

    def __init__(
        self, rows: Rows, augmenting: Augmenting, seed: int, epoch: int, batches: list[np.ndarray]
    ):
        self.rows, self.augmenting = rows, augmenting
        self.seed, self.epoch, self.batches = seed, epoch, batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int):
        rows = self.batches[index]
        random = np.random.default_rng([self.seed, self.epoch, index])
        target = self.rows.learning_target[rows]
        if self.rows.has_features:
            views = random.integers(0, len(self.rows.seen), len(rows))
            return torch.from_numpy(self.rows.take(rows, views)), self.rows.collated(target)
        seen = self.rows.take(rows)
        if seen is None:
            return torch.empty(0), self.rows.collated(target)
        seen, target = self.augmenting(seen, target, int(random.integers(2**31)))
        return torch.from_numpy(np.ascontiguousarray(seen)), self.rows.collated(target)


def _prefetched(jobs: _Jobs, ahead: int = 3) -> Iterator[tuple[Tensor, Tensor]]:
    """The jobs' results, made by a thread that stays a few batches ahead.

    One thread is enough: decoding is done already, and OpenCV and numpy let go of the
    interpreter while they work.
    """
    ready: queue.Queue = queue.Queue(maxsize=ahead)
    stop = threading.Event()

    def put(item) -> bool:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for index in range(len(jobs)):
                if not put(jobs[index]):
                    return
        except BaseException as error:
            put(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        for _ in range(len(jobs)):
            item = ready.get()
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()


def to_device(
    rows: Rows,
    which: np.ndarray,
    seen: Tensor,
    target: Tensor | list | None,
    device: torch.device,
) -> Batch:
    """A batch on the device, copied without waiting where the device allows."""
    return Batch(
        None if rows.seen is None else moved(seen, device),
        None if rows.tabular is None else moved(rows.tabular[which], device),
        None if target is None else moved(target, device),
        which,
    )


def moved(array, device: torch.device):
    """An array on the device, or all of a list or dict, copied without waiting where possible."""
    if isinstance(array, list | tuple):
        return [moved(each, device) for each in array]
    if isinstance(array, dict):
        return {name: moved(each, device) for name, each in array.items()}
    tensor = torch.as_tensor(array)
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def as_arrays(tensors):
    """A tensor, or all of a list or dict, as numpy arrays."""
    if isinstance(tensors, list | tuple):
        return [as_arrays(each) for each in tensors]
    if isinstance(tensors, dict):
        return {name: as_arrays(each) for name, each in tensors.items()}
    return tensors.detach().cpu().numpy()


def in_order(count: int, size: int) -> list[np.ndarray]:
    """Batches of rows in their order."""
    return [np.arange(start, min(start + size, count)) for start in range(0, count, size)]


def shown(rows: Rows, tiles_per_epoch: int | None, random: np.random.Generator) -> np.ndarray:
    """Positions of what an epoch may show: all rows, or some tiles of each picture, at random."""
    count = len(rows)
    if tiles_per_epoch is None or rows.frames is None or rows.frames.rows is None:
        return np.arange(count)
    order = random.permutation(count)
    order = order[np.argsort(rows.frames.rows[order], kind="stable")]
    _, starts, sizes = np.unique(rows.frames.rows[order], return_index=True, return_counts=True)
    within = np.arange(count) - np.repeat(starts, sizes)
    return np.sort(order[within < tiles_per_epoch])


def _parted(count: int, shares: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A number of rows in whole parts, by shares; what is left over is drawn by lot."""
    exact = count * shares / shares.sum()
    parts = np.floor(exact).astype(np.int64)
    left = count - parts.sum()
    if left:
        rest = exact - parts
        parts[random.choice(len(parts), left, replace=False, p=rest / rest.sum())] += 1
    return parts


def _in_turn(rows: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """So many of the rows, shuffled again each time that all have come."""
    rounds = -(-int(count) // len(rows))
    return np.concatenate([rows[:0], *(random.permutation(rows) for _ in range(rounds))])[:count]


def drawn(
    classes: np.ndarray | None, count: int, size: int, sampling: str, random: np.random.Generator
) -> list[np.ndarray]:
    """The rows of an epoch's batches.

    `shuffle`: each row once. `balanced`: classes equally often, `sqrt`: by the root of their
    counts, both as many rows as there are, none of them more than once more often than another of
    its class; `undersample`: each class as often as the rarest. A last batch of one row is left out
    (batch norm).
    """
    if sampling == "shuffle" or classes is None:
        order = random.permutation(count)
    else:
        _, inverse, counts = np.unique(classes, return_inverse=True, return_counts=True)
        if sampling == "undersample":
            quotas = np.full(len(counts), counts.min())
        else:
            shares = counts**0.0 if sampling == "balanced" else counts**0.5
            quotas = _parted(count, shares, random)
        of_class = np.split(np.argsort(inverse, kind="stable"), np.cumsum(counts)[:-1])
        picks = map(partial(_in_turn, random=random), of_class, quotas)
        order = random.permutation(np.concatenate(list(picks)))
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches.pop()
    return batches
