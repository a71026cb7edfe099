"""A folder of somebody's own files: what is taken from it, and what is said when it cannot be right."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch

from groundup.errors import ConfigError
from groundup.parts_folder import expected_signature, require_arguments
from groundup.training import Parts
from groundup.training.parts import ELSEWHERE

LIBRARY = Parts.defaults() | ELSEWHERE


def refusal(folder: Path) -> ConfigError:
    """The error that a folder gives."""
    with pytest.raises(ConfigError) as caught:
        Parts.from_folder(folder)
    assert caught.value.status == 2
    return caught.value


def own(folder: Path) -> set[str]:
    return set(Parts.from_folder(folder).own)


# What counts.


@pytest.mark.parametrize(
    "source",
    [
        "gelu = lambda x: x\n",
        "def my_gelu(x):\n    return x\ngelu = my_gelu\n",
        "import torch\ngelu = torch.nn.functional.gelu\n",
        "import functools\ndef f(x, y):\n    return x\ngelu = functools.partial(f, y=1)\n",
    ],
)
def test_a_name_that_a_function_is_given_counts(source: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(source)
    assert own(tmp_path) == {"gelu"}


@pytest.mark.parametrize(
    "source",
    ["dropout = 0.1\n", "linear = [1]\n", "x = 1\ndropout = x\n", "sample = dict()\n", "class softmax:\n    pass\n",
     "import torch\nlinear = torch.nn.Linear(2, 2)\n"],
)  # fmt: skip
def test_a_name_of_a_part_for_something_that_is_no_function_is_left_alone(source: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(source)
    (tmp_path / "more.py").write_text("def gelu(x):\n    return x\n")
    assert own(tmp_path) == {"gelu"}


@pytest.mark.parametrize(
    "source",
    [
        "def softmax(x, dim=-1):\n    return x\n".encode("utf-8-sig"),
        "# -*- coding: gbk -*-\n# 归一化\ndef softmax(x, dim=-1):\n    return x\n".encode("gbk"),
        b"def softmax(x, dim=-1):\r\n    return x\r\n",
    ],
    ids=["a byte-order mark", "another encoding", "line ends of Windows"],
)
def test_a_file_is_read_as_python_reads_it(source: bytes, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_bytes(source)
    assert own(tmp_path) == {"softmax"}


def test_files_that_editors_and_systems_leave_behind_are_nobody_s_parts(tmp_path: Path) -> None:
    (tmp_path / "._mine.py").write_bytes(b"\x00\x05\x16\x07")
    (tmp_path / ".#mine.py").symlink_to("somebody@somewhere.123")
    (tmp_path / "mine.py").write_text("def gelu(x):\n    return x\n")
    assert own(tmp_path) == {"gelu"}


def test_neighbours_of_one_name_in_two_folders_do_not_meet(tmp_path: Path) -> None:
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "helper.py").write_text(f"FACTOR = {number}\n")
        (folder / "mine.py").write_text("from helper import FACTOR\ndef gelu(x):\n    return FACTOR * x\n")
    first, second = (Parts.from_folder(tmp_path / str(number)) for number in (1, 2))
    assert (first.gelu(torch.ones(1)), second.gelu(torch.ones(1))) == (1, 2)
    assert "helper" not in sys.modules


def test_a_module_that_was_there_before_stays(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import json\nimport fractions\ndef gelu(x):\n    return x\n")
    Parts.from_folder(tmp_path)
    assert {"json", "fractions"} <= sys.modules.keys()
    assert "parts" not in sys.modules


# What is odd.


@pytest.mark.parametrize(
    ("name", "meant"),
    [("sofmax", "softmax"), ("layernorm", "layer_norm"), ("LayerNorm", "layer_norm"), ("geluu", "gelu"),
     ("scaled_dot_product_atention", "scaled_dot_product_attention")],
)  # fmt: skip
def test_a_misspelt_part_is_spoken_of(name: str, meant: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(f"\n\ndef {name}(x):\n    return x\n")
    (tmp_path / "other.py").write_text(
        "def count_parameters(vocab_size, context_length, n_layers, n_heads, d_model, tied=True):\n    return 0\n"
    )
    (said,) = Parts.from_folder(tmp_path).suspects
    assert said == f"{name} ({tmp_path / 'mine.py'} line 3) is not the name of a part: did you mean {meant}?"


def test_a_helper_is_not_suspected(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "def softmax(x, dim=-1):\n    return softmax2(x)\ndef softmax2(x):\n    return x\n"
        "def _gelu(x):\n    return x\ndef show(x):\n    return x\ndef main():\n    pass\n"
    )
    assert Parts.from_folder(tmp_path).suspects == ()


def test_a_folder_without_parts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def show(x):\n    return x\n")
    with pytest.raises(ConfigError, match=f"there is no part in {tmp_path} "):
        Parts.from_folder(tmp_path)


# What cannot be.


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_e7_a_python_file_of_the_wrong_kind_is_named_and_nothing_waits(tmp_path: Path, make: object) -> None:
    make(tmp_path / "d.py")  # pyright: ignore[reportCallIssue]
    error = refusal(tmp_path)
    assert (error.code, error.what) == ("PATH_KIND", "d.py is no ordinary file")


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: Path(path).write_text("x")])
def test_e7_a_folder_of_parts_that_is_none_is_named(tmp_path: Path, make: object) -> None:
    make(tmp_path / "parts")  # pyright: ignore[reportCallIssue]
    assert refusal(tmp_path / "parts").code == "PATH_KIND"
    assert refusal(tmp_path / "nowhere").code == "PATH"


WRONG = [
    ("softmax", "def softmax():\n    return 1\n", "softmax(x, dim=-1)"),
    ("layer_norm", "def layer_norm(x):\n    return x\n", "layer_norm(x, weight, bias=None, eps=1e-05)"),
    ("gelu", "def gelu(x, y):\n    return x\n", "gelu(x)"),
    ("gelu", "gelu = lambda: 1\n", "gelu(x)"),
    ("gelu", "def gelu(x, *, slope):\n    return x\n", "gelu(x)"),
    ("learning_rate", "def learning_rate(step, max_lr):\n    return 1\n", "learning_rate(step, *, max_lr, min_lr,"),
    (
        "attention_weights",
        "def attention_weights(q, *, softmax):\n    return q\n",
        "attention_weights(q, k, mask=None)",
    ),
    ("count_pairs", "def count_pairs():\n    return {}\n", "count_pairs(ids)"),
]


@pytest.mark.parametrize(("name", "source", "expected"), WRONG)
def test_a_part_that_takes_other_arguments_is_refused_with_those_it_will_get(
    name: str, source: str, expected: str, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text("\n" + source)
    error = refusal(tmp_path)
    assert error.code == "PARTS"
    assert error.what.startswith(f"your {name} takes (")
    assert error.where == f"{tmp_path / 'mine.py'} line 2"
    assert error.fix.startswith(f"let it take {expected}")


def test_teeth_without_the_look_at_arguments_a_wrong_part_gets_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(WRONG[0][1])
    monkeypatch.setattr(f"{require_arguments.__module__}.require_arguments", lambda *_: None)
    assert own(tmp_path) == {"softmax"}


@pytest.mark.parametrize(
    "source",
    [
        "def attention_weights(q, k, mask=None, *, softmax):\n    return softmax(q)\n",
        "def attention_weights(*everything, **named):\n    return 1\n",
        "def attention_weights(query, key, m=None, scale=1.0):\n    return 1\n",
        "def transformer_block(x, p, n_heads):\n    return x\n",
        "def transformer_block(x, p, n_heads, *, apply_dropout, layer_norm, dropout=0.0):\n    return x\n",
        "def learning_rate(step, max_lr, min_lr, warmup_steps, total_steps):\n    return 1\n",
    ],
)
def test_every_style_that_can_be_called_is_taken(source: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(source)
    assert len(own(tmp_path)) == 1


@pytest.mark.parametrize("name", LIBRARY)
def test_the_library_s_own_parts_take_what_they_are_said_to_take(name: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        f"import torch\ndef {name}{expected_signature(LIBRARY[name], LIBRARY)}:\n    return 1\n"
    )
    found = Parts.from_folder(tmp_path)
    assert found.own | found.elsewhere == {name}


def test_a_failure_in_a_neighbour_names_the_neighbour_s_line(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("\n\nraise ValueError('no \x1b luck')\n")
    (tmp_path / "alone.py").write_text("import helper\ndef gelu(x):\n    return x\n")
    error = refusal(tmp_path)
    assert error.where == f"{tmp_path / 'helper.py'} line 3"
    assert "\x1b" not in error.what


def test_a_function_that_its_file_removes_again_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def gelu(x):\n    return x\ngelu_ = gelu\ndel gelu\n")
    assert "here it is no function" in refusal(tmp_path).what


@pytest.mark.parametrize("source", [b"x = " + b"(" * 5000, b"\x00", b"# coding: nothing\n", b"x = '\xff'"])
def test_text_that_is_no_python_is_named(source: bytes, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_bytes(source)
    error = refusal(tmp_path)
    assert (error.code, error.what.startswith("mine.py is not valid Python: ")) == ("PARTS", True)
    assert "mine.py" in error.where


def test_a_neighbour_of_a_stub_gets_the_lent_part(tmp_path: Path) -> None:
    (tmp_path / "attention.py").write_text(
        'def softmax(x, dim=-1):\n    """A stub."""\n\n\n'
        "def attention_weights(q, k, mask=None):\n    return softmax(q @ k.mT)\n"
    )
    parts = Parts.from_folder(tmp_path)
    assert parts.lent == {"softmax"}
    q = torch.eye(2)
    assert torch.equal(parts.attention_weights(q, q), torch.softmax(q, -1))


def test_a_part_written_in_another_file_stands_for_its_stub(tmp_path: Path) -> None:
    (tmp_path / "attention.py").write_text(
        'def softmax(x, dim=-1):\n    """A stub."""\n\n\n'
        "def attention_weights(q, k, mask=None):\n    return softmax(q @ k.mT)\n"
    )
    (tmp_path / "other.py").write_text("def softmax(x, dim=-1):\n    return x * 0 + 7\n")
    parts = Parts.from_folder(tmp_path)
    assert parts.own == {"softmax", "attention_weights"}
    q = torch.eye(2)
    assert torch.equal(parts.attention_weights(q, q), torch.full((2, 2), 7.0))
