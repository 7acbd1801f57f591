"""Names of the test-time augmentation views: the eight symmetries of a square."""

#: Every view; `dihedral` stands for all eight.
SYMMETRIES = ("identity", "hflip", "vflip", "rot90", "rot180", "rot270", "transpose", "transverse")
NAMES = (*SYMMETRIES, "dihedral")


def expand(names) -> list[str]:
    """The views meant by the config's names, each once, in a fixed order."""
    wanted = set(SYMMETRIES) if "dihedral" in names else set(names)
    return [view for view in SYMMETRIES if view in wanted]


#: Views that turn the picture by a quarter, which keeps the size of square pictures only.
TURNING = ("rot90", "rot270", "transpose", "transverse")


def apply(view: str, pictures):
    """A view of pictures (..., H, W, C), tensor; quarter turns swap H and W."""
    rows, columns = -3, -2
    if view in TURNING:
        pictures = pictures.transpose(rows, columns)
    flips = {
        "identity": (),
        "hflip": (columns,),
        "vflip": (rows,),
        "rot180": (rows, columns),
        "rot90": (rows,),
        "rot270": (columns,),
        "transpose": (),
        "transverse": (rows, columns),
    }[view]
    return pictures.flip(flips) if flips else pictures


#: The view that undoes each view.
INVERSE = {view: view for view in SYMMETRIES} | {"rot90": "rot270", "rot270": "rot90"}
