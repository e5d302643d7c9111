"""The number of threads is the faster one, is kept by a state, and is put back."""

import time

import pytest
import torch

from pacbound.training.state import Checkpoint
from pacbound.training.threads import measured_threads


@pytest.mark.parametrize(("slow", "chosen"), [(1, 2), (2, 1)])
def test_the_faster_number_is_taken_and_the_old_one_comes_back(tmp_path, slow, chosen):
    before = torch.get_num_threads()
    torch.set_num_threads(2)

    def step():
        time.sleep(0.02 if torch.get_num_threads() == slow else 0.001)

    try:
        state = Checkpoint(tmp_path / "s.state", "k")
        with measured_threads(step, state):
            assert torch.get_num_threads() == chosen
            state.save({}, force=True)
        assert torch.get_num_threads() == 2
        with measured_threads(lambda: pytest.fail("measured again"), Checkpoint(tmp_path / "s.state", "k")):
            assert torch.get_num_threads() == chosen
        with pytest.raises(KeyError), measured_threads(lambda: None, Checkpoint(None, "k")):
            raise KeyError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
