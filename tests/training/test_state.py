"""What a checkpoint can keep of somebody's own training step."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from groundup.errors import CheckpointError
from groundup.training.state import packed, unpacked


def test_unpacking_gives_back_what_was_packed_in_its_order() -> None:
    kept = {"step": 3, "moments": {"b": (torch.ones(2), torch.zeros(3)), "a": [1.5, None, True, "x"]}, "empty": {}}
    tensors: dict[str, Tensor] = {}
    back = unpacked(packed(kept, tensors), tensors)
    assert isinstance(back, dict) and list(back) == list(kept) and list(back["moments"]) == ["b", "a"]
    assert back["moments"]["a"] == [1.5, None, True, "x"] and back["step"] == 3 and back["empty"] == {}
    assert isinstance(back["moments"]["b"], tuple) and back["moments"]["b"][0].equal(torch.ones(2))


@pytest.mark.parametrize("value", [{1: 2}, {"f": print}, {"set": {1}}])
def test_what_no_file_can_keep_is_named(value: dict[object, object]) -> None:
    with pytest.raises(CheckpointError) as caught:
        packed(value, {})
    assert (caught.value.code, caught.value.status) == ("CKPT_OWN", 2)
