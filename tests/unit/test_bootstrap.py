"""Bootstrap: coverage, blocks, pairing, undefined scores, and a bounded cost."""

import numpy as np
import pytest

from podium import bootstrap
from podium.bootstrap import Bootstrap
from podium.metrics import Metric, score_or_nan


def _mean(target, prediction):
    return float(np.mean(prediction))


MEAN = Metric("mean", _mean, True, "values")


def test_resamples_are_the_same_every_time_and_differ_by_seed():
    one = [rows.tolist() for rows in Bootstrap(np.arange(20), 5, seed=3).resamples()]
    again = [rows.tolist() for rows in Bootstrap(np.arange(20), 5, seed=3).resamples()]
    other = [rows.tolist() for rows in Bootstrap(np.arange(20), 5, seed=4).resamples()]
    assert one == again != other


def test_blocks_come_whole():
    blocks = np.array([0, 1, 0, 2, 1, 0])
    members = {0: {0, 2, 5}, 1: {1, 4}, 2: {3}}
    for rows in Bootstrap(blocks, 50).resamples():
        counts = np.bincount(rows, minlength=6)
        for rows_of_block in members.values():
            assert len({counts[row] for row in rows_of_block}) == 1


def test_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        values = rng.normal(0, 1, 60)
        sampler = Bootstrap(np.arange(60), 200, 0.9)
        samples = sampler.scores(MEAN, values, values)
        low, high = sampler.interval(values.mean(), samples)
        hits += low <= 0 <= high
    assert 0.83 <= hits / 200 <= 0.96


def test_blocks_widen_the_interval_as_they_should():
    """Twenty rows copied ten times are twenty pieces of evidence, not two hundred."""
    values = np.repeat(np.random.default_rng(0).normal(0, 1, 20), 10)
    by_row = Bootstrap(np.arange(200), 1000)
    by_block = Bootstrap(np.repeat(np.arange(20), 10), 1000)
    narrow = by_row.standard_error(by_row.scores(MEAN, values, values))
    wide = by_block.standard_error(by_block.scores(MEAN, values, values))
    assert wide / narrow == pytest.approx(np.sqrt(10), rel=0.15)
    assert wide == pytest.approx(values.std() / np.sqrt(20), rel=0.1)


def test_fewer_rows_drawn_give_the_same_width(monkeypatch):
    values = np.random.default_rng(0).normal(5, 1, 4000)
    whole = Bootstrap(np.arange(4000), 400)
    expected = whole.interval(values.mean(), whole.scores(MEAN, values, values))
    monkeypatch.setattr(bootstrap, "MOST_BLOCKS", 500)
    fewer = Bootstrap(np.arange(4000), 400)
    assert len(next(fewer.resamples())) == 500
    samples = fewer.scores(MEAN, values, values)
    assert np.allclose(fewer.interval(values.mean(), samples), expected, atol=0.01)
    assert fewer.standard_error(samples) == pytest.approx(1 / np.sqrt(4000), rel=0.15)


def test_undefined_scores_are_nan_not_errors():
    def only_with_both(target, prediction):
        if len(np.unique(target)) < 2:
            raise ValueError("one class")
        return 1.0

    metric = Metric("only_with_both", only_with_both, True, "ranks")
    assert np.isnan(score_or_nan(metric, np.zeros(3), np.zeros(3)))
    sampler = Bootstrap(np.arange(3), 100)
    samples = sampler.scores(metric, np.zeros(3), np.zeros(3))
    assert np.isnan(sampler.interval(1.0, samples)).all()
    target = np.array([0] * 10 + [1] * 10)
    sampler = Bootstrap(np.arange(20), 100)
    assert sampler.interval(1.0, sampler.scores(metric, target, target)) == (1.0, 1.0)
