"""A model: network, weights, training, augmentation."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from podium.config.experiment import SearchRange
from podium.config.section import Section, Short
from podium.errors import did_you_mean
from podium.geometry import views
from podium.networks import zoo


class Freeze(Section):
    """Transfer learning: which part of the backbone keeps its weights."""

    stages: Annotated[int, Field(ge=0)] | Literal["none", "all"] = Field(
        "none",
        description="`none` trains everything, `all` only the head, a number freezes the stem and "
        "that many stages. With `all` a backbone's output is computed once per view, and of the "
        "augmentation only the flips are left; where networks make maps or boxes of every stage, "
        "it is looked through at every step.",
    )
    until: float | None = Field(
        None, ge=0, description="Epoch at which frozen stages start to train; never when unset."
    )
    norm: bool = Field(
        False,
        description="Keep batch norm's running statistics as they came: the better choice for "
        "short fine-tuning of pretrained weights.",
    )


class Head(Section):
    """What stands between the backbone and the answer."""

    pool: Literal["avg", "max", "avgmax", "stages"] = Field(
        "avg",
        description="Pooling of the feature map; `stages` takes mean, maximum and standard "
        "deviation of every stage, which suits textures.",
    )
    hidden: list[Annotated[int, Field(ge=1)]] = Field(
        [], description="Widths of hidden layers, each with ReLU and dropout."
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout before the last layer.")
    init: Literal["random", "probe"] = Field(
        "random",
        description="`probe` starts the last layer from a regularised linear or logistic "
        "regression on the frozen backbone's output (Kumar et al. 2022, LP-FT).",
    )
    probe_strength: float = Field(
        1e-3, gt=0, description="Inverse regularisation of that regression."
    )


class Optimizer(Section):
    """The optimiser; a bare name is enough."""

    name: Literal["sgd", "rmsprop", "adam", "radam", "adamw"] = Field(
        "adamw", description="The optimiser."
    )
    lr: float = Field(1e-3, gt=0, description="Peak learning rate.")
    weight_decay: float = Field(
        0.01, ge=0, description="Weight decay; never on biases and normalisation."
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum of SGD and RMSProp.")
    backbone_lr: float = Field(
        1.0, ge=0, description="The backbone's learning rate as a fraction of the head's."
    )
    layer_decay: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Factor from stage to stage towards the input on the learning rate.",
    )
    lookahead: bool = Field(False, description="Wrap it in Lookahead (Zhang et al. 2019).")
    clip: float | None = Field(None, gt=0, description="Largest norm of the gradient.")


class Schedule(Section):
    """The learning rate over the steps; a bare name is enough."""

    name: Literal["constant", "cosine", "step", "one_cycle"] = Field(
        "cosine", description="Shape of the decay after the warm-up."
    )
    warmup: float = Field(
        0.0, ge=0, description="Epochs of linear warm-up; `one_cycle`: 30 % of the steps when 0."
    )
    floor: float = Field(0.0, ge=0, lt=1, description="Last rate as a fraction of the peak.")
    every: float = Field(10, gt=0, description="`step`: epochs between two drops.")
    factor: float = Field(
        0.1, gt=0, lt=1, description="`step`: what a drop multiplies the rate by."
    )


class Loss(Section):
    """Weighted sum of the task's named loss terms; tuning may open the weights."""

    terms: dict[str, Annotated[float, Field(ge=0)]] = Field(
        {},
        description="Weight of each term, by its name; the task's own default when empty. Weights "
        "that `search` opens join these.",
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Label smoothing.")
    gamma: float = Field(2.0, ge=0, description="Focusing parameter of the focal loss.")
    beta: float = Field(1.0, gt=0, description="Where smooth L1 turns from square to absolute.")
    class_weights: Literal["none", "balanced", "sqrt"] | list[float] = Field(
        "none",
        description="Weights of the classes: `balanced` is n / (classes * count), `sqrt` its root, "
        "or one number per class.",
    )


class Look(Section):
    """What makes all pictures alike, in training and in prediction, before they are resized.

    For pictures of several cameras, stains or scanners.
    """

    dark: bool = Field(
        False, description="Take the negative of pictures that are bright for the most part."
    )
    grey: bool = Field(False, description="Without colours.")
    stretch: bool = Field(
        False,
        description="Stretch the contrast of each picture over the whole range, but for the "
        "darkest and the brightest 0.5 % of its pixels.",
    )
    lift: bool = Field(
        False,
        description="Lift the shadows by a gamma correction of 0.5. For dark pictures, of "
        "microscopes or telescopes, that people brighten when they annotate them.",
    )


class Mix(Section):
    """Mixing of pictures and their targets."""

    mixup: float = Field(
        0.0,
        ge=0,
        description="Alpha of Mixup (Zhang et al. 2018), of labels and numbers; 0 is off.",
    )
    cutmix: float = Field(
        0.0,
        ge=0,
        description="Alpha of CutMix (Yun et al. 2019), of labels and numbers; 0 is off. Masks, "
        "boxes and objects have `mosaic`.",
    )
    probability: float = Field(
        1.0, ge=0, le=1, description="Share of the batches that Mixup and CutMix mix."
    )
    mosaic: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of the pictures that become mosaics of four (Bochkovskiy et al. 2020), "
        "for masks, boxes and objects.",
    )
    copy_paste: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of the pictures that get some objects of another one pasted in (Ghiasi "
        "et al. 2021), for boxes and objects.",
    )


class Augment(Section):
    """Augmentation of the training pictures: a preset, or albumentations' serialised form."""

    preset: Literal["none", "flips", "light", "medium", "heavy", "auto"] | None = Field(
        "light",
        description="A named set of transforms; `auto` is RandAugment (Cubuk et al. 2020).",
    )
    transforms: dict[str, Any] | None = Field(
        None,
        description="What `albumentations.to_dict(transform)` returns; replaces the preset. It "
        "gets a uint8 picture of the model's image size and must keep that size.",
    )
    scales: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] | None = Field(
        None,
        description="Multi-scale training: the smallest and largest factor that a batch's size is "
        "multiplied by, such as [0.75, 1.25]; sides become multiples of 32. Not for pictures as "
        "output.",
    )

    @property
    def is_there(self) -> bool:
        """Whether there is any transform."""
        return self.transforms is not None or self.preset not in (None, "none")

    @model_validator(mode="after")
    def _scales_are_ordered(self):
        if self.scales and self.scales[0] > self.scales[1]:
            raise ValueError(f"scales: found {list(self.scales)}, expected the smallest one first")
        return self


class EarlyStopping(Section):
    """Stop when the validation score has not improved for some epochs."""

    patience: int = Field(5, ge=1, description="Epochs without improvement.")
    min_delta: float = Field(0.0, ge=0, description="What counts as improvement.")


class Model(Section):
    """One model of the ensemble."""

    backbone: str = Field(
        description="A timm model's name, or `module:Class` of your own `nn.Module`, called with "
        "`in_chans` and `num_classes`."
    )
    weights: str = Field(
        "hub",
        description="Where the backbone's weights come from: `hub` (timm's pretrained weights), "
        "`none` (random), `file:PATH` (.safetensors or .pth), or `package:NAME` (an installed "
        "package that ships a weights file). `model:NAME` is a second stage: each fold's training "
        "goes on from the whole network, head included, that another of the models learned on the "
        "same fold, with larger pictures or another loss. A module of your own starts as it was "
        "built, or from a file.",
    )
    approach: str | None = Field(
        None,
        description="How the task is solved, where it can be in several ways: one of the task's "
        "approaches, which stand with its options below. Models of several approaches can be "
        "blended.",
    )
    image_size: int | tuple[int, int] = Field(
        224, description="Side of the picture in pixels, or [height, width]."
    )
    resize: Literal["stretch", "pad", "crop", "tiles"] = Field(
        "stretch",
        description="How a picture becomes that size: stretched, padded to keep its shape, or "
        "scaled and cropped at the centre. `tiles`, for tasks that answer with a "
        "value for every pixel: not at all; it is looked at in overlapping tiles of that size, "
        "whose answers are blended.",
    )
    tiles_per_epoch: int | None = Field(
        None,
        ge=1,
        description="With `resize: tiles`: how many tiles of a picture an epoch shows, drawn at "
        "random, so that large pictures do not crowd out the others; all of them when unset. An "
        "epoch is validated on as many, always the same; predictions see all tiles.",
    )
    zoom: float = Field(
        1.0,
        ge=0.05,
        le=8,
        description="With `resize: tiles`: how many times as large pictures are made before they "
        "are cut: above 1 for objects of few pixels, below 1 for coarse things in huge pictures.",
    )
    look: Look = Field(default_factory=Look, description="What makes all pictures alike.")
    drop_path: float = Field(0.0, ge=0, lt=1, description="Stochastic depth of the backbone.")
    pictures: bool = Field(
        True, description="Look at the pictures; `false` for a model of the tabular columns alone."
    )
    tabular: bool = Field(
        True,
        description="Read `competition.tabular` beside the pictures, where there are any. Networks "
        "that answer with masks, boxes, heat maps or pictures read none.",
    )
    freeze: Annotated[Freeze, Short("stages")] = Field(
        default_factory=Freeze, description="Transfer learning: what keeps its weights."
    )
    head: Head = Field(default_factory=Head, description="Pooling and head.")
    epochs: int = Field(10, ge=0, le=10_000, description="Epochs; 0 keeps the head's probe.")
    batch_size: int = Field(
        32,
        ge=1,
        description="Rows per step. Of smaller batches than 32, batch norm's running statistics "
        "remember more, so that they are of as many pictures; see also `freeze.norm`.",
    )
    optimizer: Annotated[Optimizer, Short("name")] = Field(
        default_factory=Optimizer, description="The optimiser."
    )
    schedule: Annotated[Schedule, Short("name")] = Field(
        default_factory=Schedule, description="The learning rate's schedule."
    )
    loss: Loss = Field(default_factory=Loss, description="The loss.")
    sampling: Literal["shuffle", "balanced", "sqrt", "undersample"] = Field(
        "shuffle",
        description="Which rows an epoch shows: each once; classes equally often (oversampling), "
        "by the root of their counts, or as often as the rarest (undersampling).",
    )
    sampling_by: Literal["classes", "looks"] = Field(
        "classes",
        description="The classes of `sampling`: the target's, or how a row's first picture looks, "
        "dark or bright, grey or in colour. With looks any task can show rare stains, cameras or "
        "lights more often.",
    )
    augment: Annotated[Augment, Short("preset")] = Field(
        default_factory=Augment, description="Augmentation of the training pictures."
    )
    mix: Mix = Field(default_factory=Mix, description="Mixup, CutMix, mosaic and copy-paste.")
    ema: float | None = Field(
        None, gt=0, lt=1, description="Decay of the weights' moving average; off when unset."
    )
    early_stopping: EarlyStopping | None = Field(
        None, description="Stop early; implies `select: best`."
    )
    select: Literal["last", "best"] = Field(
        "last",
        description="Whose weights are kept: the last epoch's, or the best validation score's, "
        "which is a little too good to be true (the report says by how much).",
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Mixed precision; `auto` is bfloat16 or float16 on a GPU that has it."
    )
    compile: bool = Field(
        False,
        description="Compile the network with `torch.compile` (GPU); of a detector the backbone.",
    )
    seeds: list[Annotated[int, Field(ge=0)]] = Field(
        [0], min_length=1, description="One training per fold for each seed; averaged."
    )
    search: dict[str, SearchRange] = Field(
        {},
        description="What Optuna tunes: a key's path within the model, such as `optimizer.lr` or "
        "`loss.terms.focal`, and its range.",
    )

    @model_validator(mode="after")
    def _sizes_and_stopping(self):
        height, width = self.size
        if min(height, width) < 8 or max(height, width) > 8192:
            raise ValueError(
                f"image_size: found {self.image_size}, expected sides of 8 to 8,192 pixels"
            )
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds: found {self.seeds}, expected each seed once")
        if self.epochs == 0 and (self.head.init != "probe" or self.head.hidden):
            raise ValueError(
                "epochs: found 0, expected 1 or more: without epochs only a head with "
                "`init: probe` and no `hidden` layers learns"
            )
        terms = self.loss.terms
        is_tuned = any(path.startswith("loss.terms.") for path in self.search)
        if terms and not any(terms.values()) and not is_tuned:
            raise ValueError(
                f"loss.terms: found {terms}, expected a weight above 0: nothing would be learned"
            )
        if not self.pictures and not self.tabular:
            raise ValueError(
                "pictures: found false beside `tabular: false`: nothing is left to learn from"
            )
        return self

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return (
            (self.image_size, self.image_size)
            if isinstance(self.image_size, int)
            else tuple(self.image_size)
        )

    @property
    def cache_key(self) -> str:
        """Name of the picture cache that this model reads, such as `224x224-stretch`."""
        height, width = self.size
        zoom = [] if self.zoom == 1 else [f"x{self.zoom}"]
        changes = [name for name, wanted in self.look if wanted]
        return "-".join([f"{height}x{width}", self.resize, *zoom, *changes])

    @property
    def starts_from(self) -> str | None:
        """Name of the model whose networks it goes on from, if `weights` is `model:NAME`."""
        return zoo.first_stage(self.weights)

    @property
    def is_frozen(self) -> bool:
        """Whether the backbone never trains."""
        return self.pictures and self.freeze.stages == "all" and self.freeze.until is None

    @property
    def training_views(self) -> list[str]:
        """The views that a frozen backbone is trained on: the flips of its augmentation."""
        square = self.size[0] == self.size[1]
        wanted = {
            "flips": {"identity", "hflip", "vflip", "rot180"},
            "light": {"identity", "hflip"},
            "medium": {"identity", "hflip"},
            "auto": {"identity", "hflip"},
            "heavy": {"dihedral"} if square else {"identity", "hflip"},
        }
        if self.augment.transforms is not None:
            return ["identity"]
        return views.expand(wanted.get(self.augment.preset, {"identity"}))


def with_values(model: Model, values: dict[str, Any]) -> Model:
    """The model with values put at dotted paths, validated again.

    Raises KeyError, which says so and names the nearest, for an unknown path; pydantic's
    ValidationError (a ValueError) for a value out of range.
    """
    content = model.model_dump()
    for path, value in values.items():
        *parents, last = path.split(".")
        place = content
        for parent in parents:
            place = place.get(parent) if isinstance(place, dict) else None
        # The names of loss terms are the task's own.
        is_known = isinstance(place, dict) and (last in place or parents[-1:] == ["terms"])
        if not is_known:
            raise KeyError(f"unknown key of a model{did_you_mean(path, _paths(content))}")
        place[last] = value
    return Model.model_validate(content)


def _paths(content: dict, above: str = "") -> list[str]:
    """Every key's path within a model."""
    inner = [
        path
        for key, value in content.items()
        if isinstance(value, dict) and key != "search"
        for path in _paths(value, f"{above}{key}.")
    ]
    return [*(f"{above}{key}" for key in content), *inner]
