"""Packed rows: what goes in comes out; metrics that measure rows."""

import numpy as np
import pytest

from podium import metrics, packed
from podium.metrics import Metric, mean_of_rows


def test_arrays_of_any_kind_come_back():
    arrays = [
        np.random.default_rng(0).random((3, 4, 5), dtype=np.float32),
        np.zeros((0, 6)),
        np.array([True, False]),
        np.array(7, dtype=np.int64),
    ]
    found = packed.unpack(packed.pack(*arrays))
    assert len(found) == 4
    for one, other in zip(arrays, found, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_nothing_packs_too():
    assert packed.unpack(packed.pack(np.zeros((0, 4))))[0].shape == (0, 4)


def test_masks_are_small():
    mask = np.zeros((1, 101, 101), np.uint8)
    mask[0, 20:60, 30:70] = 255
    assert len(packed.pack(mask)) < 200


def test_a_metric_of_rows_measures_once_and_totals_any_rows():
    def overlap(target, answer):
        return np.array([float((target & answer).sum()), float((target | answer).sum())])

    shared = Metric(
        "overlap", overlap, True, "labels", total=lambda m: m[:, 0].sum() / m[:, 1].sum()
    )
    true = packed.column(packed.pack(np.array(row)) for row in ([True, False], [True, True]))
    said = packed.column(packed.pack(np.array(row)) for row in ([True, True], [False, True]))
    measures = shared.measured(true, said)
    np.testing.assert_array_equal(measures, [[1, 2], [1, 2]])
    assert shared(true, measures) == pytest.approx(0.5)
    assert shared(true[:1], measures[:1]) == pytest.approx(0.5)
    assert mean_of_rows(np.array([[1.0], [np.nan], [0.0]])) == 0.5


def test_measures_of_no_fixed_size_are_objects():
    def boxes(target, answer):
        return {"count": len(answer)}

    metric = Metric("boxes", boxes, True, "values", total=lambda m: sum(row["count"] for row in m))
    said = packed.column(packed.pack(np.zeros((n, 4))) for n in (0, 3))
    measures = metric.measured(said, said)
    assert measures.dtype == object
    assert metric(said, measures) == 3.0
    assert metrics.score_or_nan(metric, said[1:], measures[1:]) == 3.0


@pytest.mark.parametrize("count", [100, 354, 531, 3000])
def test_a_share_has_equal_rows_as_often_as_others_and_that_of_a_part_is_within_it(count):
    empty = packed.pack(np.zeros((16, 16), np.uint8))
    others = np.random.default_rng(count).integers(0, 255, (count, 16), np.uint8)
    rows = packed.column(empty if n % 10 < 7 else packed.pack(others[n]) for n in range(count))
    chosen = packed.share_of(rows, 150)
    assert 80 <= len(chosen) <= 260
    assert 0.55 < np.mean(rows[chosen] == empty) < 0.85
    part = rows[: 2 * count // 3]
    digests = {row for row in rows[chosen] if row != empty}
    of_part = {row for row in part[packed.share_of(part, 150)] if row != empty}
    assert of_part >= digests & set(part) or of_part <= digests
