"""The demo competition: is a solar cell defective?

2,624 electroluminescence photographs of solar cells, 300 x 300 pixels, grey, from the package
`elpv-dataset` (CC BY-NC-SA 4.0), laid out the way Kaggle would. Buerhop-Lutz et al., "A Benchmark
for Visual Identification of Defective Solar Cells in Electroluminescence Imagery", EU PVSEC 2018;
Deitsch et al., "Automatic classification of defective photovoltaic module cells in
electroluminescence images", Solar Energy 185 (2019).
"""

import csv
import hashlib
import importlib.util
import shutil
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from podium.errors import DataError, PodiumError

PACKAGE = "elpv_dataset"
TEST_SHARE = 0.2
SEED = "podium solar cells"

README = """\
Solar cells
===========

2,624 electroluminescence photographs of solar cells, split into train (80 %) and test (20 %) by
podium. Laid out from the ELPV dataset, https://github.com/zae-bayern/elpv-dataset

train.csv              id, module_type, degree, defective
test.csv               id, module_type
sample_submission.csv  id, defective
solution.csv           id, defective: the truth of the test rows; only the grading reads it

module_type  mono (monocrystalline) or poly (polycrystalline)
degree       how sure the expert was that the cell is defective: 0, 0.3333, 0.6667 or 1
defective    1 where the degree is 0.5 or more: the target

Licence: Creative Commons Attribution-NonCommercial-ShareAlike 4.0 International (CC BY-NC-SA 4.0),
https://creativecommons.org/licenses/by-nc-sa/4.0/ - pictures and labels, split or not. For
commercial use ask the dataset's authors.

Please cite:

Buerhop-Lutz, C.; Deitsch, S.; Maier, A.; Gallwitz, F.; Berger, S.; Doll, B.; Hauch, J.; Camus, C.;
Brabec, C. J.: A Benchmark for Visual Identification of Defective Solar Cells in
Electroluminescence Imagery. European PV Solar Energy Conference and Exhibition (EU PVSEC), 2018.

Deitsch, S.; Christlein, V.; Berger, S.; Buerhop-Lutz, C.; Maier, A.; Gallwitz, F.; Riess, C.:
Automatic classification of defective photovoltaic module cells in electroluminescence images.
Solar Energy 185 (2019), 455-468.
"""


@dataclass(frozen=True)
class Cell:
    """A photograph, its degree of defect (0, 1/3, 2/3 or 1, as text) and its kind of module."""

    picture: Path
    degree: str
    module_type: str
    digest: str

    @property
    def defective(self) -> int:
        """The target."""
        return int(float(self.degree) >= 0.5)


def write_competition(folder: Path) -> None:
    """Lay the competition out in a folder; the tables are written last, each of them whole.

    Raises:
        PodiumError: the package with the pictures is not installed.
    """
    cells = read_cells(_data_folder())
    ids, is_test = split(cells)
    for part in ("train", "test"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    rows = sorted(zip(ids, cells, is_test, strict=True), key=lambda row: row[0])
    for id_, cell, in_test in rows:
        # Copied, not linked: whoever edits the competition must not edit the installed package.
        shutil.copyfile(cell.picture, folder / ("test" if in_test else "train") / f"{id_}.png")
    train = [(id_, cell) for id_, cell, in_test in rows if not in_test]
    test = [(id_, cell) for id_, cell, in_test in rows if in_test]
    (folder / "README.txt").write_text(README, "utf-8")
    _write(
        folder / "train.csv",
        ("id", "module_type", "degree", "defective"),
        ((id_, cell.module_type, cell.degree, cell.defective) for id_, cell in train),
    )
    _write(
        folder / "test.csv", ("id", "module_type"), ((id_, cell.module_type) for id_, cell in test)
    )
    _write(folder / "sample_submission.csv", ("id", "defective"), ((id_, 0.5) for id_, _ in test))
    _write(
        folder / "solution.csv",
        ("id", "defective"),
        ((id_, cell.defective) for id_, cell in test),
    )


def _data_folder() -> Path:
    # Found, not imported: the package's own module imports more than the path needs.
    found = importlib.util.find_spec(PACKAGE)
    places = list(found.submodule_search_locations or []) if found else []
    for place in places:
        if (Path(place) / "data" / "labels.csv").is_file():
            return Path(place) / "data"
    raise PodiumError(
        "The demo competition's pictures are in the package elpv-dataset, which is not installed: "
        "pip install elpv-dataset"
    )


def read_cells(folder: Path) -> list[Cell]:
    """The dataset's photographs, in the order of its `labels.csv` (columns apart by blanks)."""
    cells = []
    for number, line in enumerate((folder / "labels.csv").read_text("utf-8").splitlines(), 1):
        try:
            name, probability, module_type = line.split()
        except ValueError:
            raise DataError(f"{folder}/labels.csv, line {number}: found {line!r}") from None
        picture = folder / name
        digest = hashlib.sha256(picture.read_bytes()).hexdigest()
        cells.append(Cell(picture, f"{float(probability):.4g}", module_type, digest))
    return cells


def split(cells: Sequence[Cell]) -> tuple[list[str], list[bool]]:
    """An id per cell and whether it is a test row, the same on every machine for ever.

    Stratified by degree and module type. Equal files stay together. The order of everything is
    that of seeded hashes, so neither the ids nor their order say anything of the label.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for place, cell in enumerate(cells):
        groups[cell.digest].append(place)
    strata: dict[tuple[str, str], list[list[int]]] = defaultdict(list)
    for members in groups.values():
        first = cells[members[0]]
        strata[first.degree, first.module_type].append(members)
    is_test = [False] * len(cells)
    wanted = _quotas({key: sum(map(len, members)) for key, members in strata.items()})
    for key, stratum in sorted(strata.items()):
        taken = 0
        for members in sorted(stratum, key=lambda m: _shuffled("split", cells[m[0]])):
            if taken + len(members) <= wanted[key]:
                taken += len(members)
                for place in members:
                    is_test[place] = True
    order = sorted(range(len(cells)), key=lambda place: _shuffled("id", cells[place]))
    ids = [""] * len(cells)
    for number, place in enumerate(order, 1):
        ids[place] = f"cell{number:04d}"
    return ids, is_test


def _quotas(counts: dict[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    """Test rows per stratum: the share of each, the total as near as can be (largest remainder)."""
    exact = {key: count * TEST_SHARE for key, count in counts.items()}
    quotas = {key: int(share) for key, share in exact.items()}
    missing = round(sum(exact.values())) - sum(quotas.values())
    for key in sorted(exact, key=lambda key: (quotas[key] - exact[key], key))[:missing]:
        quotas[key] += 1
    return quotas


def _shuffled(what: str, cell: Cell) -> str:
    return hashlib.sha256(f"{SEED}/{what}/{cell.picture.name}".encode()).hexdigest()


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence]) -> None:
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    partial.replace(path)
