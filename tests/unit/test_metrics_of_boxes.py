"""Metrics of boxes against pycocotools and by hand; resampled rows."""

import contextlib
import io

import numpy as np
import pytest

from podium import metrics, packed
from podium.metrics.boxes import LEVELS, matched, rank_in_class


def scene(seed: int, pictures: int = 30, classes: int = 3, most: int = 9):
    """Targets and answers: objects found more or less well, false ones, equal scores."""
    random = np.random.default_rng(seed)
    targets, answers = [], []
    for _ in range(pictures):
        count = int(random.integers(0, most))
        low = random.integers(0, 80, (count, 2))
        true = np.concatenate([low, low + random.integers(5, 40, (count, 2))], axis=1)
        names = random.integers(0, classes, count)
        found = np.repeat(true, random.integers(0, 3, count), axis=0)
        found = found + random.integers(-3, 4, found.shape)
        false = random.integers(0, 60, (int(random.integers(0, 4)), 2))
        false = np.concatenate([false, false + random.integers(5, 40, false.shape)], axis=1)
        boxes = np.concatenate([found, false])
        guess = random.integers(0, classes, len(boxes))
        scores = random.integers(1, 10, len(boxes)) / 10
        targets.append((true.astype(np.float32), names.astype(np.int16)))
        answers.append(
            (boxes.astype(np.float32), scores.astype(np.float32), guess.astype(np.int16))
        )
    return targets, answers


def coco(targets, answers, levels=LEVELS) -> float:
    """What pycocotools makes of it."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def entry(number: int, box, name, **more) -> dict:
        x0, y0, x1, y1 = (float(v) for v in box)
        size = {"bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0)}
        return {"image_id": number, "category_id": int(name) + 1, "iscrowd": 0, **size, **more}

    true = [
        entry(n, box, name)
        for n, row in enumerate(targets, start=1)
        for box, name in zip(*row, strict=True)
    ]
    said = [
        entry(n, box, name, score=float(score))
        for n, row in enumerate(answers, start=1)
        for box, score, name in zip(*row, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        whole = COCO()
        whole.dataset = {
            "images": [{"id": n} for n in range(1, len(targets) + 1)],
            "annotations": [{"id": n, **one} for n, one in enumerate(true, start=1)],
            "categories": [{"id": n + 1} for n in range(5)],
        }
        whole.createIndex()
        run = COCOeval(whole, whole.loadRes(said), "bbox")
        run.params.iouThrs = np.asarray(levels)
        run.evaluate()
        run.accumulate()
    precision = run.eval["precision"][:, :, :, 0, -1]
    return precision[precision > -1].mean()


def measured(name: str, targets, answers, **options):
    metric = metrics.load({"name": name, "options": options})
    rows = (packed.column(packed.pack(*row) for row in part) for part in (targets, answers))
    return metric, metric.measured(*rows)


def score(name: str, targets, answers, **options) -> float:
    metric, measures = measured(name, targets, answers, **options)
    return metric(None, measures)


@pytest.mark.parametrize("seed", range(4))
def test_mean_average_precision_is_cocos(seed):
    targets, answers = scene(seed)
    assert score("box_map", targets, answers) == pytest.approx(coco(targets, answers), abs=1e-6)
    for level in (0.5, 0.75):
        found = score("map50", targets, answers, iou=level)
        assert found == pytest.approx(coco(targets, answers, [level]), abs=1e-6)


def test_only_the_best_hundred_of_a_class_count():
    random = np.random.default_rng(0)
    low = random.integers(0, 90, (150, 2)).astype(np.float32)
    true = np.concatenate([low, low + 10], axis=1)
    kinds = (np.arange(150) % 5 == 0).astype(np.int16)
    answer = (true, random.random(150).astype(np.float32), kinds)
    targets, answers = [(true, kinds)], [answer]
    assert score("box_map", targets, answers) == pytest.approx(coco(targets, answers), abs=1e-6)
    assert score("box_map", targets, answers) < 1
    assert rank_in_class(np.array([1, 0, 1, 1, 0])).tolist() == [0, 0, 1, 2, 1]


def test_pictures_that_are_drawn_twice_count_twice():
    targets, answers = scene(7)
    metric, measures = measured("box_map", targets, answers)
    rows = np.random.default_rng(1).integers(0, len(targets), len(targets))
    again = coco([targets[row] for row in rows], [answers[row] for row in rows])
    assert metric(None, measures[rows]) == pytest.approx(again, abs=1e-6)


def test_nothing_to_find_and_nothing_found():
    none = (np.zeros((0, 4), np.float32), np.zeros(0, np.int16))
    nothing = (none[0], np.zeros(0, np.float32), none[1])
    one = (np.array([[0, 0, 9, 9]], np.float32), np.zeros(1, np.int16))
    assert np.isnan(score("box_map", [none], [nothing]))
    assert score("box_map", [one, none], [nothing, nothing]) == 0
    assert score("fbeta_boxes", [none], [none]) == 1
    assert score("fbeta_boxes", [one], [none]) == 0
    assert score("wheat_precision", [none, none, one, one], [none, one, none, one]) == 0.5


def test_counting_metrics_by_hand():
    true = (
        np.array([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]], np.float32),
        np.int16([0, 0, 1]),
    )
    # IoU 1, 0.6 and a wrong class; and the first object a second time.
    said = np.array([[0, 0, 10, 10], [20, 0, 26, 10], [40, 0, 50, 10], [0, 0, 10, 9]], np.float32)
    answer = (said, np.int16([0, 0, 0, 0]))
    assert score("fbeta_boxes", [true], [answer]) == pytest.approx(2 * 2 / (2 * 2 + 2 + 1))
    assert score("fbeta_boxes", [true], [answer], beta=2.0) == pytest.approx(
        5 * 2 / (5 * 2 + 4 * 1 + 2)
    )
    half = (2 * 2 / (4 + 3) + 2 * 1 / (2 + 5)) / 2
    assert score("fbeta_boxes", [true] * 3, [answer] * 3, ious=[0.5, 0.7]) == pytest.approx(half)
    # Of (0.50, 0.55, 0.60): two found; 0.65 to 0.75: one. The overlap of 0.6 is exact in floats.
    assert score("wheat_precision", [true], [answer]) == pytest.approx((3 * 2 / 5 + 3 * 1 / 6) / 6)


def test_the_best_box_chooses_first():
    true = (np.array([[0, 0, 10, 10]], np.float32), np.int16([0]))
    said = np.array([[0, 0, 10, 8], [0, 0, 10, 10]], np.float32)
    found = matched(true, said, np.int16([0, 0]), (0.5, 0.9))
    assert found.tolist() == [[0, -1], [-1, 0]]
