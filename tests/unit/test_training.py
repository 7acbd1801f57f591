"""The loop and its parts: determinism, resuming, schedules, optimisers, sampling, mixing."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from podium import metrics, tasks
from podium.config.model import Augment, Mix, Model, Schedule
from podium.errors import ConfigError, PodiumError
from podium.networks import network
from podium.training import augment, data, loop, mixing, optimizers, schedules
from podium.training.checkpoints import Checkpoint
from podium.training.data import Rows
from podium.training.loop import Training, train

CPU = torch.device("cpu")
BASE = {
    "backbone": "test_resnet",
    "weights": "none",
    "image_size": 32,
    "augment": "light",
    "batch_size": 8,
    "epochs": 3,
    "head": {"dropout": 0.2},
    "optimizer": {"lr": 0.003},
}


def rows(count: int, seed: int = 0) -> Rows:
    random = np.random.default_rng(seed)
    target = np.arange(count) % 2
    seen = random.integers(0, 200, (count, 1, 32, 32, 3), dtype=np.uint8)
    seen[target == 1, :, 8:24, 8:24] += 50
    return Rows(seen, np.arange(count), None, target, target)


def plan(settings: dict, **more) -> Training:
    task = tasks.load("classification", {}, {"names": ["a", "b"], "column": "x"})
    model = Model.model_validate({**BASE, **settings})
    metric = metrics.load({"name": "roc_auc"})
    return Training(task, metric, model, rows(24), rows(8, 1), CPU, 1, 0, **more)


def built(settings: Model):
    torch.manual_seed(3)
    return network.build(settings, pictures=1, features=0, tabular=0, outputs=2)


def state_after(training: Training) -> dict:
    net = built(training.settings)
    train(net, training)
    return net.state_dict()


def assert_same(first: dict, second: dict) -> None:
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def test_the_same_seed_gives_the_same_weights_whatever_makes_the_batches():
    once = state_after(plan({}))
    assert_same(once, state_after(plan({})))
    prefetched = plan({})
    prefetched.threads = 2
    before = torch.get_num_threads()
    assert_same(once, state_after(prefetched))
    assert torch.get_num_threads() == before


def test_another_seed_gives_other_weights():
    other = plan({})
    other.seed = 1
    name = "head.last.weight"
    assert not torch.equal(state_after(plan({}))[name], state_after(other)[name])


@pytest.mark.parametrize("extra", [{}, {"ema": 0.9}, {"select": "best"}, {"mix": {"mixup": 0.4}}])
def test_a_resumed_training_ends_in_the_same_weights(tmp_path, extra):
    whole = state_after(plan(extra))

    class Killed(Exception):
        pass

    def kill(row):
        if row["epoch"] == 2:
            raise Killed

    key = "k"
    with pytest.raises(Killed):
        state_after(plan(extra, checkpoint=Checkpoint(tmp_path, key, 0), report=kill))
    epochs = []
    resumed = plan(
        extra,
        checkpoint=Checkpoint(tmp_path, key, 0),
        report=lambda row: epochs.append(row["epoch"]),
    )
    assert_same(whole, state_after(resumed))
    assert epochs == [3]


def test_a_checkpoint_of_other_settings_or_a_broken_one_is_ignored(tmp_path):
    saved = Checkpoint(tmp_path, "a", 0)
    saved.save({"x": 1})
    assert Checkpoint(tmp_path, "a").load() == {"x": 1}
    assert Checkpoint(tmp_path, "b").load() is None
    (tmp_path / "checkpoint.pt").write_bytes(b"half a fi")
    assert Checkpoint(tmp_path, "a").load() is None


def test_best_weights_are_those_of_the_best_epoch():
    training = plan({"select": "best", "epochs": 5})
    net = built(training.settings)
    history = train(net, training)
    from podium.training.loop import validate

    best = max(row["valid_score"] for row in history)
    assert validate(net, training)["valid_score"] == pytest.approx(best)


def test_early_stopping_stops():
    training = plan({"epochs": 50, "early_stopping": {"patience": 2}, "optimizer": {"lr": 1e-6}})
    history = train(built(training.settings), training)
    assert len(history) < 50


def test_epochs_without_a_score_are_neither_best_nor_a_reason_to_stop():
    training = plan({"select": "best", "epochs": 4, "early_stopping": {"patience": 2}})
    scores = iter([np.nan, np.nan, 0.6, 0.7, 0.6, 0.6])

    def metric(target, prediction):
        if len(target) == len(training.train):
            return 0.5
        return next(scores)

    training.metric = metrics.Metric("own", metric, True, "ranks")
    epochs = []
    training.report = lambda row: epochs.append(row["valid_score"])
    train(built(training.settings), training)
    np.testing.assert_equal(epochs, [np.nan, np.nan, 0.6, 0.7])


def test_a_metric_that_rows_do_not_define_does_not_stop_a_training():
    def metric(target, prediction):
        raise ValueError("only one class")

    training = plan({"epochs": 1})
    training.metric = metrics.Metric("own", metric, True, "ranks")
    assert np.isnan(train(built(training.settings), training)[0]["valid_score"])


def test_a_run_killed_after_it_stopped_early_does_not_train_on(tmp_path):
    settings = {"epochs": 50, "early_stopping": {"patience": 1}, "optimizer": {"lr": 1e-6}}
    first = plan(settings, checkpoint=Checkpoint(tmp_path, "k", 0))
    history = train(built(first.settings), first)
    again = plan(settings, checkpoint=Checkpoint(tmp_path, "k", 0))
    assert len(train(built(again.settings), again)) == len(history) < 50


def test_the_moving_average_forgets_where_it_began():
    training = plan({"ema": 0.9999, "augment": "none", "optimizer": {"lr": 0.01}})
    net = built(training.settings)
    with torch.no_grad():
        net.head.last.bias.fill_(100.0)
    train(net, training)
    # At a constant decay of 0.9999 nine steps would leave 99.9 % of the first weights.
    moved = plan({"augment": "none", "optimizer": {"lr": 0.01}})
    other = built(moved.settings)
    with torch.no_grad():
        other.head.last.bias.fill_(100.0)
    train(other, moved)
    name = "head.last.weight"
    start = built(training.settings).state_dict()[name]
    averaged, last = net.state_dict()[name], other.state_dict()[name]
    assert (averaged - start).norm() > 0.3 * (last - start).norm()


def test_mixed_rows_mix_their_columns_too(monkeypatch):
    training = plan({"mix": {"mixup": 1.0}, "epochs": 1, "augment": "none"})
    given = training.train
    columns = given.target[:, None].astype(np.float32)
    training.train = Rows(given.seen, given.places, columns, given.target, given.target)
    held = training.valid
    training.valid = Rows(
        held.seen, held.places, held.target[:, None].astype(np.float32), held.target, held.target
    )
    torch.manual_seed(0)
    net = network.build(training.settings, pictures=1, features=0, tabular=1, outputs=2)
    seen = []
    net.register_forward_pre_hook(lambda _, inputs: seen.append((net.training, inputs[1])))
    train(net, training)
    values = torch.cat([tabular for is_training, tabular in seen if is_training])
    assert ((values > 0.01) & (values < 0.99)).any()


def test_answers_keep_their_digits_in_half_precision():
    settings = Model.model_validate({**BASE, "precision": "bfloat16"})
    net = built(settings).eval()
    pictures = torch.from_numpy(rows(24).seen)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert net(pictures, None).dtype == torch.float32


def test_terms_of_no_weight_teach_nothing():
    from podium.training.loop import DivergedError, _Losses

    opened = {"loss.terms.focal": {"low": 0.0, "high": 1.0}}  # a trial may draw the same
    with pytest.raises(DivergedError, match="all weights are 0"):
        _Losses(plan({"loss": {"terms": {"cross_entropy": 0.0}}, "search": opened}))


def test_class_weights_are_where_the_loss_is():
    from podium.training.loop import _Losses

    training = plan({"loss": {"class_weights": "balanced"}})
    training.device = torch.device("meta")
    assert _Losses(training).terms["cross_entropy"].keywords["weight"].device.type == "meta"


def test_the_digest_of_what_is_learnt_from(tmp_path):
    from podium.training.fold import digest_of_content

    file = tmp_path / "targets"
    file.write_text("a")
    pictures = np.zeros((100, 1, 4, 4, 3), np.uint8)
    once = digest_of_content([str(file)], pictures)
    assert once == digest_of_content([str(file)], pictures.copy())
    assert once != digest_of_content([str(file)], pictures + 1)
    file.write_text("b")
    assert once != digest_of_content([str(file)], pictures)


def test_a_loss_that_is_no_number_is_a_clear_error():
    training = plan({"optimizer": {"name": "sgd", "lr": 1e12}, "augment": "none"})
    with pytest.raises(PodiumError, match=r"optimizer\.lr"):
        train(built(training.settings), training)


def test_frozen_stages_keep_their_weights_until_they_are_freed():
    def moved(settings: dict) -> set[int]:
        training = plan(settings)
        net = built(training.settings)
        before = {name: p.clone() for name, p in net.backbone.net.named_parameters()}
        train(net, training)
        return {
            net.backbone.groups[name]
            for name, p in net.backbone.net.named_parameters()
            if not torch.equal(p, before[name])
        }

    everything = moved({})
    assert moved({"freeze": {"stages": 1}}) == everything - {0, 1}
    assert moved({"freeze": {"stages": 1, "until": 1}}) == everything
    assert moved({"freeze": "all"}) == set()


def test_frozen_norm_keeps_the_running_statistics():
    training = plan({"freeze": {"norm": True}})
    net = built(training.settings)
    name = next(n for n, _ in net.named_buffers() if "running_mean" in n)
    before = dict(net.named_buffers())[name].clone()
    train(net, training)
    assert torch.equal(dict(net.named_buffers())[name], before)


def factors(**settings) -> list[float]:
    schedule = Schedule(**settings)
    return [schedules.factor(schedule, step, 100, 10) for step in range(100)]


def test_schedules():
    assert set(factors(name="constant")) == {1.0}
    warm = factors(name="cosine", warmup=1)
    assert warm[:10] == sorted(warm[:10])
    assert max(warm) == pytest.approx(1.0)
    assert warm[-1] < 0.01
    stepped = factors(name="step", every=3, factor=0.5)
    assert [stepped[0], stepped[30], stepped[60], stepped[90]] == [1.0, 0.5, 0.25, 0.125]
    cycle = factors(name="one_cycle")
    assert cycle.index(max(cycle)) == 30
    assert cycle[0] < 0.1
    assert factors(name="cosine", floor=0.1)[-1] == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("name", ["sgd", "rmsprop", "adam", "radam", "adamw"])
@pytest.mark.parametrize("lookahead", [False, True])
def test_every_optimiser_lowers_the_loss(name, lookahead):
    lr = 0.05 if name == "sgd" else 0.003
    training = plan(
        {
            "optimizer": {"name": name, "lr": lr, "lookahead": lookahead, "clip": 5.0},
            "augment": "none",
            "epochs": 6,
            "head": {"dropout": 0.0},
        }
    )
    history = train(built(training.settings), training)
    assert history[-1]["train_loss"] < history[0]["train_loss"]


def test_layerwise_rates_and_no_decay_on_norms():
    settings = Model.model_validate(
        {**BASE, "optimizer": {"lr": 1.0, "backbone_lr": 0.5, "layer_decay": 0.5}}
    )
    groups = optimizers.parameter_groups(built(settings), settings.optimizer)
    rates = sorted({group["lr"] for group in groups})
    assert rates[-1] == 1.0
    assert rates[-2] == 0.5
    assert rates[0] < 0.1
    for group in groups:
        assert all((p.dim() > 1) == (group["weight_decay"] > 0) for p in group["params"])


def test_sampling():
    classes = np.array([0] * 90 + [1] * 10)
    random = np.random.default_rng(0)

    def share(kind: str) -> tuple[float, int]:
        drawn = np.concatenate(data.drawn(classes, 100, 16, kind, random))
        return classes[drawn].mean(), len(drawn)

    assert share("shuffle") == (0.1, 100)
    assert share("undersample") == (0.5, 20)
    assert share("balanced") == (0.5, 100)
    assert share("sqrt") == (0.25, 100)
    assert [len(b) for b in data.drawn(None, 17, 16, "shuffle", random)] == [16]


@pytest.mark.parametrize("kind", ["balanced", "sqrt"])
def test_rows_of_a_class_are_shown_as_often_as_each_other(kind):
    classes = np.array([0] * 70 + [1] * 20 + [2] * 7)
    random, shown = np.random.default_rng(0), np.zeros(3)
    for _ in range(50):
        times = np.bincount(np.concatenate(data.drawn(classes, 97, 97, kind, random)))
        each = [times[classes == label] for label in range(3)]
        assert all(np.ptp(of_class) <= 1 for of_class in each)
        shown += [of_class.sum() for of_class in each]
    expected = np.ones(3) if kind == "balanced" else np.sqrt([70, 20, 7])
    np.testing.assert_allclose(shown / shown.sum(), expected / expected.sum(), atol=0.01)


def test_sampling_of_one_class_shows_each_row_once():
    drawn = np.concatenate(data.drawn(np.zeros(30), 30, 8, "sqrt", np.random.default_rng(0)))
    assert sorted(drawn) == list(range(30))


def test_sampling_balances_classes_or_looks():
    training = plan({})
    looks = np.array(["dark grey"] * 20 + ["bright colour"] * 4)
    training.train = replace(training.train, looks=looks)
    assert loop.balanced_classes(training).tolist() == training.train.target.tolist()
    training.settings = training.settings.model_copy(update={"sampling_by": "looks"})
    assert loop.balanced_classes(training).tolist() == looks.tolist()
    kept = training.train.part(looks == "bright colour")
    assert kept.looks.tolist() == ["bright colour"] * 4


def test_cutmix_shares_the_area_and_mixup_the_light():
    pictures = torch.stack([torch.zeros(1, 32, 32, 3), torch.full((1, 32, 32, 3), 200.0)])
    pictures = pictures.to(torch.uint8)
    random = np.random.default_rng(1)
    for kind in ("cutmix", "mixup"):
        for _ in range(20):
            mixed = mixing.mix(pictures, Mix(**{kind: 1.0}), random)
            if mixed.partner is None or mixed.partner[0] == 0:
                continue
            light = mixed.pictures[0].float().mean().item() / 200
            assert light == pytest.approx(1 - mixed.share, abs=0.01)


@pytest.mark.parametrize("preset", ["none", "flips", "light", "medium", "heavy", "auto"])
def test_presets_keep_size_and_type_and_are_repeatable(preset):
    pictures = np.random.default_rng(0).integers(0, 256, (4, 1, 40, 32, 3), dtype=np.uint8)
    transform = augment.create(Augment(preset=preset), (40, 32))
    if preset == "none":
        assert transform is None
        return
    once = augment.apply(transform, pictures, 5)
    assert once.shape == pictures.shape
    assert once.dtype == np.uint8
    np.testing.assert_array_equal(once, augment.apply(transform, pictures, 5))
    assert not np.array_equal(once, augment.apply(transform, pictures, 6))


def test_steps_of_an_augmentation_are_drawn_independently():
    transform = augment.create(Augment(preset="flips"), (2, 2))
    picture = np.arange(12, dtype=np.uint8).reshape(1, 1, 2, 2, 3)
    corners = [int(augment.apply(transform, picture, seed)[0, 0, 0, 0, 0]) for seed in range(400)]
    counts = [corners.count(corner) for corner in (0, 3, 6, 9)]  # none, one, the other, both
    assert min(counts) > 70, counts


def test_albumentations_own_form_is_read_and_checked():
    import albumentations as A

    good = A.to_dict(A.Compose([A.HorizontalFlip(p=1)]))
    transform = augment.create(Augment(preset=None, transforms=good), (32, 32))
    assert transform is not None
    bad = A.to_dict(A.Compose([A.Resize(16, 16)]))
    with pytest.raises(ConfigError, match="keep the size"):
        augment.create(Augment(preset=None, transforms=bad), (32, 32))
    with pytest.raises(ConfigError, match="to_dict"):
        augment.create(Augment(preset=None, transforms={"flip": 1}), (32, 32))


def test_a_full_device_is_told_in_words(monkeypatch):
    def full(*_arguments):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nmore")

    monkeypatch.setattr(loop, "_validate", full)
    training = plan({"epochs": 1})
    with pytest.raises(loop.ShortOfMemoryError, match="lower the model's batch_size"):
        train(built(training.settings), training)


def test_batch_norm_of_small_batches_remembers_more_of_them():
    class Two(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.usual, self.slow = torch.nn.BatchNorm2d(1), torch.nn.BatchNorm2d(1, momentum=0.02)

    def momenta(batch_size, step):
        net = Two()
        loop._Norms(net, batch_size).set(step)
        return net.usual.momentum, net.slow.momentum

    assert momenta(32, 10_000) == momenta(4, 0) == momenta(4, 40) == (0.1, 0.02)
    assert momenta(4, 80) == (0.05, 0.02)  # the last quarter
    assert momenta(4, 10_000) == (0.0125, 0.0125)

    # Pictures of two microscopes, four in a batch: what is remembered is near the mean of all.
    random = torch.Generator().manual_seed(0)
    plain, longer = torch.nn.BatchNorm1d(1), torch.nn.BatchNorm1d(1)
    norms = loop._Norms(longer, 4)
    for step in range(1000):
        norms.set(step)
        kinds = torch.randint(0, 2, (4, 1), generator=random) * 10.0
        for norm in (plain, longer):
            norm(kinds + torch.randn(4, 1, generator=torch.Generator().manual_seed(step)))
    assert abs(longer.running_mean.item() - 5) < 0.5
    assert abs(longer.running_var.sqrt().item() - 5.4) < 0.6
