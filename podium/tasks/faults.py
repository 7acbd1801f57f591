"""What is wrong with the rows of a table of objects or masks: refused, or repaired and listed."""

from podium.errors import DataError, numbered

#: Wrong rows that a message names, at most.
NAMED = 20


class Faults:
    """Collects faults while rows are read.

    Attributes:
        found: what is known of the pictures, see `podium.tasks.packed.Found`; repairs are listed
            there.
        repair: whether the config allows repairs.
    """

    def __init__(self, found, repair: bool):
        self.found, self.repair = found, repair
        self.wrong: list[str] = []

    def note(self, id_: str, row: int, problem: str, action: str, harmless: bool = False) -> None:
        """A fault of a row, and what a repair makes of it.

        Args:
            row: as a spreadsheet numbers it.
            harmless: repaired without being asked.
        """
        if self.repair or harmless:
            self.found.problems.append((self.found.table, f"row {row} (id {id_})", problem, action))
        else:
            self.wrong.append(f"row {row} (id {id_}): {problem}")

    def stop_if_wrong(self, what: str) -> None:
        """DataError with all faults that may not be repaired.

        Args:
            what: a sentence that says what is wrong and what to do.
        """
        if not self.wrong:
            return
        more = len(self.wrong) - NAMED
        raise DataError(
            f"{self.found.table}: {what}\n{numbered(self.wrong[:NAMED])}"
            + (f"\n  ... and {more} more" if more > 0 else "")
        )
