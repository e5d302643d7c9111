"""Networks by name and by module:callable."""

import pytest
import torch

from pacbound.errors import ModelError
from pacbound.models.loading import load_model
from pacbound.specs.specs import REFERENCE_MODELS


@pytest.mark.parametrize("name", REFERENCE_MODELS)
def test_reference_networks_keep_their_name(name):
    module, model = load_model(name, (1, 8, 8), 4)
    assert model == name
    assert module(torch.zeros(2, 1, 8, 8)).shape == (2, 4)


def test_a_network_of_the_users_own_is_called_user(tmp_path, monkeypatch):
    (tmp_path / "ownnet.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Linear):\n"
        "    def __init__(self):\n"
        "        super().__init__(3, 2)\n"
        "def sized(width):\n"
        "    return nn.Linear(width, 2)\n"
        "def wrong():\n"
        "    return 5\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(__import__("sys").path))
    module, model = load_model("ownnet:Net", (3,), 2)
    assert (model, type(module).__name__) == ("user", "Net")
    with pytest.raises(ModelError, match="without arguments"):
        load_model("ownnet:sized", (3,), 2)
    with pytest.raises(ModelError, match="got int"):
        load_model("ownnet:wrong", (3,), 2)


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(ModelError, match="Did you mean 'resnet20'"):
        load_model("resnet-20", (3, 32, 32), 10)
    with pytest.raises(ModelError, match=r"got 'os\.system'"):
        load_model("os.system", (3, 32, 32), 10)
