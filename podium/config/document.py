"""Write what the config models know: the reference pages and the JSON schema.

`python -m podium.config.document` writes docs/config.md, docs/config.schema.json and
docs/metrics.md; `--check` writes nothing and exits 1 where one of them has drifted.
"""

import ast
import inspect
import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from podium import blending, metrics, tasks
from podium.config import kinds
from podium.config.load import SNAKEMAKE_KEYS
from podium.config.root import Config
from podium.geometry import views

ROOT = Path(__file__).parents[2]
_NOTE = "<!-- Made by `python -m podium.config.document`; do not edit. -->"


def pages() -> dict[str, str]:
    """Text of every generated file, by its path below the repository."""
    return {
        "docs/config.md": config_page(),
        "docs/config.schema.json": json.dumps(schema(), indent=2) + "\n",
        "docs/metrics.md": metrics_page(),
    }


def main(arguments: list[str]) -> int:
    """Write the files, or check them; the exit status."""
    drifted = 0
    for name, text in pages().items():
        path = ROOT / name
        if path.is_file() and path.read_text("utf-8") == text:
            continue
        if "--check" in arguments:
            print(f"{name} has drifted: run python -m podium.config.document")
            drifted = 1
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
            print(f"wrote {name}")
    return drifted


# -------------------------------------------------------------------------- the config's page


def sections(section: type[BaseModel] = Config, path: str = "") -> Iterator[tuple[str, type]]:
    """Every section and its path, in the config's own order: `models.<name>.freeze`, Freeze."""
    yield path, section
    for key, field in section.model_fields.items():
        inner, is_named = inner_section(field)
        if inner is not None:
            below = f"{path}.{key}" if path else key
            yield from sections(inner, f"{below}.<{'key' if key == 'search' else 'name'}>"
                                if is_named else below)  # fmt: skip


def inner_section(field: FieldInfo) -> tuple[type[BaseModel] | None, bool]:
    """The section that a key holds, and whether it holds several by names of the user's own."""
    annotation, _ = kinds.bare(field.annotation, field.metadata)
    if kinds.is_section(annotation):
        return annotation, False
    for argument in get_args(annotation):
        value, _ = kinds.bare(argument)
        if kinds.is_section(value):
            return value, True
    return None, False


def config_page() -> str:
    """Every key of the config with what it may hold, its default and its meaning."""
    parts = [
        _NOTE,
        "# The config, key by key",
        "A config is a YAML file: `config.yaml` is the demo's, `competitions/` holds others, and "
        "`snakemake --configfile competitions/x.yaml` runs one of them. A key that is left out "
        "has its default. `python -m podium.config FILE` checks a file in a second, without "
        "running anything.",
        "An editor that knows JSON schemas completes and checks the keys, with "
        "[config.schema.json](config.schema.json): in VS Code with the YAML extension, by a first "
        "line such as `# yaml-language-server: $schema=../docs/config.schema.json`.",
        "YAML's anchors save typing: `base: &base {...}` names a section, and `<<: *base` starts "
        "another with its keys.",
    ]
    for path, section in sections():
        title = f"## `{path}`" if path else "## The whole"
        about = inspect.getdoc(section) or ""
        parts += [title, _prose(about), _table(path, section)]
    parts += ["## `task.options`", "What `task.options` may say depends on `task.name`."]
    for name in tasks.names():
        parts += _task_part(name)
    return "\n\n".join(parts) + "\n"


def _prose(text: str) -> str:
    """A docstring's paragraphs, each on one line."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _table(path: str, section: type[BaseModel]) -> str:
    rows = ["| Key | Value | Default | Meaning |", "|---|---|---|---|"]
    own = inspect.get_annotations(section)  # before those that it shares with others
    for key, field in sorted(section.model_fields.items(), key=lambda item: item[0] not in own):
        inner, is_named = inner_section(field)
        value = kinds.words(field.annotation, field.metadata)
        if inner is not None:
            below = f"{path}.{key}" if path else key
            below += f".<{'key' if key == 'search' else 'name'}>" if is_named else ""
            short = value.split("; or a section")[0] + ", or " if "; or a section" in value else ""
            value = f"{short}a [section](#{_anchor(below)})" + (" per name" if is_named else "")
        cells = (f"`{key}`", value, _default(field), field.description or "")
        rows.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return "\n".join(rows)


def _anchor(path: str) -> str:
    """The anchor that GitHub gives to the heading of a path."""
    return re.sub(r"[^a-z0-9_-]", "", path.lower())


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**needed**"
    if field.default is PydanticUndefined:
        return "its defaults"
    return "unset" if field.default is None else f"`{_plain(field.default)}`"


def _plain(value: Any) -> str:
    """A value as YAML's flow style writes it."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(_plain(item) for item in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    return '" "' if value == " " else str(value)


# ---------------------------------------------------------------------------------- the tasks


def _task_part(name: str) -> list[str]:
    module = tasks.options_module(name)
    terms = loss_terms(name)
    rows = ["| Loss term | What it is |", "|---|---|"]
    for term in terms:
        about = _loss_summary(name, term)
        where = "" if terms[term] is None else f" Only with {terms[term]}."
        rows.append(f"| `{term}` | {_cell(about + where)} |")
    parts = [f"### `{name}`"]
    for path, section in sections(module.Options, "task.options"):
        parts += [] if section is module.Options else [f"#### `{path}`"]
        parts += [_prose(inspect.getdoc(section) or ""), _table(path, section)]
    if module.TRAITS.approaches:
        first, *more = (f"`{each}`" for each in module.TRAITS.approaches)
        choices = ", ".join([f"{first} (the default)", *more])
        parts += [f"Approaches of `{name}`, for `models.<name>.approach`: {choices}."]
    return [
        *parts,
        f"Loss terms of `{name}`, for `models.<name>.loss.terms`:",
        "\n".join(rows),
    ]


def loss_terms(task: str) -> dict[str, str | None]:
    """Every loss term of a task, and the choice that it needs: `approach: classification`."""
    module = tasks.options_module(task)
    plain, approaches = module.Options(), module.TRAITS.approaches

    default = next(iter(approaches), None)

    def variants(key: str, annotation) -> dict[str, tuple[str, ...]]:
        few = [False, True] if annotation is bool else kinds.values(annotation)
        kind = kinds.bare(annotation)[0] if kinds.is_union(annotation) else None
        if kind is str or kinds.is_section(kind):  # or None: given, or not
            few = [None, "..."]
        return {
            f"`{key}: {_plain(value)}`": module.losses(
                plain.model_copy(update={key: value}), default
            )
            for value in few
        }

    # What each choice of a key makes of the terms, key by key.
    by_key = {
        key: variants(key, field.annotation) for key, field in module.Options.model_fields.items()
    }
    by_key["models.<name>.approach"] = {
        f"`approach: {choice}` of the model": module.losses(plain, choice) for choice in approaches
    }
    always = module.losses(plain, default)
    found: dict[str, str | None] = dict.fromkeys(always)
    for variants in by_key.values():
        for term in dict.fromkeys(term for terms in variants.values() for term in terms):
            having = [said for said, terms in variants.items() if term in terms]
            before = [found[term]] if found.get(term) and term not in always else []
            found.setdefault(term, None)
            if len(having) < len(variants):
                found[term] = " or ".join([*before, *having])
    return found


@cache
def _syntax(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text("utf-8"))


def _loss_summary(task: str, term: str) -> str:
    """First sentence of a loss function's docstring; read, for importing it would import torch.

    Of a term that the task's network measures itself: the task's own words.
    """
    words = getattr(tasks.options_module(task), "LOSS_WORDS", {})
    if term in words:
        return words[term]
    function = term
    for node in ast.walk(_syntax(f"podium/tasks/{task}/task.py")):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == term:
                    function = _function_of(value) or function
    for node in _syntax("podium/losses.py").body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            return " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())
    return ""


def _function_of(value: ast.AST) -> str | None:
    """`f` of an expression that holds `losses.f`."""
    for node in ast.walk(value):
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", None) == "losses":
            return node.attr
    return None


# -------------------------------------------------------------------------------- the metrics


def metrics_page() -> str:
    """Every metric with its direction, what it needs, its tasks and its options."""
    rows = [
        "| Metric | Better | Needs | Tasks | Options | What it is |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in metrics.registry().items():
        cells = (
            f"`{name}`",
            "higher" if found.greater_is_better else "lower",
            found.needs,
            ", ".join(found.tasks) or "all",
            "; ".join(_options(found.function)) or "none",
            (inspect.getdoc(found.function) or "").split("\n\n")[0],
        )
        rows.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return (
        "\n\n".join(
            [
                _NOTE,
                "# Metrics",
                "`metric: roc_auc` names a metric, `metric: { name: f1, options: { average: macro "
                "} }` one with options. What a metric needs decides what podium may do to "
                "predictions before it:",
                "- `labels`: decided labels. Thresholds (or the cut points of grades) are fitted "
                "to the metric, always on the other folds.\n"
                "- `probabilities`: calibrated probabilities; blending keeps them such.\n"
                "- `ranks`: anything that orders the rows, so that `rank_mean` may be used.\n"
                "- `values`: predicted values, in the target's own units.",
                "\n".join(rows),
                "A function of your own: [extending.md](extending.md#a-metric-of-your-own).",
            ]
        )
        + "\n"
    )


def _options(function) -> list[str]:
    annotations = inspect.get_annotations(function)
    return [
        f"`{name}`: {kinds.words(annotations.get(name, Any))} (`{_plain(parameter.default)}`)"
        for name, parameter in metrics.options_of(function).items()
    ]


# --------------------------------------------------------------------------------- the schema


def schema() -> dict[str, Any]:
    """The JSON schema of a config file, with the names that podium knows."""
    found = Config.model_json_schema(mode="validation")
    parts = found["$defs"]
    own = {"type": "string", "pattern": ".+:.+", "description": "A function of your own."}
    known_metrics = {"enum": list(metrics.registry())}
    parts["MetricChoice"]["properties"]["name"]["anyOf"] = [known_metrics, own]
    parts["TaskChoice"]["properties"]["name"]["enum"] = list(tasks.names())
    for name, choices in {
        "task": [{"enum": list(tasks.names())}],
        "metric": [known_metrics, own],
    }.items():
        whole = found["properties"][name]
        whole["anyOf"] = [part for part in whole["anyOf"] if part.get("type") != "string"] + choices
    _name_items(parts["Blend"]["properties"]["methods"], list(blending.METHODS))
    _name_items(parts["Tta"]["properties"]["views"], list(views.NAMES))
    terms = dict.fromkeys(term for name in tasks.names() for term in loss_terms(name))
    parts["Loss"]["properties"]["terms"]["propertyNames"] = {"enum": list(terms)}
    parts["Model"]["properties"]["backbone"]["examples"] = [
        "tf_efficientnet_lite0", "resnet50", "vit_small_patch16_224", "my_module:MyNet",
    ]  # fmt: skip
    parts["TaskChoice"]["allOf"] = [_task_options(name, parts) for name in tasks.names()]
    found["properties"] |= {key: {"type": "object"} for key in sorted(SNAKEMAKE_KEYS)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **found,
        "title": "podium config",
    }


def _name_items(section: dict, names: list[str]) -> None:
    """Put the known names where a key takes one name or a list of names."""
    for part in section["anyOf"]:
        holder = part["items"] if part["type"] == "array" else part
        holder["enum"] = names


def _task_options(name: str, parts: dict) -> dict:
    """A task's options, where the task is that one."""
    options = tasks.options_module(name).Options.model_json_schema(
        mode="validation", ref_template="#/$defs/{model}"
    )
    parts.update(options.pop("$defs", {}))
    return {
        "if": {"properties": {"name": {"const": name}}},
        "then": {"properties": {"options": options}},
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
