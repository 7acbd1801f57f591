"""Names of the test-time augmentation views: the eight symmetries of a square."""

#: Every view; `dihedral` stands for all eight.
SYMMETRIES = ("identity", "hflip", "vflip", "rot90", "rot180", "rot270", "transpose", "transverse")
NAMES = (*SYMMETRIES, "dihedral")


def expand(names) -> list[str]:
    """The views meant by the config's names, each once, in a fixed order."""
    wanted = set(SYMMETRIES) if "dihedral" in names else set(names)
    return [view for view in SYMMETRIES if view in wanted]
