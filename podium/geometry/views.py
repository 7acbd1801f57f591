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


#: Views that show left as right.
MIRRORING = ("hflip", "vflip", "transpose", "transverse")
#: What is turned around in each view, after rows and columns of the `TURNING` ones are swapped.
_FLIPPED = {
    "identity": "", "hflip": "x", "vflip": "y", "rot180": "xy",
    "rot90": "y", "rot270": "x", "transpose": "", "transverse": "xy",
}  # fmt: skip


def apply(view: str, pictures):
    """A view of pictures (..., H, W, C), tensor; quarter turns swap H and W."""
    rows, columns = -3, -2
    if view in TURNING:
        pictures = pictures.transpose(rows, columns)
    flips = [{"x": columns, "y": rows}[axis] for axis in _FLIPPED[view]]
    return pictures.flip(flips) if flips else pictures


def undo_points(view: str, points):
    """Points seen in a view, relative to its middle, (..., 2) as x and y, in the picture itself."""
    signs = [-1.0 if axis in _FLIPPED[view] else 1.0 for axis in "xy"]
    points = points * points.new_tensor(signs)
    return points.flip(-1) if view in TURNING else points


#: The view that undoes each view.
INVERSE = {view: view for view in SYMMETRIES} | {"rot90": "rot270", "rot270": "rot90"}
