"""Metrics of masks and of objects against references that take the long way."""

import contextlib
import io

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from skimage.metrics import hausdorff_distance
from test_masks import ellipses

from podium import metrics, packed
from podium.errors import ConfigError
from podium.geometry import masks

SIZE = (30, 40)
CLASSES = 3


def score(name, target, answer, **options):
    """The metric of rows, each a tuple of arrays."""
    chosen = metrics.load({"name": name, "options": options})
    rows = [packed.column(packed.pack(*row) for row in rows) for rows in (target, answer)]
    return chosen(rows[0], chosen.measured(*rows))


def blobs(seed, rows=12):
    """Targets and answers of some classes; some empty, some in one only, some in both."""
    random = np.random.default_rng(seed)
    target = np.stack(
        [
            [ellipses(3, SIZE, random.integers(99999)) > 0 for _ in range(CLASSES)]
            for _ in range(rows)
        ]
    ).astype(np.uint8)
    answer = target.copy()
    for row, number in np.ndindex(rows, CLASSES):
        answer[row, number] = np.roll(answer[row, number], random.integers(-3, 4, 2), (0, 1))
    target[0, 0] = answer[0, 0] = target[1, 1] = answer[2] = 0
    return target, answer


def each(target, answer):
    """Pairs of one class's masks, picture by picture."""
    for row, number in np.ndindex(target.shape[:2]):
        yield target[row, number].astype(bool), answer[row, number].astype(bool)


@pytest.mark.parametrize("seed", range(2))
def test_overlaps_agree_with_plain_loops(seed):
    target, answer = blobs(seed)
    rows = [(t,) for t in target], [(a,) for a in answer]
    ious = [
        (a & b).sum() / (a | b).sum() if (a | b).any() else 1.0 for a, b in each(target, answer)
    ]
    dices = [
        2 * (a & b).sum() / (a.sum() + b.sum()) if (a | b).any() else 1.0
        for a, b in each(target, answer)
    ]
    assert score("iou", *rows) == pytest.approx(np.mean(ious))
    assert score("dice", *rows) == pytest.approx(np.mean(dices))
    levels = np.round(np.arange(0.5, 1.0, 0.05), 2)
    expected = [np.mean([value > level + 1e-9 for level in levels]) for value in ious]
    assert score("tgs_precision", *rows) == pytest.approx(np.mean(expected))
    a, b = (each.astype(bool).transpose(1, 0, 2, 3).reshape(CLASSES, -1) for each in blobs(seed))
    shared, both = (a & b).sum(1), a.sum(1) + b.sum(1)
    assert score("dice_global", *rows) == pytest.approx(np.mean(2 * shared / both))
    assert score("miou", *rows) == pytest.approx(np.mean(shared / (both - shared)))
    whole = np.array([2 * (t & a).sum() / (t.sum() + a.sum()) for t, a in zip(*blobs(seed))])  # noqa: B905
    assert score("dice", *rows, per_class=False) == pytest.approx(whole.mean())
    right = (target == answer).all(1).mean()
    assert score("pixel_accuracy", *rows) == pytest.approx(right)
    later = [(t[1:],) for t in target], [(a[1:],) for a in answer]
    for name in ("dice", "dice_global", "iou", "miou", "tgs_precision", "hausdorff"):
        assert score(name, *rows, ignore_first=True) == pytest.approx(score(name, *later)), name


def test_a_threshold_must_be_exceeded():
    target, answer = np.zeros((1, 1, 20), np.uint8), np.zeros((1, 1, 20), np.uint8)
    target[..., :20] = 1
    for pixels, levels in ((10, 0), (11, 1), (14, 4), (15, 5), (19, 9), (20, 10)):
        answer[:] = np.arange(20) < pixels
        assert score("tgs_precision", [(target,)], [(answer,)]) == pytest.approx(levels / 10)
        objects = (answer[0].astype(np.uint16), np.ones(1, np.float32))
        found = score("dsb_precision", [(target[0].astype(np.uint16),)], [objects])
        assert found == pytest.approx(levels / 10)


def test_empty_masks():
    nothing, something = np.zeros((1, 4, 4), np.uint8), np.eye(4, dtype=np.uint8)[None]
    for name in ("dice", "iou", "tgs_precision", "dice_global", "miou", "pixel_accuracy"):
        assert score(name, [(nothing,)], [(nothing,)]) == 1, name
        if name != "pixel_accuracy":
            assert score(name, [(nothing,)], [(something,)]) == 0, name
            assert score(name, [(something,)], [(nothing,)]) == 0, name
    assert score("hausdorff", [(nothing,)], [(nothing,)]) == 0
    assert score("hausdorff", [(nothing,)], [(something,)]) == pytest.approx(np.sqrt(32))


def test_a_class_that_is_nowhere_does_not_count_in_pooled_scores():
    target, answer = blobs(0)
    target[:, 2] = answer[:, 2] = 0
    rows = [(t,) for t in target], [(a,) for a in answer]
    two = [(t[:2],) for t in target], [(a[:2],) for a in answer]
    for name in ("dice_global", "miou"):
        assert score(name, *rows) == pytest.approx(score(name, *two))


@pytest.mark.parametrize("seed", range(2))
def test_hausdorff_agrees_with_scikit_image(seed):
    from scipy.ndimage import binary_erosion
    from scipy.spatial.distance import cdist

    target, answer = blobs(seed)
    whole, robust = [], []
    for a, b in each(target, answer):
        if not a.any() or not b.any():
            value = np.hypot(*SIZE) if a.any() or b.any() else 0.0
            whole.append(value)
            robust.append(value)
            continue
        a, b = (m & ~binary_erosion(m) for m in (a, b))
        whole.append(hausdorff_distance(a, b))
        apart = cdist(np.argwhere(a), np.argwhere(b))
        robust.append(max(np.percentile(apart.min(axis), 95) for axis in (0, 1)))
    rows = [(t,) for t in target], [(a,) for a in answer]
    assert score("hausdorff", *rows) == pytest.approx(np.mean(whole))
    assert score("hausdorff", *rows, percentile=95) == pytest.approx(np.mean(robust))


# ------------------------------------------------------------------------------------ objects


def objects(seed, rows=6, classes=1):
    """Label pictures, and answers that move, lose, split and invent objects."""
    random = np.random.default_rng(seed)
    targets, answers = [], []
    for _ in range(rows):
        true, _ = masks.renumbered(ellipses(12, (60, 80), random.integers(99999)))
        moved, _ = masks.renumbered(np.roll(true, random.integers(-1, 2, 2), (0, 1)))
        moved[random.random(moved.shape) < 0.03] = 0
        moved[np.isin(moved, random.integers(1, 13, 2))] = 0
        moved[:8, :8] = moved.max() + 1
        said, _ = masks.renumbered(moved)
        # Scores with ties, the same object of another class now and then.
        scores = np.round(random.random(said.max()), 1).astype(np.float32)
        kinds = random.integers(0, classes, true.max()).astype(np.int16)
        guessed = np.array([kinds[_most(true[said == n + 1])] for n in range(said.max())], np.int16)
        guessed = np.where(random.random(len(guessed)) < 0.2, 0, guessed).astype(np.int16)
        some = (true.astype(np.uint16), kinds), (said.astype(np.uint16), scores, guessed)
        targets.append(some[0] if classes > 1 else some[0][:1])
        answers.append(some[1] if classes > 1 else some[1][:2])
    empty = np.zeros((60, 80), np.uint16)
    none, no_classes = np.zeros(0, np.float32), np.zeros(0, np.int16)
    extra = (no_classes,) if classes > 1 else ()
    return [*targets, (empty, *extra), targets[0]], [*answers, answers[1], (empty, none, *extra)]


def _most(labels) -> int:
    labels = labels[labels > 0]
    return int(np.bincount(labels).argmax()) - 1 if len(labels) else 0


def reference_dsb(target, answer) -> float:
    """The usual loop over all pairs of full masks of one class."""
    (true, *kinds), (said, _, *guessed) = target, answer
    ious = np.array(
        [
            [((true == i) & (said == j)).sum() / ((true == i) | (said == j)).sum()
             for j in range(1, said.max() + 1)]
            for i in range(1, true.max() + 1)
        ]
    ).reshape(true.max(), said.max())  # fmt: skip
    if kinds:
        ious = ious * (kinds[0][:, None] == guessed[0])
    found = []
    for level in np.arange(0.5, 0.96, 0.05):
        hit = ious > level
        right, false = hit.any(1).sum(), (~hit.any(0)).sum()
        missed = (~hit.any(1)).sum()
        found.append(right / (right + false + missed))
    return float(np.mean(found))


@pytest.mark.parametrize("classes", [1, 2])
@pytest.mark.parametrize("seed", range(2))
def test_dsb_precision_agrees_with_the_usual_loop(seed, classes, monkeypatch):
    target, answer = objects(seed, classes=classes)
    expected = [reference_dsb(t, a) for t, a in zip(target, answer, strict=True)]
    assert score("dsb_precision", target, answer) == pytest.approx(np.mean(expected))
    assert np.mean(expected) > 0.05
    from podium.metrics import instances

    monkeypatch.setattr(instances, "COUNTED", 0)
    assert score("dsb_precision", target, answer) == pytest.approx(np.mean(expected))


def test_pictures_without_objects():
    empty, none = np.zeros((5, 5), np.uint16), np.zeros(0, np.float32)
    one, sure = np.ones((5, 5), np.uint16), np.ones(1, np.float32)
    assert score("dsb_precision", [(empty,)], [(empty, none)]) == 1
    assert score("dsb_precision", [(empty,)], [(one, sure)]) == 0
    assert score("dsb_precision", [(one,)], [(empty, none)]) == 0
    assert np.isnan(score("mask_map", [(empty,)], [(one, sure)]))
    assert score("mask_map", [(one,)], [(empty, none)]) == 0


def test_an_object_of_another_class_is_no_match():
    one, sure = np.ones((5, 5), np.uint16), np.ones(1, np.float32)
    first, second = np.zeros(1, np.int16), np.ones(1, np.int16)
    for name in ("dsb_precision", "mask_map"):
        assert score(name, [(one, first)], [(one, sure, first)]) == pytest.approx(1)
        assert score(name, [(one, first)], [(one, sure, second)]) == 0


def reference_coco(target, answer, max_objects=100) -> np.ndarray:
    """COCOeval's precision at the thresholds, (thresholds,), -1 left out."""
    images, annotations, results = [], [], []
    for number, (true, said) in enumerate(zip(target, answer, strict=True)):
        images.append({"id": number, "height": true[0].shape[0], "width": true[0].shape[1]})
        kinds = true[1] if len(true) > 1 else np.zeros(true[0].max(), int)
        guessed = said[2] if len(said) > 2 else np.zeros(len(said[1]), int)
        for label, kind in enumerate(kinds):
            mask = np.asfortranarray(true[0] == label + 1, dtype=np.uint8)
            annotations.append(
                {"id": len(annotations) + 1, "image_id": number, "category_id": int(kind) + 1,
                 "segmentation": coco_mask.encode(mask), "area": int(mask.sum()), "iscrowd": 0,
                 "bbox": [0, 0, 1, 1]}
            )  # fmt: skip
        for label, (kind, value) in enumerate(zip(guessed, said[1], strict=True)):
            mask = np.asfortranarray(said[0] == label + 1, dtype=np.uint8)
            results.append(
                {"image_id": number, "category_id": int(kind) + 1, "score": float(value),
                 "segmentation": coco_mask.encode(mask)}
            )  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": images, "annotations": annotations,
            "categories": [{"id": n + 1} for n in range(9)],
        }  # fmt: skip
        truth.createIndex()
        run = COCOeval(truth, truth.loadRes(results), "segm")
        run.params.maxDets = [max_objects]
        run.params.areaRng, run.params.areaRngLbl = run.params.areaRng[:1], ["all"]
        run.evaluate()
        run.accumulate()
    precision = run.eval["precision"][:, :, :, 0, 0]
    there = (precision > -1).all(axis=(0, 1))
    return precision[:, :, there].mean(axis=(1, 2))


@pytest.mark.parametrize("classes", [1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_mask_map_agrees_with_pycocotools(seed, classes):
    target, answer = objects(seed, classes=classes)
    expected = reference_coco(target, answer)
    assert score("mask_map", target, answer) == pytest.approx(expected.mean(), abs=1e-9)
    assert score("mask_map", target, answer, threshold=0.5) == pytest.approx(expected[0])
    few = reference_coco(target, answer, max_objects=4).mean()
    assert score("mask_map", target, answer, max_objects=4) == pytest.approx(few)
    assert 0.05 < expected.mean() < 0.95


def test_rows_may_come_twice():
    target, answer = objects(0)
    chosen = metrics.load({"name": "mask_map"})
    rows = [packed.column(packed.pack(*row) for row in rows) for rows in (target, answer)]
    measures = chosen.measured(*rows)
    some = np.array([0, 3, 3, 5])
    assert chosen(rows[0][some], measures[some]) == pytest.approx(
        reference_coco([target[n] for n in some], [answer[n] for n in some]).mean()
    )


def test_options_are_checked():
    with pytest.raises(ConfigError, match=r"metric.options.per_class: found 'no'"):
        metrics.load({"name": "dice", "options": {"per_class": "no"}})
