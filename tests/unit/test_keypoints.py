"""Keypoints: geometry there and back, mirrors that swap sides, metrics, columns, findings."""

import numpy as np
import pandas as pd
import pytest
import torch

from podium import checking, metrics, tasks
from podium.cache import resized
from podium.config.model import Augment, Loss
from podium.errors import ConfigError, DataError
from podium.geometry import views
from podium.geometry.frames import Frames
from podium.tasks.keypoints.task import points_of
from podium.tasks.packed import Found
from podium.training import augment

POINTS = ["left_eye", "right_eye", "nose"]
COLUMNS = [f"{point}_{axis}" for point in POINTS for axis in "xy"]
#: A colour for each point, and places far from each other and from the borders.
COLOURS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
PLACES = np.array([[9, 6], [25, 8], [14, 27]])


def table_of(points: np.ndarray) -> pd.DataFrame:
    index = pd.Index([f"p{row}" for row in range(len(points))], name="id")
    return pd.DataFrame(points.reshape(len(points), -1), index=index, columns=COLUMNS)


def read(table: pd.DataFrame, columns=COLUMNS, **options):
    module = tasks.options_module("keypoints")
    text = (
        table.astype(object).where(table.notna(), pd.NA).map(lambda v: v if v is pd.NA else str(v))
    )
    return tasks.task_class("keypoints").read_targets(
        text, list(columns), module.Options(**options), pd.DataFrame()
    )


@pytest.fixture(scope="module")
def task():
    _, info = read(table_of(np.stack([PLACES, PLACES + 1.0])))
    return tasks.load("keypoints", {}, info)


def picture(places=PLACES, size=(36, 36)) -> np.ndarray:
    """A black picture with a block of its colour around each point."""
    drawn = np.zeros((*size, 3), np.uint8)
    for (x, y), colour in zip(places, COLOURS, strict=True):
        drawn[y - 2 : y + 3, x - 2 : x + 3] = colour
    return drawn


def found_in(pixels: np.ndarray) -> np.ndarray:
    """Where the middle of each colour is, (points, 2)."""
    weight = pixels.astype(float)
    rows, columns = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    total = weight.sum(axis=(0, 1))
    x = (weight * columns[..., None]).sum(axis=(0, 1)) / total
    y = (weight * rows[..., None]).sum(axis=(0, 1)) / total
    return np.stack([x, y], axis=1)


def test_pairs_of_columns_are_points():
    assert points_of(["a_x", "a_y", "b.x", "b.y"]) == {"a": ("a_x", "a_y"), "b": ("b.x", "b.y")}
    assert points_of(["x_1", "y_1"]) == {"1": ("x_1", "y_1")}
    both = points_of(["x0", "x1", "y0", "y1"])  # as landmarks of hands are called
    assert both == {"0": ("x0", "y0"), "1": ("x1", "y1")}
    with pytest.raises(ConfigError, match="'nose_x' has no column for y"):
        points_of(["nose_x"])
    with pytest.raises(ConfigError, match="'width' neither ends nor begins with x or y"):
        points_of(["width"])


def test_sides_are_paired_by_name_or_by_hand(task):
    assert task.info["mirrored"] == [1, 0, 2]
    _, info = read(table_of(PLACES[None].astype(float)), flip={"left_eye": "nose"})
    assert info["mirrored"] == [2, 1, 0]
    with pytest.raises(ConfigError, match='did you mean "nose"'):
        read(table_of(PLACES[None].astype(float)), flip={"left_eye": "noze"})
    both = {"left_eye": "right_eye", "right_eye": "left_eye"}
    assert read(table_of(PLACES[None].astype(float)), flip=both)[1]["mirrored"] == [1, 0, 2]
    for flip in ({"left_eye": "nose", "right_eye": "nose"}, {**both, "right_eye": "nose"}):
        with pytest.raises(ConfigError, match=r"flip: found \w+ in several pairs"):
            read(table_of(PLACES[None].astype(float)), flip=flip)


def test_sides_in_capitals_are_paired_too():
    table = table_of(PLACES[None].astype(float))
    table.columns = [name.replace("left", "LEFT").replace("right", "RIGHT") for name in COLUMNS]
    assert read(table, table.columns)[1]["mirrored"] == [1, 0, 2]


def test_half_a_point_is_an_error_and_a_missing_one_is_not():
    table = table_of(np.stack([PLACES, PLACES]).astype(float))
    table.loc["p1", ["nose_x", "nose_y"]] = np.nan
    frame, _ = read(table)
    assert frame.loc["p1", "nose_x"] != frame.loc["p1", "nose_x"]
    table.loc["p1", "nose_x"] = 3.0
    with pytest.raises(DataError, match="'nose' has only one of 'nose_x' and 'nose_y': p1"):
        read(table)


@pytest.mark.parametrize("resize", ["stretch", "pad", "crop"])
@pytest.mark.parametrize("shape", [(72, 60), (50, 90), (33, 36)])
def test_frames_say_where_a_pixel_goes_and_comes_from(resize, shape):
    rng = np.random.default_rng(0)
    sides = pd.DataFrame({"width": [shape[1]], "height": [shape[0]]})
    frames = Frames.of(sides, (64, 48), resize)
    points = rng.uniform(0, 30, (1, 5, 2))
    np.testing.assert_allclose(frames.pixels(frames.relative(points)), points, atol=1e-9)
    middle = np.array([shape[1], shape[0]]) // 2
    drawn = np.zeros((*shape, 3), np.uint8)
    x, y = middle
    drawn[y - 3 : y + 4, x - 3 : x + 4] = 255
    seen = found_in(resized(drawn, (64, 48), resize))[0]
    expected = (frames.relative(middle[None, None])[0, 0] + 0.5) * [48, 64] - 0.5
    np.testing.assert_allclose(seen, expected, atol=0.3)


@pytest.mark.parametrize("view", views.SYMMETRIES)
def test_points_found_in_a_view_are_where_they_are_in_the_picture(task, view):
    seen = views.apply(view, torch.from_numpy(picture())[None])[0].numpy()
    relative = (found_in(seen) + 0.5) / 36 - 0.5
    if view in views.MIRRORING:  # a network calls the eye on the left the left one
        relative = relative[task.info["mirrored"]]
    undone = task.undo(view, torch.from_numpy(relative.reshape(1, -1)))
    expected = (PLACES + 0.5) / 36 - 0.5
    np.testing.assert_allclose(undone.numpy().reshape(-1, 2), expected, atol=1e-6)


@pytest.mark.parametrize("preset", ["flips", "medium", "heavy", "auto"])
def test_points_move_with_the_picture(task, preset):
    transform = augment.create(Augment(preset=preset), (36, 36), **task.compose_options())
    target = ((PLACES + 0.5) / 36 - 0.5).reshape(-1).astype(np.float32)
    mirrored = compared = 0
    for seed in range(40):
        augment.seed_all(transform, seed)
        moved, there = task.augmented(transform, picture(), target)
        assert there.dtype == target.dtype
        points = (there.reshape(-1, 2) + 0.5) * 36 - 0.5
        colours = [seen_at(moved, point) for point in points]
        if None in colours:  # out of the picture, under a hole or turned to grey
            continue
        compared += 1
        assert colours in ([0, 1, 2], [1, 0, 2])
        mirrored += colours == [1, 0, 2]
    assert compared > 5
    assert mirrored > 0


def seen_at(pixels: np.ndarray, point: np.ndarray) -> int | None:
    """Which point's colour is at a place, where one clearly is."""
    x, y = np.round(np.nan_to_num(point, nan=-1.0)).astype(int)
    if not (0 <= x < 36 and 0 <= y < 36):
        return None
    colour = pixels[y, x].astype(int)
    order = np.sort(colour)
    return int(colour.argmax()) if order[2] > 90 and order[2] > 2 * order[1] else None


def test_missing_points_stay_missing_and_cost_nothing(task):
    target = ((PLACES + 0.5) / 36 - 0.5).reshape(1, -1).astype(np.float32)
    target[0, 4:] = np.nan
    transform = augment.create(Augment(preset="flips"), (36, 36), **task.compose_options())
    augment.seed_all(transform, 3)
    _, there = task.augmented(transform, picture(), target[0])
    assert np.isnan(there).tolist() == np.isnan(target[0]).tolist()
    for name, term in task.loss_terms(Loss(), target).items():
        shape = (1, 3, 8, 8) if name.startswith("heatmap") else (1, 6)
        raw = torch.zeros(shape, requires_grad=True)
        loss = term(raw, torch.from_numpy(target))
        (gradient,) = torch.autograd.grad(loss.sum(), raw)
        assert torch.isfinite(gradient).all(), name
        assert (gradient.reshape(3, -1)[2] == 0).all(), name
        assert (term(raw, torch.full((1, 6), torch.nan)) == 0).all(), name


def test_heat_maps_are_read_between_their_cells(task):
    from podium.losses import heat_map, middle_of

    target = torch.tensor([[-0.2361, -0.1194, 0.2083, -0.2239, 0.1, 0.21]])
    maps = torch.zeros(1, 3, 12, 16, requires_grad=True)
    optimizer = torch.optim.Adam([maps], lr=0.3)
    for _ in range(300):
        optimizer.zero_grad()
        heat_map(maps, target).sum().backward()
        optimizer.step()
    np.testing.assert_allclose(
        task.predict(maps.detach(), None).numpy(), target.numpy(), atol=0.1 / 12
    )
    assert middle_of(maps).shape == (1, 3, 2)


def test_heat_maps_need_sides_that_can_be_halved(task):
    from podium.config.model import Model
    from podium.errors import WeightsError

    settings = Model(backbone="test_resnet", weights="none", image_size=300, approach="heatmap")
    with pytest.raises(WeightsError, match=r"found 300, expected multiples of 32.*such as 288"):
        task.network(settings)


@pytest.mark.parametrize("cells", [0.6, 1.0, 2.5, 7.3, 10.9, 11.4])
def test_a_heat_map_that_is_learnt_is_read_where_the_point_is(cells):
    """At the border too, where half of its Gaussian is cut off."""
    from podium import losses

    target = torch.tensor([[cells / 12 - 0.5, 0.5 - cells / 12]])
    maps = torch.zeros(1, 1, 12, 12, requires_grad=True)
    optimizer = torch.optim.Adam([maps], lr=0.3)
    for _ in range(300):
        optimizer.zero_grad()
        losses.heat_map(maps, target).sum().backward()
        optimizer.step()
    read = losses.middle_of(maps.detach())[0]
    np.testing.assert_allclose(read, target.reshape(1, 2), atol=0.05 / 12)


def test_the_squared_difference_of_heat_maps_by_hand():
    from podium.losses import heat_map_mse

    x, y = torch.meshgrid(torch.arange(9), torch.arange(7), indexing="xy")
    wanted = torch.exp(-((x - 4.0) ** 2 + (y - 3.0) ** 2) / 2)
    target = torch.zeros(1, 2)
    assert heat_map_mse(wanted.log()[None, None] + 5, target).item() == pytest.approx(0, abs=1e-4)
    flat = (((1 - wanted) ** 2).sum() / (wanted**2).sum()).item()
    assert heat_map_mse(torch.zeros(1, 1, 7, 9), target).item() == pytest.approx(flat, rel=1e-3)


@pytest.mark.parametrize("falloff", [0.13, [0.05, 0.1, 0.15, 0.2, 0.25]])
def test_similarities_of_points_are_cocos(falloff):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    rng = np.random.default_rng(0)
    target = rng.uniform(10, 90, (30, 5, 2))
    said = target + rng.normal(0, 8, target.shape) * rng.uniform(0, 1, (30, 1, 1))
    target[rng.random((30, 5)) < 0.2] = np.nan
    objects, answers = [], []
    for row, (true, points) in enumerate(zip(target, said, strict=True)):
        low, sides = np.nanmin(true, 0), np.nanmax(true, 0) - np.nanmin(true, 0)
        seen = np.where(np.isnan(true[:, :1]), 0, 2)
        whole = {"image_id": row, "category_id": 1}
        there = np.hstack([np.nan_to_num(true), seen]).ravel().tolist()
        objects.append(
            {
                **whole, "id": row + 1, "iscrowd": 0, "area": float(sides.prod()),
                "bbox": [*low.tolist(), *sides.tolist()], "keypoints": there,
                "num_keypoints": int((seen > 0).sum()),
            }
        )  # fmt: skip
        points = np.hstack([points, np.ones((5, 1))]).ravel().tolist()
        answers.append({**whole, "keypoints": points, "score": 1.0})
    reference = COCO()
    images, categories = [{"id": row} for row in range(30)], [{"id": 1, "name": "face"}]
    reference.dataset = {"images": images, "annotations": objects, "categories": categories}
    reference.createIndex()
    judge = COCOeval(reference, reference.loadRes(answers), "keypoints")
    judge.params.kpt_oks_sigmas = np.broadcast_to(falloff, 5) / 2
    judge.evaluate()
    found = [each["dtMatches"][:, 0] > 0 for each in judge.evalImgs[:30]]  # of objects of any size
    share = metrics.load({"name": "oks_map", "options": {"falloff": falloff}})(
        target.reshape(30, -1), said.reshape(30, -1)
    )
    assert 0.2 < share < 0.9
    assert share == pytest.approx(np.mean(found))
    with pytest.raises(ConfigError, match=r"\[0.1, 0.1, 0.1, 0.1\], .* each of the 5 points"):
        metrics.load({"name": "oks_map", "options": {"falloff": [0.1] * 4}})(
            target.reshape(30, -1), said.reshape(30, -1)
        )


def test_metrics_of_points_by_hand():
    square = np.array([[0, 0], [10, 0], [0, 10], [10, 10.0]])
    target = np.stack([square, 2 * square]).reshape(2, -1)
    prediction = target.copy()
    prediction[0, 0] += 3  # a point of the first row is 3 px off
    known = metrics.registry()
    assert known["nme"](target, prediction) == pytest.approx((3 / 10 / 4 + 0) / 2)
    assert known["pck"](target, prediction) == pytest.approx(7 / 8)
    oks = np.exp(-9 / (2 * (10 * 0.13) ** 2)) / 4 + 3 / 4
    levels = np.arange(0.5, 1.0, 0.05)
    assert known["oks_map"](target, prediction) == pytest.approx(
        np.mean([((oks >= level) + 1) / 2 for level in levels])
    )
    eyes = metrics.load({"name": "nme", "options": {"between": [0, 1]}})
    assert eyes(target, prediction) == pytest.approx(3 / 10 / 4 / 2)
    prediction[:, :2] += 99
    target[:, :2] = np.nan  # missing: does not count
    assert known["rmse"](target, prediction) == 0
    assert known["pck"](target, prediction) == 1
    # A single point, or a missing eye, is an object of no size: nobody can tell how near is near.
    target[0, 2:] = np.nan
    assert known["pck"](target, prediction) == 1
    prediction[1, 2] += 99
    assert known["pck"](target, prediction) == pytest.approx(2 / 3)


def test_wing_loss_meets_the_line_where_it_turns():
    from podium.losses import each_wing

    error = torch.tensor([0.0, 3.999999, 4.0, 4.000001, 9.0])
    loss = each_wing(error, torch.zeros(5))
    assert loss[0] == 0
    assert torch.allclose(loss[1], loss[3], atol=1e-4)
    assert torch.isclose(loss[4] - loss[2], torch.tensor(5.0))


def test_true_points_are_green_and_predicted_ones_red(task):
    blank = np.zeros((72, 72, 3), np.uint8)
    target = PLACES.reshape(-1).astype(float)
    drawn = task.draw(blank, np.array([2.0, 2.0]), target, target + 6)
    assert not blank.any()
    x, y = np.round((PLACES[0] + 0.5) * 2 - 0.5).astype(int)
    assert drawn[y, x].tolist() == [0, 190, 80]
    assert drawn[y + 12, x + 12].tolist() == [230, 40, 40]
    alone = task.draw(blank, np.array([2.0, 2.0]), target)
    assert alone[y, x].tolist() == [0, 190, 80]
    assert alone[..., 0].max() < 100  # nothing red


def test_the_training_score_is_that_of_the_moved_points(task):
    """Perfect answers on augmented pictures score perfectly."""
    from podium.config.model import Model
    from podium.training import loop
    from podium.training.data import Rows

    sides = pd.DataFrame({"width": 36, "height": 36}, index=range(4))
    frames = Frames.of(sides, (36, 36), "stretch")
    target = np.repeat(PLACES.reshape(1, -1), 4, axis=0).astype(float)
    learning = task.learning_target(target, target, frames)
    rows = Rows(np.stack([picture()[None]] * 4), np.arange(4), None, target, learning, frames)
    settings = Model(backbone="test_resnet", weights="none", image_size=36, augment="medium")
    plan = loop.Training(
        task, metrics.registry()["rmse"], settings, rows, rows, torch.device("cpu"), 1, 0
    )
    answers = loop._Answers(plan, rows)
    moved = torch.from_numpy(learning) + 0.1
    answers.add(moved / 0.25, np.arange(4), moved)
    assert answers.score() == pytest.approx(0, abs=1e-4)


# ------------------------------------------------------------------------------- visibility


@pytest.fixture(scope="module")
def seeing():
    """The task that also predicts which points are there."""
    options = {"visibility": True, "blank_invisible": True}
    _, info = read(table_of(np.stack([PLACES, PLACES + 1.0])), **options)
    return tasks.load("keypoints", options, info)


def test_columns_say_which_points_are_not_there():
    table = table_of(np.stack([PLACES, PLACES, PLACES]).astype(float))
    marks = pd.DataFrame(
        {"left_eye_v": [2, 1, 0], "right_eye_v": [2, 2, 2], "nose_v": [1, np.nan, 2]}, table.index
    )
    table.loc["p2", "left_eye_x"] = np.nan  # half a point that is not there is no error
    frame, info = read(table.join(marks), visible="*_v")
    assert frame.isna().sum().to_dict() == dict.fromkeys(COLUMNS, 0) | dict.fromkeys(
        ["left_eye_x", "left_eye_y", "nose_x", "nose_y"], 1
    )
    for marked in ([1, 1, -1], ["True", "True", "False"]):
        again, _ = read(table.join(marks.assign(left_eye_v=marked)), visible="*_v")
        pd.testing.assert_frame_equal(again, frame)
    task = tasks.load("keypoints", {"visible": "*_v"}, info)
    plain = table.dropna().astype(str)
    assert np.isfinite(task.read_solution(plain, [])).all()
    with pytest.raises(DataError, match="visible: the table has no column 'nose_v'"):
        read(table.join(marks.rename(columns={"nose_v": "noze_v"})), visible="*_v")
    for wrong in ({"visible": "nose_v"}, {"blank_invisible": True}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            tasks.options_module("keypoints").Options(**wrong)


@pytest.mark.parametrize("approach", ["regression", "heatmap"])
def test_points_that_are_not_there_are_learnt(seeing, approach):
    """Nothing but the picture tells: a point without its block of colour is missing."""
    from podium.config.model import Model
    from podium.networks import network
    from podium.training import loop
    from podium.training.data import Rows

    rng = np.random.default_rng(0)
    there = rng.random((8, 3)) < 0.6
    seen = np.repeat(picture(size=(32, 32))[None, None], 8, axis=0)
    target = np.repeat(PLACES.reshape(1, -1), 8, axis=0).astype(float)
    for row, point in zip(*np.where(~there), strict=True):
        x, y = PLACES[point]
        seen[row, 0, y - 2 : y + 3, x - 2 : x + 3] = 0
        target[row, 2 * point : 2 * point + 2] = np.nan
    frames = Frames.whole((32, 32), 8)
    learning = seeing.learning_target(target, target, frames)
    rows = Rows(seen, np.arange(8), None, target, learning, frames)
    settings = Model(
        backbone="test_resnet", weights="none", image_size=32, augment="none", batch_size=8,
        epochs=30, approach=approach, optimizer={"name": "adamw", "lr": 0.01},
        schedule="constant", ema=None,
    )  # fmt: skip
    torch.manual_seed(0)
    net = network.build_for(seeing, settings, pictures=1, features=0, tabular=0)
    metric = metrics.registry()["visibility_f1"]
    plan = loop.Training(seeing, metric, settings, rows, rows, torch.device("cpu"), 1, 0)
    history = loop.train(net, plan)
    assert history[-1]["term:visibility"] < 0.3 * history[0]["term:visibility"]
    assert history[-1]["train_score"] > 0.9


def test_probabilities_go_through_views_and_frames(seeing):
    prediction = np.concatenate([(PLACES + 0.5).reshape(-1) / 36 - 0.5, [0.9, 0.2, 0.5]])[None]
    mirrored = prediction.copy()
    mirrored[0, :6:2] *= -1  # the picture mirrored, and its eyes named the other way round
    mirrored[0, [0, 1, 2, 3, 6, 7]] = mirrored[0, [2, 3, 0, 1, 7, 6]]
    undone = seeing.undo("hflip", torch.from_numpy(mirrored)).numpy()
    np.testing.assert_allclose(undone, prediction)
    placed = seeing.place(prediction, Frames.whole((36, 36), 1))
    np.testing.assert_allclose(placed[0], [*PLACES.reshape(-1), 0.9, 0.2, 0.5])
    metric = metrics.registry()["rmse"]
    assert seeing.scored(metric, None, placed, {}).shape == (1, 6)
    assert seeing.mistakes(PLACES.reshape(1, -1), placed)[0] == pytest.approx(0, abs=1e-9)
    drawn = seeing.draw(np.zeros((36, 36, 3), np.uint8), np.ones(2), placed[0, :6], placed[0])
    colours = [drawn[y, x].tolist() for x, y in PLACES]
    assert colours == [[230, 40, 40], [0, 190, 80], [230, 40, 40]]


def test_the_threshold_is_fitted_where_the_metric_needs_labels(seeing):
    rng = np.random.default_rng(0)
    target = np.repeat(PLACES.reshape(1, -1), 200, axis=0).astype(float)
    there = rng.random((200, 3)) < 0.5
    target[np.repeat(~there, 2, axis=1)] = np.nan
    probable = np.where(there, 0.3, 0.1) + rng.uniform(0, 0.1, (200, 3))
    prediction = np.concatenate([np.nan_to_num(target), probable], axis=1)
    known = metrics.registry()
    fitted = seeing.fit_decision(known["visibility_f1"], target, prediction)
    assert 0.19 < fitted["visible"] < 0.31
    plain = known["visibility_f1"](target, seeing.decide(prediction, {"visible": 0.5}))
    decided = seeing.decide(prediction, fitted)
    assert plain < 0.98 < known["visibility_f1"](target, decided)
    seen = np.isfinite(decided)
    np.testing.assert_array_equal(decided[seen], prediction[:, :6][seen])
    assert seeing.fit_decision(known["rmse"], target, prediction) == {"visible": 0.5}
    from sklearn.metrics import f1_score

    guess = np.where(np.repeat(rng.random((200, 3)) < 0.4, 2, axis=1), np.nan, 1.0)
    expected = f1_score(there.ravel(), ~np.isnan(guess[:, ::2]).ravel())
    assert known["visibility_f1"](target, guess) == pytest.approx(expected)


def test_scores_take_what_they_need_of_a_prediction(seeing):
    from podium import oof, scoring
    from podium.blending import load
    from podium.blending.crossfit import Decider, Problem
    from podium.bootstrap import Bootstrap

    rng = np.random.default_rng(0)
    target = np.repeat(PLACES.reshape(1, -1), 40, axis=0).astype(float)
    there = rng.random((40, 3)) < 0.5
    said = np.concatenate([target + 1, np.where(there, 0.8, 0.1)], axis=1)
    target[np.repeat(~there, 2, axis=1)] = np.nan
    ids, folds = np.arange(40).astype(str), np.arange(40) % 4
    rows = oof.Rows(ids, target, folds, np.arange(40), "f", np.full(40, "dark grey"))
    decider = Decider(seeing, metrics.registry()["rmse"])
    result, _ = scoring.score(decider, said, rows, Bootstrap(rows.blocks, 100))
    assert result["score"] == pytest.approx(1)
    assert result["secondary"]["mae"] == pytest.approx(1)
    assert result["secondary"]["visibility_f1"] == 1
    assert {"pck", "nme", "oks_map"} <= set(result["secondary"])
    assert [line["rmse"] for line in seeing.errors_by_name(target, said)] == pytest.approx(
        [np.sqrt(2)] * 3
    )
    problem = Problem(target, said[None], decider, "values")
    assert "has a target" in load("stack").misfit(problem)


def test_points_that_are_not_there_are_left_empty(seeing, tmp_path):
    from podium import submission

    path = tmp_path / "sample.csv"
    table_of(np.zeros((1, 3, 2))).astype(int).to_csv(path)
    form = {"id": "id", "separator": None, "encoding": None}
    metric = metrics.registry()["rmse"]
    submission.rehearse(seeing, metric, path, form)
    sample = table_of(np.zeros((1, 3, 2))).astype(int).astype(str)
    prediction = np.array([[1.5, 2, 3, 4, 5, 6, 0.9, 0.4, 0.6]])
    answer = seeing.submission(prediction, {"visible": 0.5}, metric, sample)
    filled = submission.fill_left_out(answer, sample, [])
    submission.check(filled, answer, sample, seeing, metric, path)
    text = submission.as_csv(filled, ["id", *COLUMNS], ",")
    assert text.splitlines()[1] == "p0,1.5,2,,,5,6"


def test_a_model_must_learn_the_visibility_that_is_asked_for(seeing):
    with pytest.raises(ConfigError, match="such as visibility"):
        seeing.loss_terms(Loss(terms={"l2": 1.0}), np.zeros((1, 6)))
    assert set(seeing.default_loss()) == {"smooth_l1", "wing", "visibility"}


def test_a_probe_tells_which_points_are_there(seeing):
    rng = np.random.default_rng(0)
    there = rng.random((80, 3)) < 0.5
    target = np.where(np.repeat(there, 2, axis=1), 0.1, np.nan)
    weight, bias = seeing.probe(there.astype(float) * 2 - 1, target, 1.0, 0)
    assert weight.shape == (seeing.outputs, 3)
    raw = torch.as_tensor((there * 2 - 1.0) @ weight.T + bias)
    np.testing.assert_array_equal(seeing.predict(raw, None)[:, 6:] > 0.5, there)


def test_predicted_points_are_moved_to_the_border_where_they_may_not_leave():
    _, info = read(table_of(PLACES[None].astype(float)))
    task = tasks.load("keypoints", {"clip": True}, info)
    sides = pd.DataFrame({"width": [40], "height": [20]})
    frames = Frames.of(sides, (36, 36), "pad")
    outside = np.array([[-9.0, 3, 55, 25, 39, -0.5]])
    relative = frames.relative(outside.reshape(1, -1, 2)).reshape(1, -1)
    np.testing.assert_allclose(task.place(relative, frames), [[-0.5, 3, 39.5, 19.5, 39, -0.5]])


@pytest.mark.parametrize("name", ["nme", "pck"])
@pytest.mark.parametrize("between", [[0, 3], [-1, 0], [0], [0, 1, 2], [1, 1]])
def test_places_of_a_metric_that_are_no_two_points(name, between):
    loaded = metrics.load({"name": name, "options": {"between": between}})
    target = PLACES[None].astype(float).reshape(1, -1)
    with pytest.raises(ConfigError, match=r"between: found .* two points, counted from 0 to 2"):
        checking.try_metric(loaded, target)


def test_a_single_point_has_no_size():
    target = np.array([[3.0, 4.0], [5.0, 6.0]])
    for name in ("nme", "pck", "oks_map"):
        with pytest.raises(ConfigError, match=r"a single point does not have; take rmse or mae"):
            checking.try_metric(metrics.load({"name": name}), target)
    checking.try_metric(metrics.load({"name": "rmse"}), target)


def test_points_on_a_level_everywhere_are_told_before_training():
    target = np.array([[3.0, 4.0, 9.0, 4.0], [5.0, 6.0, 7.0, 6.0]])
    with pytest.raises(ConfigError, match="pck is not defined on the training targets"):
        checking.try_metric(metrics.load({"name": "pck"}), target)


def test_words_for_missing_coordinates():
    table = table_of(np.stack([PLACES] * 6).astype(float)).astype(object)
    table.iloc[:5, 0] = table.iloc[:5, 1] = ["NA", "None", "null", " ", "nan"]
    frame, _ = read(table)
    assert frame["left_eye_x"].isna().tolist() == [True] * 5 + [False]


def test_two_columns_for_one_coordinate():
    table = table_of(PLACES[None].astype(float))
    table["x_nose"], table["y_nose"] = 1.0, 2.0
    with pytest.raises(ConfigError, match=r"'nose_x' and 'x_nose' are both the x of 'nose'"):
        read(table, table.columns)


def test_points_outside_are_listed_and_impossible_ones_refused(tmp_path):
    table = table_of(np.stack([PLACES] * 5).astype(float))
    frame, _ = read(table)
    pictures = pd.DataFrame({"width": 36, "height": 30, "path": ""}, index=table.index)
    pictures.loc["p4", ["width", "height"]] = 0  # cannot be read
    frame.iloc[:, 0] = [-1.5, -1, 108, 36, 999]
    frame.iloc[1, 1] = -1

    def checked(repair):
        found = Found(pictures, tmp_path, "train.csv")
        options = tasks.options_module("keypoints").Options(repair=repair)
        return tasks.task_class("keypoints").check_targets(frame, options, found), found.problems

    with pytest.raises(DataError, match=r"train\.csv: points are where they cannot be") as error:
        checked(repair=False)
    assert "row 3 (id p1): point 'left_eye' at -1, -1 is outside" in str(error.value)
    assert "row 4 (id p2): point 'left_eye' at 108, 6 is outside" in str(error.value)
    assert "p0" not in str(error.value)
    assert "p4" not in str(error.value)

    repaired, problems = checked(repair=True)
    assert repaired["left_eye_x"].isna().tolist() == [False, True, True, False, False]
    assert repaired["left_eye_y"].isna().tolist() == [False, True, True, False, False]
    said = "point 'left_eye' at -1.5, 6 is outside of the picture of 36 x 30"
    assert problems[0] == ("train.csv", "row 2 (id p0)", said, "kept as it is")
    assert [problem[3] for problem in problems[1:]] == ["taken as missing"] * 2

    frame.iloc[:, 0] = frame.iloc[1:, 1] = 0
    frame.iloc[:1, 1] = 5
    _, ((_, rows, said, action),) = checked(repair=False)
    assert (rows, action) == ("rows 3, 4, 5, 6 (id p1)", "kept as it is")
    assert said.startswith("point 'left_eye' is at 0, 0 in 4 rows")

    frame = frame * 0 + 0.5
    with pytest.raises(DataError, match=r"no coordinate is above 1.*Expected pixels"):
        checked(repair=True)
