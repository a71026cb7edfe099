"""A workspace loses nothing, and says where each part stands without running anything."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from groundup.errors import ConfigError
from groundup.path.answer import Answer
from groundup.path.catalog import catalog, path_order
from groundup.path.check import check_file
from groundup.path.session import Session, first_open
from groundup.path.texts import units
from groundup.path.workspace import PROGRESS, Workspace, file_of_stage, make_workspace, read_progress

LINEAR = "def linear(x, weight, bias=None):\n    return x @ weight.T if bias is None else x @ weight.T + bias\n"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path / "my llm 你好")


def write(workspace: Workspace, name: str, text: str) -> Path:
    """Put a function in the place of a part's stub."""
    workspace.reset([name])
    path = workspace.home_of(catalog()[name])
    source = path.read_text()
    node = next(one for one in ast.parse(source).body if isinstance(one, ast.FunctionDef) and one.name == name)
    lines = source.splitlines()
    path.write_text("\n".join([*lines[: node.lineno - 1], text.rstrip("\n"), *lines[node.end_lineno :]]) + "\n")
    return path


def passed(name: str) -> Answer:
    return Answer(name, True, True, "pass")


def test_every_part_has_a_stub_in_its_stage_s_file_and_the_files_are_python(workspace: Workspace) -> None:
    for stage in path_order():
        tree = ast.parse((workspace.folder / stage["file"]).read_text())
        names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        assert names == [part.name for part in catalog().values() if part.file == stage["file"]]
        assert all(ast.get_docstring(node) for node in tree.body if isinstance(node, ast.FunctionDef))
        assert "wrong" not in (workspace.folder / stage["file"]).read_text().split('"""', 2)[2].partition("def")[0]
    assert {workspace.state_of(name) for name in catalog()} == {"lent"}


def test_stubs_have_the_library_s_arguments(workspace: Workspace) -> None:
    for part in catalog().values():
        source = (workspace.folder / part.file).read_text()
        assert f"def {part.name}(" in source
        assert "Wrong" not in source


def test_a_verdict_belongs_to_a_text(workspace: Workspace) -> None:
    path = write(workspace, "linear", LINEAR)
    assert workspace.state_of("linear") == "unchecked"
    workspace.remember(passed("linear"))
    assert workspace.state_of("linear") == "own"
    path.write_text(path.read_text().replace("x @ weight.T if", "x @ weight.mT if"))
    assert workspace.state_of("linear") == "unchecked"
    path.write_text(path.read_text().replace("x @ weight.mT if", "x @ weight.T if"))
    assert Workspace(workspace.folder).state_of("linear") == "own"  # from the file, too


def test_nothing_is_overwritten(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="already"):
        make_workspace(workspace.folder)
    other = tmp_path / "other"
    other.mkdir()
    (other / path_order()[0]["file"]).write_text("mine")
    with pytest.raises(ConfigError, match="holds"):
        make_workspace(other)
    assert (other / path_order()[0]["file"]).read_text() == "mine"


def test_reset_keeps_what_was_there(workspace: Workspace) -> None:
    write(workspace, "linear", LINEAR)
    kept = workspace.reset(["linear"])
    assert LINEAR.strip() in kept.read_text()
    assert workspace.state_of("linear") == "lent"


def test_two_resets_in_one_second_keep_both(workspace: Workspace) -> None:
    write(workspace, "linear", LINEAR)
    first = workspace.reset(["linear"])
    write(workspace, "linear", LINEAR.replace("x @", "(x) @"))
    second = workspace.reset(["linear"])
    assert first != second
    assert "(x) @" in second.read_text()
    assert "(x) @" not in first.read_text()


def test_reset_brings_back_a_function_or_a_file_that_was_deleted(workspace: Workspace) -> None:
    path = workspace.folder / catalog()["linear"].file
    path.write_text("x = 1\n")
    workspace.reset(["linear"])
    assert "def linear" in path.read_text()
    assert "x = 1" in path.read_text()
    path.unlink()
    workspace.reset(["linear"])
    assert "def softmax" in path.read_text()


def test_a_file_that_is_no_python_is_broken_and_reset_leaves_it_alone(workspace: Workspace) -> None:
    path = write(workspace, "linear", LINEAR)
    workspace.remember(passed("linear"))
    whole = path.read_text()
    path.write_text(damaged := whole.replace("bias=None):", "bias=None)"))
    assert workspace.state_of("linear") == workspace.state_of("softmax") == "broken"
    with pytest.raises(ConfigError, match="not valid Python"):
        workspace.reset(["linear"])
    assert path.read_text() == damaged
    path.write_text(whole)
    assert workspace.state_of("linear") == "own"


def test_a_hint_count_below_nothing_counts_as_none(workspace: Workspace) -> None:
    (workspace.folder / PROGRESS).write_text("[hints]\nlinear = -5\n")
    assert Workspace(workspace.folder).progress.hints == {"linear": 0}


DAMAGE = [
    "[workspace\n",
    "\xff",
    "[workspace]\nversion = 1\n[parts.linear]\nx = 1\n",
    "[hints]\nlinear = 'x'\n",
    "[parts.linear]\nstate = 'purple'\nsource = ''\nchecked = ''\n",
    "[parts.linear]\nstate = 'own'\nsource = ''\nchecked = ''\nremarks = 3\n",
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_progress_file_is_an_error_and_is_left_alone(workspace: Workspace, damage: str) -> None:
    path = workspace.folder / PROGRESS
    path.write_bytes(damage.encode("latin-1"))
    with pytest.raises(ConfigError, match="progress file"):
        Workspace(workspace.folder)
    assert path.read_bytes() == damage.encode("latin-1")


def test_a_workspace_of_a_newer_version_is_not_touched(workspace: Workspace) -> None:
    path = workspace.folder / PROGRESS
    path.write_text('[workspace]\nversion = 99\nmade_by = "9.0"\n')
    with pytest.raises(ConfigError, match="newer"):
        Workspace(workspace.folder)
    assert "99" in path.read_text()


def test_progress_comes_back_as_it_was_written(workspace: Workspace) -> None:
    workspace.progress.hints["linear"] = 2
    workspace.progress.borrowed["softmax"] = "2026-12-01"
    workspace.progress.predictions["linear"] = 0.5
    workspace.remember(passed("linear"))
    assert read_progress(workspace.folder / PROGRESS) == workspace.progress


def test_parts_py_gives_own_and_lent(workspace: Workspace) -> None:
    write(workspace, "linear", "def linear(x, weight, bias=None):\n    return 'mine'\n")
    program = (
        "from parts import linear, softmax\nimport torch\n"
        "assert linear(1, 2) == 'mine'\nassert torch.equal(softmax(torch.zeros(2)), torch.full((2,), 0.5))\n"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=workspace.folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_a_sitting_opens_where_one_is(workspace: Workspace) -> None:
    names = list(units())
    assert first_open(workspace).name == names[0]
    for part in units()[names[0]].parts:
        workspace.progress.borrowed[part] = "2026-12-01"
    assert first_open(workspace).name == names[1]


def test_a_change_is_seen_once(workspace: Workspace) -> None:
    session = Session(workspace, "en")
    assert session.changed() == []
    path = write(workspace, "linear", LINEAR)
    assert session.changed() == [path]
    assert session.changed() == []


def test_hints_come_in_three_steps_and_are_counted(workspace: Workspace) -> None:
    session = Session(workspace, "en")
    steps = [session.next_hint("linear") for _ in range(4)]
    assert [step for step, _text in steps] == [1, 2, 3, 3]
    assert "____" in steps[2][1]
    assert Workspace(workspace.folder).progress.hints["linear"] == 3


@pytest.mark.parametrize("number", [stage["number"] for stage in path_order()])
def test_a_stage_s_file_of_stubs_can_be_loaded_and_holds_every_part(number: int) -> None:
    namespace: dict[str, object] = {}
    exec(compile(file_of_stage(number), "stage", "exec"), namespace)
    for part in catalog().values():
        if part.stage == number:
            assert callable(namespace[part.name])


GPT = """
from parts import embed, layer_norm, transformer_block

def gpt_forward(ids, p, n_layers, n_heads, *, dropout=0.0, generator=None):
    from parts import dropout as drop
    x = drop(embed(ids, p["wte"], p["wpe"]), dropout, generator is not None or dropout > 0, generator)
    for i in range(n_layers):
        inner = {name.removeprefix(f"h.{i}."): value for name, value in p.items() if name.startswith(f"h.{i}.")}
        x = transformer_block(x, inner, n_heads, dropout=dropout, generator=generator)
    return layer_norm(x, p["ln_f.weight"], p["ln_f.bias"]) @ p.get("lm_head.weight", p["wte"]).T
"""
EMBED = """    if ids.shape[1] > len(position_weight):
        raise ValueError("too long")
    return token_embedding(ids, token_weight) + position_weight[: ids.shape[1]]
"""


def test_a_stub_in_a_neighbour_s_file_is_lent_whenever_that_file_is_loaded(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "my_llm")
    text, model = workspace.folder / "text.py", workspace.folder / "model.py"
    text.write_text(text.read_text().replace('    raise NotImplementedError("embed")\n', EMBED))
    model.write_text(GPT)
    answer = check_file("gpt_forward", model, seed=1)
    assert answer.passed, answer.mistakes


def test_a_part_that_cannot_be_lent_may_be_named_but_not_called(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "my_llm")
    text = workspace.folder / "text.py"
    lines = (
        "counts = {}",
        "for pair in zip(ids, ids[1:]):",
        "    counts[pair] = counts.get(pair, 0) + 1",
        "return counts",
    )
    body = "".join(f"    {line}\n" for line in lines)
    source = text.read_text().replace('    raise NotImplementedError("count_pairs")\n', body)
    named = "import torch\nfrom parts import token_embedding, adamw_step\n"
    text.write_text(source.replace("import torch\n", named, 1))
    assert check_file("count_pairs", text, seed=1).passed
    text.write_text(text.read_text().replace("    counts = {}\n", "    counts = {}\n    adamw_step()\n"))
    answer = check_file("count_pairs", text, seed=1)
    assert "adamw_step is not lent here" in answer.mistakes[0].what + answer.mistakes[0].evidence
