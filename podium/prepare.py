"""From the competition's files to the manifest; what can be wrong with them is said here.

Nothing after this reads the competition's tables or looks for a picture (see `podium.manifest`).
"""

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from podium import manifest, tasks
from podium.errors import DataError, count, numbered, some_of
from podium.files import coco, patterns, pictures, tables
from podium.imaging import alike
from podium.jobs import Job

#: What the manifest says of a picture.
MANIFEST = ("width", "height", "mode", "bytes", "digest", "problem", "turned", "look", "white")
#: Pictures that a thread takes at once.
PIECE = 16


@dataclass(frozen=True)
class Problem:
    """A line of problems.csv: which file, which row (its id), what is wrong, what was done."""

    file: str
    row: str
    problem: str
    action: str


@dataclass(frozen=True)
class Tables:
    """The competition's tables, indexed by id; the paths are for messages.

    Attributes:
        rows: the training table with all rows of an id, where it may have several; `train` has
            the first of them, without the targets.
        asked: the sample submission with all its rows; `sample` has the first of each id.
    """

    rows: pd.DataFrame
    train: pd.DataFrame
    test: pd.DataFrame
    sample: pd.DataFrame
    asked: pd.DataFrame
    train_path: str
    test_path: str


def prepare(
    competition: dict,
    task: dict,
    train: Path | str,
    test: Path | str,
    targets: Path | str,
    target: Path | str,
    problems: Path | str,
    job: Job,
) -> None:
    """Check the competition's files and write the manifest.

    Args:
        competition: the config's section, as plain values.
        task: the config's section, as plain values.
        train: manifest of the training rows to write (Parquet).
        test: manifest of the test rows to write (Parquet).
        targets: the task's table of targets to write (Parquet).
        target: the task's `info` to write (JSON).
        problems: list of what was wrong and what became of it to write (CSV).

    Raises:
        DataError: naming file, row and value; as much at once as can be known at once.
    """
    # A list of an earlier run that stopped must not be taken for this one's.
    stopped = Path(problems).with_name("unreadable.csv")
    stopped.unlink(missing_ok=True)

    task_class, traits = tasks.task_class(task["name"]), tasks.traits(task["name"])
    options = tasks.options_module(task["name"]).Options.model_validate(task["options"])
    indexed = (task_class.index_sample, task_class.index_train)
    found = read_tables(
        competition, traits.several_rows, *(partial(index, options=options) for index in indexed)
    )
    job.say(f"{len(found.train):,} training rows, {len(found.test):,} test rows")
    columns = tables.expanded(competition["target"], list(found.rows.columns))
    read = partial(task_class.read_targets, found.rows, columns, options, found.sample)
    reads_pictures = task_class.reads_pictures(options)
    if not reads_pictures:  # what is wrong with them is said before pictures are read
        with _told_of(found.train_path):
            target_table, info = read()

    if competition["pictures"]["unlisted"] == "empty":
        bare = found.train.drop(columns=_parts_of_ids(competition))
        whole = with_unlisted(competition, bare, found.train_path, found.test.index)
        source = f"{found.train_path}, with the pictures that it does not list"
        found = replace(found, train=_with_parts(competition, whole, source))
        job.say(f"{len(found.train):,} training pictures")
    parts = find_pictures(competition, found)
    inspect_pictures(parts, competition["pictures"], job)
    listed = check_pictures(parts, competition, stopped, options.id_advice)
    listed += ids_in_both(found)
    if traits.several_rows and not traits.makes_pictures and not options.targets_are_paths:
        listed += unlisted_pictures(competition, found)
    if traits.is_spatial:
        listed += turned_pictures(parts, competition["root"])
    places = found_in(parts["train"], competition, found.train_path, found.test_path)
    if reads_pictures:
        target_table, info = read(places)
    else:
        target_table = task_class.check_targets(target_table, options, places)
    listed += [Problem(*each) for each in places.problems]
    sample = Path(competition["root"], competition["sample_submission"])
    asked = found_in(parts["test"], competition, str(sample))
    task_class.check_sample(found.asked, options, asked, info)
    listed += [Problem(*each) for each in asked.problems]

    for path, part in ((train, parts["train"]), (test, parts["test"])):
        manifest.write(path, part)
    manifest.write(targets, target_table)
    manifest.write_json(target, info)
    write_problems(problems, listed)
    for name, part in parts.items():
        job.spool.metric(f"{name}_rows", len(part))
        job.spool.metric(f"{name}_unreadable", int((part["problem"] != "").sum()))
    job.spool.artifact(problems)
    if listed:
        job.say(f"{count(len(listed), 'problem')}, listed in {problems}")


@contextmanager
def _told_of(path: Path | str) -> Iterator[None]:
    """Names the training table in errors that name no table, not even the sample submission."""
    try:
        yield
    except DataError as error:
        if any(name in str(error) for name in (str(path), "sample submission")):
            raise
        raise DataError(f"{path}: {error}") from None


# ------------------------------------------------------------------------------------- tables


def found_in(part: pd.DataFrame, competition: dict, table: str, test: str = ""):
    """What a task that packs its targets is told of a manifest's pictures."""
    from podium.tasks.packed import Found

    places = part[["width", "height", "white"]].copy()
    places["path"] = [paths[0] if len(paths) else "" for paths in part["pictures"]]
    places.loc[part["problem"] != "", ["width", "height"]] = 0
    root = Path(competition["root"])
    most = competition["pictures"]["max_pixels"]
    id_column = competition["id"]
    return Found(places, root, str(table), id_column=id_column, test=test, max_pixels=most)


def read_tables(
    competition: dict,
    several_rows: bool = False,
    index_sample: Callable = tables.index_by_id,
    index_train: Callable = tables.index_by_id,
) -> Tables:
    """The competition's tables, checked by themselves and against each other.

    Args:
        several_rows: whether an id may have several rows in the training table.
        index_sample: (sample submission, its path, id column) to the sample by picture.
        index_train: the same for the training table.

    Raises:
        DataError: what is wrong with any of the tables, all of it at once.
    """
    root = Path(competition["root"])
    _check_root(root)
    sample_path = root / competition["sample_submission"]
    train_path = root / competition["train"] if competition["train"] else None
    test_path = root / competition["test"] if competition["test"] else None

    faults: list[str] = []
    by_class = competition["pictures"]["folder_per_class"]
    if by_class and train_path:
        faults.append(
            "competition.train: the table is made from the folders "
            "(`pictures.folder_per_class: true`), so set it to null"
        )
    rows = None
    if train_path or by_class:
        rows = _collect(
            faults,
            lambda: _train_of(competition, None if by_class else train_path, index_train),
        )
    sample = _collect(faults, lambda: _sample_of(competition, sample_path, index_sample))
    test = None
    if test_path:
        needed = _needed_of(competition, "test")
        test = _collect(
            faults,
            lambda: _indexed(
                competition, test_path, needed, "competition.test", tables.index_by_id
            ),
        )
    elif sample is not None:
        test = _collect(faults, lambda: _test_from_sample(competition, sample, sample_path))
    if test is not None and sample is not None:
        _collect(faults, lambda: _check_same_ids(test, sample, test_path, sample_path))
    if not (train_path or by_class) and test is not None:
        rows = _collect(faults, lambda: table_of_pictures(competition, test.index))
    if rows is not None:
        rows = _collect(faults, lambda: _with_parts(competition, rows, train_path or root))
    # Test ids may be of another form where nothing asks for their parts.
    if test is not None and {*_needed_of(competition, "test")} & {*_parts_of_ids(competition)}:
        test = _collect(faults, lambda: _with_parts(competition, test, test_path or sample_path))
    if faults:
        raise DataError(faults[0] if len(faults) == 1 else "\n".join(faults))
    train, asked = rows, sample
    if several_rows:
        train, sample, test = (first_rows(table) for table in (rows, sample, test))
        train = train.drop(columns=tables.expanded(competition["target"], list(train.columns)))
    paths = str(train_path or root), str(test_path or sample_path)
    return Tables(rows, train, test, sample, asked, *paths)


def first_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The first row of each id, in their order."""
    return table[~table.index.duplicated()]


def _collect(faults: list[str], function: Callable):
    """What the function returns; None, and its message in `faults`, where the data is wrong."""
    try:
        return function()
    except DataError as error:
        faults.append(str(error))
        return None


def _check_root(root: Path) -> None:
    if not root.is_dir():
        raise DataError(
            f"competition.root: the folder {root} does not exist{tables.nearest_files(root)}. "
            "Unpack the competition's files there."
        )


def _train_of(competition: dict, path: Path | None, index: Callable) -> pd.DataFrame:
    if path is None:
        return table_of_folders(competition)
    group = [competition["group"]] if competition["group"] else []
    needed = [*competition["target"], *group, *_needed_of(competition, "train")]
    return _indexed(competition, path, needed, "competition.train", index)


def _indexed(
    competition: dict, path: Path, needed: Sequence[str], key: str, index: Callable
) -> pd.DataFrame:
    table = _read(competition, path, key, may_be_coco=True)
    id_column = tables.id_column_of(table, competition["id"])
    needed = tables.expanded([name for name in needed if name != "id"], list(table.columns))
    parts = _parts_of_ids(competition)
    tables.check_columns(table, path, [id_column, *(name for name in needed if name not in parts)])
    return index(table, path, id_column)


def _sample_of(competition: dict, path: Path, index_sample: Callable) -> pd.DataFrame:
    table = _read(competition, path, "competition.sample_submission")
    return index_sample(table, path, tables.id_column_of(table, competition["id"]))


def _read(competition: dict, path: Path, key: str, may_be_coco: bool = False) -> pd.DataFrame:
    try:
        if may_be_coco and coco.is_coco(path):
            table, id_column = coco.images_of(path), competition["id"]
            return table if id_column in table else table.rename(columns={"id": id_column})
        return tables.read_table(path, competition["separator"], competition["encoding"])
    except DataError as error:
        raise DataError(f"{key}: {error}") from None


def _pictures_of(competition: dict, part: str) -> dict:
    """The config's section of pictures, with the pattern of a part's own."""
    section = competition["pictures"]
    other = section["test_pattern"] if part == "test" else None
    return {**section, "pattern": other} if other else section


def _needed_of(competition: dict, part: str) -> list[str]:
    """The columns that every row of a part needs."""
    return [*competition["tabular"], *_picture_columns(competition, part)]


def _picture_columns(competition: dict, part: str) -> list[str]:
    """The columns beside the id that name pictures."""
    section = _pictures_of(competition, part)
    named = [name for each in section["pattern"] or [] for name in patterns.columns_of(each)]
    names = dict.fromkeys([*(section["columns"] or []), *named])
    return [name for name in names if name not in (competition["id"], "id")]


def _parts_of_ids(competition: dict) -> list[str]:
    return patterns.parts_of(competition["id_parts"]) if competition["id_parts"] else []


def _with_parts(competition: dict, table: pd.DataFrame, path: Path | str) -> pd.DataFrame:
    """The table and the columns that its ids are parted into."""
    pattern = competition["id_parts"]
    return patterns.with_parts(table, pattern, path) if pattern else table


def _test_from_sample(competition: dict, sample: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Test rows where there is no test table: the sample submission's ids, and what they need."""
    needed = _needed_of(competition, "test")
    parts = _parts_of_ids(competition)
    needed = [name for name in dict.fromkeys(needed) if name not in parts]
    missing = [name for name in needed if name not in sample.columns]
    if missing:
        raise DataError(
            f"competition.test: without a test table the rows of {path} are the test rows, but it "
            f"has no column {some_of(missing)}; name the test table"
        )
    return sample.loc[~sample.index.duplicated(), needed]


def _check_same_ids(
    test: pd.DataFrame, sample: pd.DataFrame, test_path: Path | None, sample_path: Path
) -> None:
    if test_path is None:
        return
    faults = []
    for here, there, rows in (
        (test_path, sample_path, test.index.difference(sample.index, sort=False)),
        (sample_path, test_path, sample.index.difference(test.index, sort=False)),
    ):
        if len(rows):
            # As Python writes them: a blank at the end is seen.
            shown = some_of([repr(id_) for id_ in rows])
            faults.append(f"{len(rows)} ids of {here} are not in {there}: {shown}")
    if faults:
        raise DataError(
            f"The test table and the sample submission must have the same ids:\n{numbered(faults)}"
            f"{_alike(test.index, sample.index)}"
        )


def _alike(ids: pd.Index, others: pd.Index) -> str:
    """A sentence where ids differ only as texts: 7, 007 and 7.0, or by blanks."""
    for reading, words in (
        (lambda texts: texts.str.strip(), "They are the same but for blanks"),
        (lambda texts: pd.to_numeric(texts, errors="coerce"), "As numbers they are the same"),
    ):
        one, other = reading(pd.Series(ids)), reading(pd.Series(others))
        if one.notna().all() and other.notna().all() and set(one) == set(other):
            return f"\n{words}; ids are compared as texts, so write them alike in all files."
    return ""


def table_of_folders(competition: dict) -> pd.DataFrame:
    """The training table of a competition with a folder per class.

    The class is the first folder of a picture's path, the id the path without its ending.
    """
    column = competition["target"][0]
    rows: dict[str, str] = {}
    faults: list[str] = []
    for name in competition["pictures"]["train"]:
        folder = pictures.Folder(f"{competition['root']}/{name}")
        for file in folder.pictures():
            label, slash, _ = file.partition("/")
            id_ = os.path.splitext(file)[0]
            if not slash:
                faults.append(f"{folder.path}/{file} is in no class's folder")
            elif id_ in rows:
                faults.append(f"{folder.path}/{file}: another picture has the id {id_!r}")
            else:
                rows[id_] = label
        if not folder.pictures():
            faults.append(f"{folder.path} holds no pictures")
    if faults:
        raise DataError(
            "competition.pictures.folder_per_class: expected a folder of pictures per class; "
            f"{len(faults)} are not so:\n{numbered(faults[:5])}"
        )
    index = pd.Index(list(rows), name="id", dtype=object)
    return pd.DataFrame({column: list(rows.values())}, index=index, dtype=object)


def table_of_pictures(competition: dict, tested: pd.Index) -> pd.DataFrame:
    """The training table of a competition without one: a row for each picture.

    Args:
        tested: see `with_unlisted`.
    """
    none = pd.DataFrame(index=pd.Index([], name="id", dtype=object))
    table = with_unlisted(competition, none, competition["root"], tested)
    if not len(table):
        folders = some_of(competition["pictures"]["train"])
        named = competition["pictures"]["pattern"]
        how = f" that are called as `pictures.pattern` says ({some_of(named)})" if named else ""
        raise DataError(
            f"competition.train: without a table the pictures are its rows, but {folders} holds no "
            f"pictures{how}"
        )
    return table


def ids_in_both(found: Tables) -> list[Problem]:
    """Ids that are in both tables: most often a wrong file, sometimes just numbering anew."""
    both = found.train.index.intersection(found.test.index, sort=False)
    if not len(both):
        return []
    return [
        Problem(
            found.test_path,
            some_of(list(both)),
            f"{len(both)} of {len(found.test)} test ids are training ids too: the right file?",
            "none",
        )
    ]


def turned_pictures(parts: dict[str, pd.DataFrame], root: str) -> list[Problem]:
    """Pictures that are stored another way up, where targets are places in them."""
    turned = [id_ for part in parts.values() for id_ in part.index[part["turned"].to_numpy(bool)]]
    if not turned:
        return []
    pictures = count(len(turned), "picture")
    problem = f"{pictures} stored turned or mirrored (EXIF orientation)"
    action = "seen upright, and boxes, masks and points taken to be of the upright picture"
    return [Problem(root, some_of(turned), problem, action)]


def with_unlisted(
    competition: dict,
    train: pd.DataFrame,
    path: str,
    tested: pd.Index,
    only_beside: bool = False,
) -> pd.DataFrame:
    """The training rows, and one for each picture of the training folders that has none.

    Args:
        path: of the training table, for messages.
        tested: ids of the test rows, whose pictures may be in a training folder too.
        only_beside: only pictures in a folder that has one with a row: others may be masks, say.
    """
    section = competition["pictures"]
    read = pictures.id_reader(section, competition["id"], train.index)
    folders = [pictures.Folder(f"{competition['root']}/{name}") for name in section["train"]]
    names = pictures.names_in(train, path, section, competition["id"])
    listed = {place for places in pictures.locate(names, folders)[0] for place in places}
    around = {os.path.dirname(place) for place in listed}
    ids: dict[str | None, None] = {}
    for name, folder in zip(section["train"], folders, strict=True):
        within = [os.path.relpath(other, name) for other in section["test"] if other != name]
        of_test = tuple(f"{other}/" for other in within if not other.startswith(".."))
        files = (
            file
            for file in folder.pictures()
            if not file.startswith(of_test) and f"{folder.path}/{file}" not in listed
        )
        if only_beside:
            files = (f for f in files if os.path.dirname(f"{folder.path}/{f}") in around)
        others = tested if name in section["test"] else ()
        ids |= dict.fromkeys(id_ for id_ in map(read, files) if id_ not in others)
    new = [id_ for id_ in ids if id_ is not None and id_ not in train.index]
    return train.reindex(train.index.append(pd.Index(new, dtype=object)).rename("id"))


def unlisted_pictures(competition: dict, found: Tables) -> list[Problem]:
    """What becomes of pictures of the training folders that no row names, of which often nothing
    is said because there is nothing in them; none where their names do not tell their ids.
    """
    if competition["pictures"]["unlisted"] != "leave_out":
        return []
    bare = found.train.drop(columns=_parts_of_ids(competition))
    try:
        whole = with_unlisted(
            competition, bare, found.train_path, found.test.index, only_beside=True
        )
    except DataError:
        return []
    new = list(whole.index[len(bare) :])
    if not new:
        return []
    problem = f"{count(len(new), 'picture')} of the training folders without a row"
    action = (
        "left out; `competition.pictures.unlisted: empty` trains on them as pictures in which "
        "there is nothing"
    )
    return [Problem(found.train_path, some_of(new), problem, action)]


# ----------------------------------------------------------------------------------- pictures


def find_pictures(competition: dict, found: Tables) -> dict[str, pd.DataFrame]:
    """The manifests with the pictures' paths, not yet looked at (`podium.manifest`)."""
    section = competition["pictures"]
    folders: dict[str, pictures.Folder] = {}
    faults: list[str] = []
    for name in dict.fromkeys([*section["train"], *section["test"]]):
        folder = _collect(faults, lambda: pictures.Folder(f"{competition['root']}/{name}"))  # noqa: B023
        if folder is not None:
            folders[name] = folder
    if faults:
        raise DataError("\n".join(faults))
    parts = {}
    for part, table, path in (
        ("train", found.train, found.train_path),
        ("test", found.test, found.test_path),
    ):
        searched, called = [folders[n] for n in section[part]], _pictures_of(competition, part)

        def located(table=table, path=path, searched=searched, called=called):
            names = pictures.names_in(table, path, called, competition["id"])
            return pictures.locate(names, searched)

        places = _collect(faults, located)
        if places is not None:
            parts[part] = _manifest_of(table, *places, competition["group"])
    if faults:
        raise DataError("\n".join(faults))
    return parts


def _manifest_of(
    table: pd.DataFrame, paths: pd.Series, problem: pd.Series, group: str | None
) -> pd.DataFrame:
    part = pd.DataFrame(index=table.index)
    part["pictures"] = paths
    for name in ("width", "height", "bytes"):
        part[name] = 0
    part["mode"] = ""
    part["look"] = ""
    part["digest"] = ""
    part["turned"] = False
    part["problem"] = problem
    part["group"] = groups_of(table, group)
    own = table.where(table.notna(), None).astype(object)
    return pd.concat([part, own.add_prefix(manifest.COLUMN)], axis=1)


def groups_of(table: pd.DataFrame, column: str | None) -> pd.Series:
    """The group of each row; a row without one is a group by itself."""
    if column is None or column not in table.columns:
        return pd.Series(None, index=table.index, dtype=object)
    alone = pd.Series([f"row {id_}" for id_ in table.index], index=table.index, dtype=object)
    return table[column].where(table[column].notna(), alone).astype(object)


def inspect_pictures(parts: dict[str, pd.DataFrame], section: dict, job: Job) -> None:
    """Decode every picture once and fill in what the manifests say of it.

    Pictures that several rows share, or both parts, are looked at once.

    Args:
        section: `competition.pictures`.
    """
    wanted = dict.fromkeys(
        path
        for part in parts.values()
        for paths, problem in zip(part["pictures"], part["problem"], strict=True)
        if not problem
        for path in paths
    )
    seen = dict(_inspections(list(wanted), section, job))
    for part in parts.values():
        rows = [
            _row_of([seen.get(path) for path in paths], paths, problem)
            for paths, problem in zip(part["pictures"], part["problem"], strict=True)
        ]
        for name in MANIFEST:
            part[name] = pd.Series([getattr(row, name) for row in rows], index=part.index)
        digests = [
            [] if row.problem else [seen[path].digest for path in paths]
            for row, paths in zip(rows, part["pictures"], strict=True)
        ]
        part["digests"] = pd.Series(digests, index=part.index, dtype=object)
    parts["train"]["alike"] = _sets_of_like_rows(parts["train"], seen)


def _sets_of_like_rows(part: pd.DataFrame, seen: dict[str, pictures.Inspection]) -> pd.Series:
    """A name for each set of rows with nearly equal pictures."""
    shown = [
        (row, position, np.frombuffer(seen[path].small, dtype=np.uint8))
        for row, paths in enumerate(part["pictures"].where(part["problem"] == "", None))
        for position, path in enumerate(paths or [])
    ]
    names = np.full(len(part), None, dtype=object)
    if shown:
        rows, positions, small = (np.array(each) for each in zip(*shown, strict=True))
        prints = alike.Prints(rows, positions, small.reshape(-1, alike.HEIGHT, alike.WIDTH))
        sets = alike.sets_of(prints, len(part))
        names[sets >= 0] = [f"set {number}" for number in sets[sets >= 0]]
    return pd.Series(names, index=part.index, dtype="string")


def _row_of(
    seen: list[pictures.Inspection | None], paths: list[str], problem: str
) -> pictures.Inspection:
    """What the manifest says of a row's pictures: sizes of the first, digest of all."""
    if problem:
        return pictures.Inspection(problem=problem)
    whole = [one for one in seen if one is not None]
    assert len(whole) == len(paths)
    faults = [f"{p}: {one.problem}" for p, one in zip(paths, whole, strict=True) if one.problem]
    first = asdict(whole[0])
    if faults:
        return pictures.Inspection(**{**first, "digest": "", "problem": "; ".join(faults)})
    if len(whole) > 1:
        first["digest"] = pictures.digest_of_digests([one.digest for one in whole])
    return pictures.Inspection(**first)


def _inspections(
    paths: list[str], section: dict, job: Job
) -> Iterator[tuple[str, pictures.Inspection]]:
    """Every picture with what it is, in order, with a line of progress now and then."""
    pieces = [paths[start : start + PIECE] for start in range(0, len(paths), PIECE)]

    def look(piece: list[str]) -> list[pictures.Inspection]:
        return [pictures.inspect(path, section["max_pixels"], section["white"]) for path in piece]

    progress = job.progress(len(paths), "looking at pictures")
    with ThreadPoolExecutor(job.threads) as pool:
        for piece, found in zip(pieces, pool.map(look, pieces), strict=True):
            yield from zip(piece, found, strict=True)
            progress.advance(len(piece))


def check_pictures(
    parts: dict[str, pd.DataFrame], competition: dict, stopped: Path, advice_on_ids: str = ""
) -> list[Problem]:
    """The unreadable pictures, where the config lets the run go on without them.

    Args:
        advice_on_ids: what else may be the reason; a sentence or none.

    Raises:
        DataError: the policy is `stop`, or more than half of a part cannot be read; the whole list
            is then in `stopped`, which outlives the failed job's outputs.
    """
    leave_out = competition["pictures"]["unreadable"] == "leave_out"
    actions = {
        "train": "left out of training",
        "test": "answered with the sample submission's value, if it has one",
    }
    listed: list[Problem] = []
    too_many: list[str] = []
    for name, part in parts.items():
        bad = part[part["problem"] != ""]
        action = actions[name] if leave_out else "stopped"
        listed += [
            Problem(", ".join(row.pictures), str(row.Index), row.problem, action)
            for row in bad[["pictures", "problem"]].itertuples()
        ]
        if len(bad) * 2 > len(part):
            too_many.append(f"{len(bad):,} of {len(part):,} {name} rows")
    if not listed or (leave_out and not too_many):
        return listed
    write_problems(stopped, listed)
    first = numbered([f"{p.row}: {p.problem}" for p in listed[:5]])
    rest = f"\n  ... and {len(listed) - 5:,} more" if len(listed) > 5 else ""
    if too_many:
        advice = (
            f"That is {' and '.join(too_many)}, more than half: probably `competition.pictures` "
            f"(train, test, columns, pattern) does not fit the files. {_examples(competition)}"
        )
    else:
        advice = (
            "Mend or remove them, or go on without them with "
            "`competition.pictures.unreadable: leave_out`."
        )
    if too_many or any("no picture" in each.problem for each in listed):
        advice = "\n".join(filter(None, [advice, _lost_zeros(parts, competition), advice_on_ids]))
    rows = "row has a picture" if len(listed) == 1 else "rows have pictures"
    raise DataError(
        f"{len(listed):,} {rows} that cannot be read:\n{first}{rest}\n{advice}\n"
        f"The whole list: {stopped}"
    )


def _lost_zeros(parts: dict[str, pd.DataFrame], competition: dict) -> str:
    """A hint where pictures are called as ids with zeros before them, as `0007.png`; else ''."""
    section = competition["pictures"]
    bad = [str(id_) for part in parts.values() for id_ in part.index[part["problem"] != ""]]
    ids = {id_ for id_ in bad if id_.isdecimal()}
    folders = [f"{competition['root']}/{name}" for name in (*section["train"], *section["test"])]
    files = [Path(file) for folder in folders for file in pictures.Folder(folder).pictures()]
    padded = [file for file in files if file.stem.isdecimal() and file.stem[0] == "0"]
    known = [file for file in padded if file.stem.lstrip("0") in ids]
    if not known or len({len(file.stem) for file in known}) > 1:
        return ""
    file = known[0]
    pattern = f"{{id:0>{len(file.stem)}}}{file.suffix}"
    return (
        f"The ids seem to have lost their zeros: the picture of {file.stem.lstrip('0')!r} is "
        f'called {file.name}; `pattern: "{pattern}"` writes them again.'
    )


def _examples(competition: dict) -> str:
    """What the picture folders really hold."""
    section = competition["pictures"]
    lines = []
    for name in dict.fromkeys([*section["train"], *section["test"]]):
        folder = pictures.Folder(f"{competition['root']}/{name}")
        files = folder.pictures()
        holds = f"{len(files):,} pictures, such as {some_of(files, 3)}" if files else "no pictures"
        lines.append(f"{folder.path} holds {holds}")
    return "; ".join(lines) + "."


def write_problems(path: Path | str, problems: Sequence[Problem]) -> None:
    """Write the list as CSV; it appears under its name only when it is whole."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(Problem.__dataclass_fields__)
        writer.writerows(asdict(problem).values() for problem in problems)
    partial.replace(path)
