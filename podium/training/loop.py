"""The training loop: one network, one fold, all tasks."""

import copy
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from podium.config.model import Model
from podium.errors import PodiumError
from podium.geometry.frames import Frames
from podium.metrics import Metric, score_or_nan
from podium.networks.network import Network, answers_of, asked
from podium.packed import column, pack
from podium.tasks.base import Task
from podium.training import augment, data, mixing, optimizers, schedules
from podium.training.checkpoints import Checkpoint
from podium.training.data import Rows
from podium.training.joining import Joining


class DivergedError(PodiumError):
    """The loss is not a number any more."""


class ShortOfMemoryError(PodiumError):
    """The GPU's memory is not enough."""


@contextmanager
def telling_of_memory() -> Iterator[None]:
    """ShortOfMemoryError where torch runs out of a device's memory; also a decorator."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        raise ShortOfMemoryError(
            "The GPU's memory is not enough: lower the model's batch_size or image_size, take a "
            f"smaller backbone, or free the GPU of other work. ({str(error).splitlines()[0]})"
        ) from None


@dataclass
class Training:
    """Everything a training needs; its state lives in `train` alone.

    Attributes:
        report: called after every epoch with the epoch's row of the history.
        step_done: called after every step.
        should_stop: asked after every epoch; tuning prunes with it.
    """

    task: Task
    metric: Metric
    settings: Model
    train: Rows
    valid: Rows
    device: torch.device
    threads: int
    seed: int
    checkpoint: Checkpoint = field(default_factory=lambda: Checkpoint(None, ""))
    report: Callable[[dict], None] = lambda row: None
    step_done: Callable[[], None] = lambda: None
    should_stop: Callable[[dict], bool] = lambda row: False


@telling_of_memory()
def train(network: Network, plan: Training) -> list[dict]:
    """Train a network in place and return its history, a row per epoch.

    A row: epoch (from 1), train_loss, train_score, valid_loss, valid_score, lr, seconds, and
    `term:<name>` for each loss term on the training rows. Resumes from the plan's checkpoint with
    the very numbers of an undisturbed run.

    Raises:
        DivergedError: the loss is not a number any more.
        ShortOfMemoryError: the GPU cannot hold the training.
    """
    settings, device = plan.settings, plan.device
    network.to(device)
    if device.type == "cuda":  # the same submission again on the same kind of machine
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.deterministic = True  # also where a network switches that off
        # Filling every new tensor would cost a kernel each; nobody reads what was not written.
        torch.utils.deterministic.fill_uninitialized_memory = False
    norms = _Norms(network, settings.batch_size)
    losses = _Losses(plan)
    optimizer = optimizers.create(network, settings.optimizer, device)
    autocast, scaler = _precision(settings.precision, device)
    average = _moving_average(network, settings)
    forward = _compiled(network) if settings.compile and device.type == "cuda" else network
    size = (
        None if plan.train.seen is None or plan.train.has_features else plan.train.seen.shape[2:4]
    )
    augmenting = data.Augmenting(None)
    if size is not None:
        options = plan.task.compose_options()
        augmenting = data.Augmenting(
            augment.create(settings.augment, size, **options),
            plan.task.augmented if plan.task.is_spatial else None,
            Joining.of(plan.task, settings),
        )
    loader = data.Loader(plan.train, augmenting, device, plan.threads, plan.seed)
    classes = balanced_classes(plan)
    history, best, start = [], None, 0

    if saved := plan.checkpoint.load():
        network.load_state_dict(saved["network"])
        optimizer.load_state_dict(saved["optimizer"])
        scaler.load_state_dict(saved["scaler"])
        if average is not None:
            average.load_state_dict(saved["average"])
        history, best, start = saved["history"], saved["best"], len(saved["history"])

    steps_per_epoch = len(_batches(plan, classes, 0))
    steps = steps_per_epoch * settings.epochs
    for epoch in range(start, settings.epochs):
        # Asked before an epoch, so that a run killed after its last one does not train another.
        if _stopped_early(history, best, plan):
            break
        began = time.perf_counter()
        torch.manual_seed(_seed(plan.seed, epoch))
        random = np.random.default_rng([plan.seed, epoch])
        network.freeze(_frozen_depth(settings, epoch), settings.freeze.norm)
        network.train()
        norms.set(epoch * steps_per_epoch)
        sums: dict[str, torch.Tensor] = {}
        answers = _answers(plan, plan.train)
        rows_seen = 0
        for number, batch in enumerate(loader.epoch(epoch, _batches(plan, classes, epoch))):
            step = epoch * steps_per_epoch + number
            optimizers.set_rate(
                optimizer, schedules.factor(settings.schedule, step, steps, steps_per_epoch)
            )
            seen, tabular, share, partner = batch.seen, batch.tabular, 1.0, None
            if seen is not None and not plan.train.has_features:
                mixed = mixing.mix(seen, settings.mix, random)
                seen, share, partner = mixed.pictures, mixed.share, mixed.partner
                if partner is not None and tabular is not None:
                    tabular = share * tabular + (1 - share) * tabular[partner]
            with autocast():
                raw = asked(forward, seen, tabular, batch.target)
            parts = losses(raw, batch.target, share, partner)
            optimizer.zero_grad(set_to_none=True)
            scaler.scale(parts["loss"]).backward()
            if settings.optimizer.clip:
                scaler.unscale_(optimizer)
                torch.nn.utils.clip_grad_norm_(network.parameters(), settings.optimizer.clip)
            scaler.step(optimizer)
            scaler.update()
            if average is not None:
                average.update(network, step + 1)
            # Sums stay on the device: reading one would make the device wait for every step.
            for name, value in parts.items():
                sums[name] = sums.get(name, 0) + value.detach() * len(batch.rows)
            # Augmentation has moved what a spatial task looks for.
            moved = batch.target if plan.task.is_spatial else None
            answers.add(raw, batch.rows, moved, None if seen is None else seen.shape[2:4])
            rows_seen += len(batch.rows)
            plan.step_done()

        kept = network if average is None else average.module
        row = {"epoch": epoch + 1}
        row |= {_column(name): (value / rows_seen).item() for name, value in sums.items()}
        if answers.count:
            row["train_score"] = answers.score()
        else:
            row["train_score"] = _train_score(kept, plan, losses, autocast)
        row |= _validate(kept, plan, losses, autocast)
        row["lr"] = optimizer.param_groups[0]["lr"]
        row["seconds"] = time.perf_counter() - began
        _check_finite(row, settings)
        history.append(row)
        if _is_best(row, best, plan):
            best = {"row": row, "network": copy.deepcopy(kept.state_dict())}
        plan.checkpoint.save(
            {
                "network": network.state_dict(),
                "optimizer": optimizer.state_dict(),
                "scaler": scaler.state_dict(),
                "average": None if average is None else average.state_dict(),
                "history": history,
                "best": best,
            }
        )
        plan.report(row)
        if plan.should_stop(row):
            break

    if average is not None and history:
        network.load_state_dict(average.module.state_dict())
    if best is not None:
        network.load_state_dict(best["network"])
    return history


def _compiled(network: Network):
    """The network, compiled; of one that takes targets the backbone.

    Beyond it no two batches have the same shapes, and compiling takes longer than training.
    """
    if not network.takes_targets:
        return torch.compile(network)
    network.backbone.compile()
    return network


def _column(name: str) -> str:
    return "train_loss" if name == "loss" else f"term:{name}"


class _Losses:
    """The weighted sum of the task's loss terms over a batch."""

    def __init__(self, plan: Training):
        with torch.device(plan.device):  # class weights are moved once, not in every step
            self.terms = plan.task.loss_terms(plan.settings.loss, plan.train.target)
        settings = plan.settings
        self.weights = settings.loss.terms or plan.task.default_loss_of(settings.approach)
        if not any(self.weights.values()):  # so may a trial of tuning have it
            raise DivergedError("loss.terms: all weights are 0, so that nothing is learned.")

    def __call__(self, raw, target, share: float = 1.0, partner=None) -> dict[str, torch.Tensor]:
        """`loss`, and each term by its name: means over the batch, 0-dimensional."""
        parts = {}
        for name, weight in self.weights.items():
            if weight == 0:
                continue
            term = self.terms[name](raw, target).mean()
            if partner is not None:
                term = share * term + (1 - share) * self.terms[name](raw, target[partner]).mean()
            parts[name] = term
        total = sum(self.weights[name] * term for name, term in parts.items())
        return {"loss": total, **parts}


#: Pictures whose statistics batch norm should remember: as its authors' ten batches of 32 do.
USUAL_BATCH, USUAL_MOMENTUM = 32, 0.1


class _Norms:
    """Lets batch norm remember as many pictures of small batches as of the usual ones.

    Running statistics of ten small batches of pictures from several microscopes are noise. As a
    training gets longer, their memory becomes that of ten batches of 32 pictures, but never more
    than the last quarter of the steps, in which weights have changed much less.
    """

    def __init__(self, network: Network, batch_size: int):
        kinds = torch.nn.modules.batchnorm._BatchNorm
        modules = (module for module in network.modules() if isinstance(module, kinds))
        self.layers = [(module, module.momentum) for module in modules if module.momentum]
        self.share = min(1.0, batch_size / USUAL_BATCH)

    def set(self, step: int) -> None:
        """Set the momentum of the steps from this one on; in halves, for compiled networks."""
        share = min(1.0, max(self.share, 4 / USUAL_MOMENTUM / max(step, 1)))
        momentum = USUAL_MOMENTUM * 2.0 ** np.ceil(np.log2(share))
        for layer, usual in self.layers:
            layer.momentum = float(min(usual, momentum))


def balanced_classes(plan: Training) -> np.ndarray | None:
    """The class of each training row that `sampling` balances, (n,); None where there is none."""
    if plan.settings.sampling_by == "looks":
        return plan.train.looks
    return plan.task.balance_by(plan.train.target)


def _batches(plan: Training, classes, epoch: int) -> list[np.ndarray]:
    random = np.random.default_rng([plan.seed, epoch, 1])
    settings = plan.settings
    shown = data.shown(plan.train, settings.tiles_per_epoch, random)
    classes = None if classes is None else classes[shown]
    drawn = data.drawn(classes, len(shown), settings.batch_size, settings.sampling, random)
    return [shown[batch] for batch in drawn]


def _seed(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])


def _frozen_depth(settings: Model, epoch: int) -> int:
    """How many groups of layers stand still in this epoch: stem and stages."""
    stages, until = settings.freeze.stages, settings.freeze.until
    if stages == "none" or (until is not None and epoch >= until):
        return 0
    return 10_000 if stages == "all" else stages + 1


def _moving_average(network: Network, settings: Model):
    if settings.ema is None:
        return None
    from timm.utils import ModelEmaV3

    # The warm-up keeps the first, random weights out of the average of a short training; it counts
    # the steps that `update` is told.
    return ModelEmaV3(network, decay=settings.ema, use_warmup=True)


def _precision(choice: str, device: torch.device):
    """An autocast context maker and a gradient scaler (which does nothing but for float16)."""
    kind = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(choice)
    if choice == "auto" and device.type == "cuda":
        kind = torch.bfloat16 if torch.cuda.is_bf16_supported(False) else torch.float16
    scaler = torch.amp.GradScaler(device.type, enabled=kind is torch.float16)
    return lambda: torch.autocast(device.type, dtype=kind, enabled=kind is not None), scaler


def precision_of(settings: Model, device: torch.device):
    """The autocast context maker that predictions use: the training's."""
    return _precision(settings.precision, device)[0]


def raw_outputs(
    network: Network, rows: Rows, device, batch_size: int, autocast, view: int = 0, change=None
) -> Iterator[tuple[data.Batch, torch.Tensor]]:
    """Batches of all rows in their order, each with its raw outputs, float, on the device.

    Args:
        view: which view of features to take.
        change: applied to a batch of pictures before the network sees it.
    """
    network.eval()
    for which in data.in_order(len(rows), batch_size):
        seen = rows.take(which, view)
        seen = torch.empty(0) if seen is None else torch.from_numpy(np.ascontiguousarray(seen))
        known = rows.learning_target
        target = None if known is None else rows.collated(known[which])
        batch = data.to_device(rows, which, seen, target, device)
        looked_at = batch.seen if change is None else change(batch.seen).contiguous()
        with telling_of_memory(), torch.inference_mode(), autocast():
            raw = asked(network, looked_at, batch.tabular, batch.target)
        yield batch, raw


def validate(network: Network, plan: Training) -> dict:
    """`valid_loss` and `valid_score` of a network as it is."""
    network.to(plan.device)
    return _validate(network, plan, _Losses(plan), precision_of(plan.settings, plan.device))


def _validate(network: Network, plan: Training, losses: "_Losses", autocast) -> dict:
    size = 2 * plan.settings.batch_size
    valid = plan.valid
    # A tile is scored by itself here; predictions are joined before they are scored.
    tiled = valid.frames is not None and valid.frames.rows is not None
    if tiled:  # as many as an epoch shows, the same in every epoch
        mask = np.zeros(len(valid), bool)
        mask[data.shown(valid, plan.settings.tiles_per_epoch, np.random.default_rng(0))] = True
        valid = valid.part(mask)
    total, answers = torch.zeros((), device=plan.device), _answers(plan, valid)
    with torch.inference_mode():
        for batch, raw in raw_outputs(network, valid, plan.device, size, autocast):
            total += losses(raw, batch.target)["loss"] * len(batch.rows)
            shape = None if batch.seen is None else batch.seen.shape[2:4]
            answers.add(raw, batch.rows, batch.target if tiled else None, shape)
    return {"valid_loss": total.item() / len(valid), "valid_score": answers.score()}


#: Packed training rows that an epoch's training score is measured on: it is for people to see.
MEASURED = 64


def _train_score(network: Network, plan: Training, losses: "_Losses", autocast) -> float:
    """The metric of some training rows, of a network that does not answer while it learns."""
    random = np.random.default_rng(0)
    shown = data.shown(plan.train, plan.settings.tiles_per_epoch, random)
    mask = np.zeros(len(plan.train), bool)
    mask[random.permutation(shown)[:MEASURED]] = True
    some = replace(plan, valid=plan.train.part(mask))
    return _validate(network, some, losses, autocast)["valid_score"]


def _answers(plan: Training, of: Rows):
    """Collects what a network answers, batch by batch, and scores it."""
    return (_PackedAnswers if plan.task.is_packed else _Answers)(plan, of)


class _Answers:
    """Answers of the rows `of`.

    Vectors are kept as they come and become predictions all at once, so that no step waits for
    the device; maps are too large to be kept.
    """

    def __init__(self, plan: Training, of: Rows):
        self.plan, self.of = plan, of
        self.parts: list[torch.Tensor] = []
        self.targets: list[torch.Tensor] = []
        self.rows: list[np.ndarray] = []
        self.count = 0
        self.are_raw = True

    def add(self, raw: torch.Tensor, rows: np.ndarray, moved=None, size=None) -> None:
        """The raw outputs of the next batch, and its targets where they are not the rows' own."""
        raw = raw.detach()
        self.are_raw = raw.dim() == 2
        self.parts.append(raw if self.are_raw else self._predicted(raw))
        self.rows.append(rows)
        self.count += len(rows)
        if moved is not None:
            self.targets.append(moved)

    def score(self) -> float:
        """The metric of all that was added."""
        plan, together = self.plan, torch.cat(self.parts)
        rows = np.concatenate(self.rows)
        predicted = self._predicted(together) if self.are_raw else together
        frames = None if self.of.frames is None else self.of.frames.take(rows)
        prediction = plan.task.place(predicted.float().cpu().numpy(), frames)
        target = self.of.target[rows]
        if self.targets:
            target = plan.task.place(torch.cat(self.targets).float().cpu().numpy(), frames)
        decision = plan.task.default_decision()
        scored = plan.task.scored(plan.metric, target, prediction, decision)
        return score_or_nan(plan.metric, target, scored)

    def _predicted(self, raw: torch.Tensor) -> torch.Tensor:
        return self.plan.task.predict(raw, self.plan.train.target)


class _PackedAnswers:
    """Answers of packed rows: measured at once, because an epoch of masks is too large to keep.

    Where targets have moved in augmentation, they are measured as the network sees them.
    """

    def __init__(self, plan: Training, of: Rows):
        self.plan, self.of = plan, of
        self.measures: list[np.ndarray] = []
        self.count = 0

    def add(self, raw, rows: np.ndarray, moved=None, size=None) -> None:
        """The raw outputs of the next batch, and its targets where they are not the rows' own.

        Args:
            size: height and width of the batch's pictures.
        """
        plan, task = self.plan, self.plan.task
        raw = answers_of(raw)
        if raw is None or (self.of is plan.train and self.count >= MEASURED):
            return
        if moved is None:
            frames, target = self.of.frames.take(rows), self.of.target[rows]
        else:
            frames = Frames.whole(size, len(rows))
            target = column(pack(*task.unframed(data.as_arrays(each))) for each in moved)
        with torch.no_grad():
            prediction = task.place(task.predict(raw, plan.train.target), frames)
        if plan.metric.needs == "labels":
            prediction = task.decide(prediction, task.default_decision())
        self.measures.append(plan.metric.measured(target, prediction))
        self.count += len(rows)

    def score(self) -> float:
        """The metric of all that was measured."""
        return score_or_nan(self.plan.metric, self.of.target, np.concatenate(self.measures))


def _check_finite(row: dict, settings: Model) -> None:
    if not np.isfinite(row["train_loss"]):
        raise DivergedError(
            f"The training loss became {row['train_loss']} in epoch {row['epoch']}. Lower "
            f"optimizer.lr (now {settings.optimizer.lr:g}), set optimizer.clip (such as 1.0), or "
            "add schedule.warmup."
        )


def selects_best(settings: Model) -> bool:
    """Whether the best epoch's weights are kept instead of the last one's."""
    return settings.select == "best" or settings.early_stopping is not None


def _is_best(row: dict, best: dict | None, plan: Training) -> bool:
    if not selects_best(plan.settings):
        return False
    if not np.isfinite(row["valid_score"]):  # it beats nothing, and nothing would beat it
        return False
    return best is None or plan.metric.is_better(row["valid_score"], best["row"]["valid_score"])


def _stopped_early(history: list[dict], best: dict | None, plan: Training) -> bool:
    stopping = plan.settings.early_stopping
    if stopping is None or best is None:
        return False
    reference = None
    for row in history:
        if not np.isfinite(row["valid_score"]):
            continue
        if reference is None or stopping.min_delta < plan.metric.sign * (
            row["valid_score"] - reference["valid_score"]
        ):
            reference = row
    return history[-1]["epoch"] - reference["epoch"] >= stopping.patience


def digest_of(*parts) -> str:
    """A key for checkpoints and studies: equal for equal plain values."""
    import hashlib

    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]
