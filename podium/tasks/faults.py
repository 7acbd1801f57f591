"""What is wrong with the rows of a table of objects or masks: refused, or repaired and listed."""

from pathlib import Path

import pandas as pd

from podium.errors import DataError, numbered

#: Wrong rows that a message names, at most.
NAMED = 20
#: What to look at where masks are wrong, by the option `format`.
OF_MASKS = {
    "runs": " `order`, `first_pixel` and `starts` say how pixels are counted; paths of pictures "
    "need `format: pictures`.",
    "pictures": " Pictures in which colours stand for classes need `format: colours`, run lengths "
    "`format: runs`, and pictures of more than two values `kind: labels`, where `ignore` names "
    "what is not labelled.",
}


class Faults:
    """Collects faults while rows are read.

    Attributes:
        found: what is known of the pictures, see `podium.tasks.packed.Found`; repairs are listed
            there.
        repair: whether the config allows repairs.
        file: that is read, where it is not the table.
    """

    def __init__(self, found, repair: bool, file: Path | str | None = None):
        self.found, self.repair, self.file = found, repair, str(file or found.table)
        self.wrong: list[str] = []

    def note(self, id_: str, place: str, problem: str, action: str, harmless: bool = False) -> None:
        """A fault of a row, and what a repair makes of it.

        Args:
            place: `row 7`, as a spreadsheet numbers it, or what else the file has in place of rows.
            harmless: repaired without being asked.
        """
        if self.repair or harmless:
            self.found.problems.append((self.file, f"{place} (id {id_})", problem, action))
        else:
            self.wrong.append(f"{place} (id {id_}): {problem}")

    def refuse_rows(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows of `coco.rows_of` of which nothing is wrong; the others are noted."""
        for id_, row in rows[rows["problem"] != ""].iterrows():
            self.note(str(id_).removeprefix("?"), row["place"], row["problem"], "left out")
        return rows[rows["problem"] == ""]

    def stop_if_masks_are_wrong(self, form: str) -> None:
        """`stop_if_wrong` of masks, by the option `format` that they were read by."""
        self.stop_if_wrong(
            "the masks are not right. Mend them, or let podium do it with `task.options.repair: "
            f"true`.{OF_MASKS.get(form, '')}"
        )

    def stop_if_wrong(self, what: str) -> None:
        """DataError with all faults that may not be repaired.

        Args:
            what: a sentence that says what is wrong and what to do.
        """
        if not self.wrong:
            return
        more = len(self.wrong) - NAMED
        raise DataError(
            f"{self.file}: {what}\n{numbered(self.wrong[:NAMED])}"
            + (f"\n  ... and {more} more" if more > 0 else "")
        )
