"""Which networks there are, without importing them.

The workflow checks model names at parse time, when importing timm would cost seconds: the names
are read from the source files of the installed timm.
"""

import importlib.util
import re
from functools import cache
from pathlib import Path

from podium.errors import did_you_mean

_ENTRYPOINT = re.compile(r"@register_model\s*\ndef (\w+)\(")


@cache
def timm_names() -> frozenset[str]:
    """Names of timm's architectures, without pretrained tags."""
    spec = importlib.util.find_spec("timm")
    assert spec is not None
    assert spec.origin is not None
    sources = Path(spec.origin).with_name("models").glob("*.py")
    return frozenset(
        name for source in sources for name in _ENTRYPOINT.findall(source.read_text("utf-8"))
    )


def is_own_module(backbone: str) -> bool:
    """Whether the name is `module:Class` of the user's own rather than a timm model."""
    return ":" in backbone and not backbone.startswith(("hf_hub:", "hf-hub:", "timm/"))


def package_folder(name: str) -> Path | None:
    """Folder of an installed package, or None; the package is not imported."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def files_of(model) -> list[str]:
    """Files that a model is made of beside installed packages: its own module, its weights."""
    files = []
    if model.pictures and is_own_module(model.backbone):
        spec = importlib.util.find_spec(model.backbone.split(":")[0])
        files += [spec.origin] if spec and spec.origin else []
    if model.pictures and model.weights.startswith("file:"):
        files.append(model.weights.removeprefix("file:"))
    return files


def model_problems(config) -> list[str]:
    """What is wrong with the models' names and sources of weights, one sentence each."""
    problems = []
    for name, model in config.models.items():
        where = f"models.{name}"
        if model.pictures:
            problems += backbone_problems(f"{where}.backbone", model.backbone)
            if model.starts_from is None:
                problems += weights_problems(f"{where}.weights", model.weights)
        elif not config.competition.tabular:
            problems.append(
                f"{where}.pictures: is false, but competition.tabular names no columns to learn "
                "from"
            )
        if not model.pictures and (model.mix.mixup or model.mix.cutmix):
            problems.append(f"{where}.mix: a model with pictures: false has none to mix")
        if model.freeze.stages == "all" and model.freeze.until is None and model.weights == "none":
            problems.append(
                f"{where}.freeze: a frozen backbone needs pretrained weights, but weights is none"
            )
        if model.is_frozen and (model.mix.mixup or model.mix.cutmix):
            problems.append(f"{where}.mix: a backbone that stays frozen sees no mixed pictures")
    return problems


def backbone_problems(where: str, backbone: str) -> list[str]:
    """What is wrong with a backbone's name, found at the key `where`."""
    if is_own_module(backbone):
        module = backbone.split(":")[0]
        try:
            found = importlib.util.find_spec(module) is not None
        except (ImportError, ValueError):
            found = False
        return [] if found else [f"{where}: no Python module {module!r} can be imported"]
    if backbone.startswith(("hf_hub:", "hf-hub:", "timm/")):
        return []
    architecture = backbone.split(".")[0]
    if architecture in timm_names():
        return []
    hint = did_you_mean(architecture, timm_names())
    return [f"{where}: timm knows no model {backbone!r}{hint}"]


def first_stage(weights: str) -> str | None:
    """The model that a source of weights names, if it is `model:NAME`."""
    kind, _, name = weights.partition(":")
    return name if kind == "model" else None


def weights_problems(where: str, weights: str) -> list[str]:
    """What is wrong with a source of weights, found at the key `where`."""
    if weights in ("hub", "none"):
        return []
    kind, _, value = weights.partition(":")
    if kind == "model":
        return [f"{where}: only a model's own `weights` may be another model's, not {weights!r}"]
    if kind == "file":
        return [] if Path(value).is_file() else [f"{where}: no file {value!r}"]
    if kind == "package":
        if package_folder(value) is not None:
            return []
        return [f"{where}: no package {value!r} is installed; install it with pip"]
    return [
        f"{where}: found {weights!r}, expected hub, none, file:PATH, package:NAME or model:NAME"
        f"{did_you_mean(weights, ['hub', 'none'])}"
    ]
