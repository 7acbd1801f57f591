"""How pictures look: sizes, modes, brightness, channels; whether train and test look alike."""

from pathlib import Path

import numpy as np
import pandas as pd

from podium.drawing import figures
from podium.errors import count, some_of
from podium.explore.findings import Finding, number, share
from podium.explore.samples import Looks
from podium.explore.targets import describe_values

#: Pictures that the channels' mean and deviation are taken from.
MOST_FOR_CHANNELS = 300
#: Rows below which train and test are not compared.
LEAST_ROWS = 30
#: How many pictures of the commonest kind there are for each of one that is called rare.
RARE = 5


def explore_appearance(
    train: pd.DataFrame, test: pd.DataFrame, looks: dict[str, Looks], folder
) -> tuple[dict, list[Finding]]:
    """Summary by part and findings; draws `sizes.png` and `brightness.png`.

    Args:
        train, test: readable rows of the manifests.
        looks: `train` and `test`, what was seen of a sample of them.
    """
    parts = {name: table for name, table in (("train", train), ("test", test)) if len(table)}
    summary = {name: describe_part(table, looks[name]) for name, table in parts.items()}
    found = [*_size_findings(train), *_blank_findings(parts, looks), *_depth_findings(train, looks)]
    found.append(_channel_finding(summary["train"]))
    found += _kind_findings(parts)
    if "test" in parts:
        found += _novelties(train, test)
        found += _shift_findings(measures(train, looks["train"]), measures(test, looks["test"]))
    _draw_sizes(parts, folder)
    _draw_brightness({name: looks[name] for name in parts}, folder)
    return summary, found


def describe_part(table: pd.DataFrame, looks: Looks) -> dict:
    """Sizes of all rows, and the looks of the sample."""
    few = slice(0, MOST_FOR_CHANNELS)
    step = max(1, len(looks.rows) // MOST_FOR_CHANNELS)
    mean, std = looks.mean[::step][few], looks.std[::step][few]
    # Deviation of all pixels together: within the pictures and between them.
    overall = np.sqrt((std**2).mean(axis=0) + mean.var(axis=0))
    return {
        "rows": len(table),
        "pictures_per_row": sorted({len(paths) for paths in table["pictures"]}),
        "width": describe_values(table["width"].to_numpy(float)),
        "height": describe_values(table["height"].to_numpy(float)),
        "aspect": describe_values(_aspect(table)),
        "bytes": describe_values(table["bytes"].to_numpy(float)),
        "modes": {mode: int(n) for mode, n in table["mode"].value_counts().items()},
        "formats": _formats(table),
        "sizes": len(table[["width", "height"]].drop_duplicates()),
        "brightness": describe_values(looks.brightness),
        "contrast": describe_values(looks.std.mean(axis=1)),
        "grey_share": float(looks.grey.mean()) if len(looks.grey) else 0.0,
        "channels": {
            "pictures": len(mean),
            "mean": [round(float(v) / 255, 4) for v in mean.mean(axis=0)],
            "std": [round(float(v) / 255, 4) for v in overall],
        },
    }


def _aspect(table: pd.DataFrame) -> np.ndarray:
    return (table["width"] / table["height"].clip(lower=1)).to_numpy(float)


def _formats(table: pd.DataFrame) -> dict[str, int]:
    endings = pd.Series([Path(paths[0]).suffix.lower().lstrip(".") for paths in table["pictures"]])
    return {ending or "none": int(n) for ending, n in endings.value_counts().items()}


# --------------------------------------------------------------------------------- findings


def _size_findings(train: pd.DataFrame) -> list[Finding]:
    width, height = train["width"].to_numpy(float), train["height"].to_numpy(float)
    sizes = len(train[["width", "height"]].drop_duplicates())
    middle = f"{np.median(width):.0f} x {np.median(height):.0f}"
    if sizes == 1:
        text = "A model's `image_size` above that only enlarges; well below it loses detail."
        return [Finding(1, f"All training pictures are {middle} pixels", text)]
    aspect = _aspect(train)
    low, high = np.percentile(aspect, [2.5, 97.5])
    text = (
        f"{sizes:,} sizes, from {width.min():.0f} x {height[width.argmin()]:.0f} to "
        f"{width.max():.0f} x {height[width.argmax()]:.0f} pixels, {middle} in the middle; width "
        f"over height from {low:.2f} to {high:.2f} for nearly all. "
    )
    if high / low < 1.25:
        text += "The shapes are alike: `resize: stretch`, the default, is fine."
        return [Finding(1, "Pictures differ in size, hardly in shape", text)]
    text += (
        "`resize: stretch` squeezes them into one shape; where shape tells something, set "
        "`resize: pad` in the models, or `crop` where the subject is in the middle."
    )
    return [Finding(2 if high / low > 2 else 1, "Pictures differ in shape", text)]


def _blank_findings(parts: dict[str, pd.DataFrame], looks: dict[str, Looks]) -> list[Finding]:
    rows = [
        {"part": name, "id": table.index[row], "mean value": round(float(mean), 1)}
        for name, table in parts.items()
        for row, mean, std in zip(
            looks[name].rows, looks[name].brightness, looks[name].std.max(axis=1), strict=True
        )
        if std < 2
    ]
    if not rows:
        return []
    seen = sum(len(looks[name].rows) for name in parts)
    text = (
        f"Of {count(seen, 'picture')} looked at, {share(len(rows), seen)} show one flat colour. "
        "They teach nothing; leave out such training rows unless being blank means something."
    )
    return [Finding(2, count(len(rows), "blank picture"), text, rows)]


def _depth_findings(train: pd.DataFrame, looks: dict[str, Looks]) -> list[Finding]:
    deep = train["mode"].str.startswith(("I", "F")).to_numpy()
    if not deep.any():
        return []
    seen = looks["train"].of(np.flatnonzero(deep))
    title = f"{count(int(deep.sum()), 'training picture')} with more than 8 bits"
    if len(seen.rows) and seen.span[:, 1].max() < 128:
        top = int(seen.span[:, 1].max())
        white = round(top / 255 * (train["white"].max() or 65_535))
        text = (
            f"They use only the lower part of their range: the brightest comes out as {top} of "
            "255, so detail is lost and the models see the dark. Set "
            f"`competition.pictures.white: {white}`, or somewhat more."
        )
        return [Finding(3, title + " are nearly black", text)]
    white = train["white"].max() or 65_535
    text = f"They are read as 8 bits: {white:,.15g} becomes 255. Detail finer than that is lost."
    return [Finding(1, title, text)]


def _channel_finding(part: dict) -> Finding:
    channels = part["channels"]
    numbers = (
        f"mean {', '.join(f'{v:.3f}' for v in channels['mean'])} and deviation "
        f"{', '.join(f'{v:.3f}' for v in channels['std'])} of 1, over {channels['pictures']} "
        "pictures. Pretrained models keep the normalisation that they were trained with."
    )
    if part["grey_share"] == 1:
        text = f"Three equal channels: {numbers} Colour augmentation does nothing here."
        return Finding(1, "All pictures are grey", text)
    if part["grey_share"] > 0.02:
        text = f"{share(part['grey_share'], 1)} of the pictures are grey, the others in colour: "
        text += f"{numbers} If that goes with the target, models will use it."
        return Finding(1, "Grey and coloured pictures are mixed", text)
    return Finding(1, "Pictures are in colour", f"Channels: {numbers}")


def _kind_findings(parts: dict[str, pd.DataFrame]) -> list[Finding]:
    """How many pictures are dark or bright, grey or in colour, where one kind is rare."""
    counts = {name: table["look"].value_counts() for name, table in parts.items()}
    train = counts["train"]
    if len(train) < 2 or train.iloc[0] < RARE * train.iloc[-1]:
        return []
    kinds = dict.fromkeys(kind for each in counts.values() for kind in each.index)
    rows = [{"kind": kind, **{n: int(c.get(kind, 0)) for n, c in counts.items()}} for kind in kinds]
    text = (
        f"{share(int(train.iloc[0]), int(train.sum()))} of the training pictures are "
        f"{train.index[0]}, and few are of other kinds. The report has the score of each kind. "
        "Where the rare ones do worse, show them more often: `sampling: sqrt` with "
        "`sampling_by: looks` in the models."
    )
    return [Finding(1, "Some kinds of pictures are rare", text, rows)]


def _novelties(train: pd.DataFrame, test: pd.DataFrame) -> list[Finding]:
    """Modes, formats and sizes that only the test pictures have."""
    found = []
    for name, read in {"mode": lambda t: t["mode"], "format": _endings}.items():
        known, values = set(read(train)), read(test)
        strange = values[~values.isin(known)]
        if len(strange):
            kinds = sorted(set(strange))
            text = (
                f"{some_of(kinds)}: {share(len(strange), len(test))} of the test rows, no training "
                "row. They are decoded like the others, but may come from another source."
            )
            rows = [{"id": id_, name: value} for id_, value in strange.items()]
            title = f"A {name} that only test pictures have"
            found.append(Finding(2, title, text, rows))
    sizes = pd.MultiIndex.from_frame(train[["width", "height"]].drop_duplicates())
    if len(sizes) <= 20:
        strange = ~pd.MultiIndex.from_frame(test[["width", "height"]]).isin(sizes)
        if strange.any():
            text = (
                f"Training pictures have {count(len(sizes), 'size')} only; "
                f"{share(strange.sum(), len(test))} of the test pictures have others."
            )
            rows = [
                {"id": id_, "width": int(row["width"]), "height": int(row["height"])}
                for id_, row in test[strange].head(20).iterrows()
            ]
            severity = 2 if strange.mean() > 0.02 else 1
            found.append(Finding(severity, "Sizes that only test pictures have", text, rows))
    return found


def _endings(table: pd.DataFrame) -> pd.Series:
    endings = [Path(paths[0]).suffix.lower() for paths in table["pictures"]]
    return pd.Series(endings, index=table.index)


def measures(table: pd.DataFrame, looks: Looks) -> dict[str, np.ndarray]:
    """What train and test are compared by: name to a value per row or per picture seen."""
    saturation = looks.mean.max(axis=1) - looks.mean.min(axis=1)
    return {
        "width": table["width"].to_numpy(float),
        "height": table["height"].to_numpy(float),
        "width over height": _aspect(table),
        "file size": table["bytes"].to_numpy(float),
        "brightness": looks.brightness,
        "contrast": looks.std.mean(axis=1),
        "colour cast": saturation,
    }


def _shift_findings(train: dict, test: dict) -> list[Finding]:
    shifts = {}
    for name, values in train.items():
        distance, chance = difference(values, test[name])
        if distance > 0.1 and chance < 1e-3 / len(train):
            shifts[name] = distance
    if not shifts:
        if len(test["brightness"]) < LEAST_ROWS:
            return []
        text = (
            f"Compared by {', '.join(train)}: no difference beyond chance "
            "(Kolmogorov-Smirnov test)."
        )
        return [Finding(1, "Train and test pictures look alike", text)]
    worst = max(shifts.values())
    rows = [
        {
            "measure": name,
            "largest gap of the distributions": round(distance, 3),
            "train median": number(float(np.median(train[name]))),
            "test median": number(float(np.median(test[name]))),
        }
        for name, distance in sorted(shifts.items(), key=lambda item: -item[1])
    ]
    text = (
        f"They differ in {', '.join(row['measure'] for row in rows)} (Kolmogorov-Smirnov test). "
        "Cross-validation knows only the training pictures: expect the leaderboard to differ from "
        "it. Stronger augmentation of what differs helps (`augment: medium` varies light and "
        "scale); so does a `competition.group` that separates the sources."
    )
    title = "Test pictures differ from training pictures"
    return [Finding(3 if worst > 0.5 else 2, title, text, rows)]


def difference(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Two-sample Kolmogorov-Smirnov: largest gap of the distributions, and its p-value.

    (0, 1) where one of the samples has too few values to tell.
    """
    a, b = a[np.isfinite(a)], b[np.isfinite(b)]
    if min(len(a), len(b)) < LEAST_ROWS:
        return 0.0, 1.0
    # `scipy.stats.ks_2samp(method="asymp")` is this, and takes two seconds to import.
    from scipy.special import kolmogorov

    a, b = np.sort(a), np.sort(b)
    steps = np.concatenate([a, b])
    below_a, below_b = (np.searchsorted(part, steps, side="right") / len(part) for part in (a, b))
    distance = float(np.abs(below_a - below_b).max())
    rows = len(a) * len(b) / (len(a) + len(b))
    return distance, float(kolmogorov(np.sqrt(rows) * distance))


# ---------------------------------------------------------------------------------- figures


def _draw_sizes(parts: dict[str, pd.DataFrame], folder) -> None:
    everything = pd.concat(list(parts.values()))
    sizes = everything[["width", "height"]].drop_duplicates()
    if len(sizes) == 1:
        figure, files = figures.new(1, 1, (figures.WIDTH, 2.9))
        width, height = sizes.iloc[0]
        files.set_title(f"File sizes; every picture is {width} x {height} pixels")
    else:
        figure, (shapes, files) = figures.new(1, 2, (figures.WIDTH, 3.3), width_ratios=[1.1, 1])
        files.set_title("File sizes")
        _draw_shapes(shapes, parts)
    kilobytes = {name: table["bytes"].to_numpy(float) / 1000 for name, table in parts.items()}
    together = np.concatenate(list(kilobytes.values()))
    wide = together.min() > 0 and together.max() / together.min() > 20
    figures.histogram(files, kilobytes, log=wide)
    files.set_xlabel("kilobytes")
    figures.save(figure, folder / "sizes.png")


def _draw_shapes(axes, parts: dict[str, pd.DataFrame]) -> None:
    for name, table in parts.items():
        sizes = table.groupby(["width", "height"]).size().reset_index(name="rows")
        area = 8 + 160 * sizes["rows"] / len(table)
        axes.scatter(
            sizes["width"], sizes["height"], s=area, color=figures.COLOURS[name], alpha=0.45,
            linewidths=0, label=f"{name} ({len(table):,})",
        )  # fmt: skip
    axes.set_title("Picture sizes")
    axes.set_xlabel("width in pixels")
    axes.set_ylabel("height in pixels")
    for handle in axes.legend(loc="best").legend_handles:
        handle.set_sizes([40])


def _draw_brightness(looks: dict[str, Looks], folder) -> None:
    figure, axes = figures.new(1, 2, (figures.WIDTH, 3.1))
    figures.histogram(axes[0], {name: seen.brightness for name, seen in looks.items()})
    axes[0].set_title("Brightness")
    axes[0].set_xlabel("mean value of a picture, 0 to 255")
    axes[0].set_ylabel("share of pictures")
    figures.histogram(axes[1], {name: seen.std.mean(axis=1) for name, seen in looks.items()})
    axes[1].set_title("Contrast")
    axes[1].set_xlabel("standard deviation within a picture")
    axes[1].set_ylabel("")
    figures.save(figure, folder / "brightness.png")
