"""The house stands as DESIGN says, and each of its rules notices a crooked wall."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from house import (
    ROOT,
    House,
    chapter,
    circle,
    exports,
    forbidden,
    foreign_imports,
    homeless,
    order_faults,
    reading_order,
    upward_imports,
)

import groundup

SOURCE = Path(groundup.__file__).parent
HEAVY = {"torch", "numpy", "rich", "safetensors", "regex", "tokenizers", "transformers"}
HOUSE = House.read(SOURCE)


def test_every_chapter_stands_on_a_floor() -> None:
    assert homeless(HOUSE) == []


def test_imports_run_downwards_or_to_an_earlier_chapter() -> None:
    assert upward_imports(HOUSE) == []


def test_modules_import_each_other_in_no_circle() -> None:
    assert circle(HOUSE) == []


def test_the_reading_order_names_every_module_and_no_import_points_forward() -> None:
    assert order_faults(HOUSE, reading_order(groundup.__doc__ or "")) == []


def test_the_ground_floor_needs_the_standard_library_alone() -> None:
    assert foreign_imports(HOUSE) == []


def test_the_library_neither_prints_nor_seeds_nor_runs_text_nor_puts_off() -> None:
    assert forbidden(HOUSE) == []


@pytest.mark.parametrize("package", sorted(HOUSE.packages), ids=lambda name: name or ROOT)
def test_a_package_exports_what_its_list_says(package: str) -> None:
    module = importlib.import_module(f"{ROOT}.{package}".rstrip("."))
    listed = [name for name in getattr(module, "__all__", []) if not name.startswith("__")]
    assert sorted(listed) == sorted(exports(HOUSE, package))
    for name in listed:
        assert getattr(module, name) is not None


@pytest.mark.skipif(not (SOURCE / "cli" / "main.py").exists(), reason="there is no command line yet")
def test_help_imports_nothing_heavy() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "groundup", "--help"]
    environment = os.environ | {"PYTHONPATH": str(SOURCE.parent)}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert result.returncode == 0, result.stderr[-2000:]
    assert "train" in result.stdout
    imported = set(re.findall(r"\| +([\w.]+)$", result.stderr, flags=re.MULTILINE))
    assert "groundup" in imported
    assert {chapter(name) for name in imported} & HEAVY == set()


# A crooked house, wall by wall: each rule must notice.


def crooked(**sources: str) -> House:
    """A house of the given modules ("model__norm" is model.norm), with an empty __init__ in each package."""
    modules = {name.replace("__", "."): source for name, source in sources.items()}
    packages = {"", *(chapter(name) for name in modules if "." in name)}
    return House(dict.fromkeys(packages, "") | modules, packages)


@pytest.mark.parametrize(
    ("importer", "statement", "target"),
    [
        ("model.norm", "from ..training.loss import x", "training.loss"),
        ("model.norm", "from groundup.training import loss", "training.loss"),
        ("model.norm", "import groundup.training.loss", "training.loss"),
        ("model.norm", "from ..kernels import loss", "kernels"),
        ("model.norm", "def f():\n    from ..cli import main", "cli.main"),
        ("model.norm", "if TYPE_CHECKING:\n    from ..training import loss", "training.loss"),
        ("text.bpe", "from .. import Transformer", "groundup"),
        ("errors", "from . import config", "config"),
        ("errors", "from .model.norm import x", "model.norm"),
        ("cli.main", "from ..serve import app", "serve.app"),
        ("serve.app", "from ..cli.main import run", "cli.main"),
    ],
)
def test_an_import_upwards_is_noticed(importer: str, statement: str, target: str) -> None:
    others = {"training.loss": "", "cli.main": "", "serve.app": "", "config": "", "kernels": "", "model.norm": ""}
    house = crooked(**{name.replace(".", "__"): source for name, source in (others | {importer: statement}).items()})
    (fault,) = upward_imports(house)
    assert fault.endswith(f"imports {target}")


@pytest.mark.parametrize(
    ("importer", "statement"),
    [
        ("training.loss", "from ..model.norm import x"),
        ("kernels.norm", "from ..model import norm"),
        ("model.block", "from .norm import x"),
        ("weights.checkpoint", "from .. import __version__"),
        ("weights.checkpoint", "from ..files import create\nimport json"),
        ("cli.main", "from ..training import loss"),
    ],
)
def test_an_import_downwards_is_fine(importer: str, statement: str) -> None:
    others = {"model__norm": "", "training__loss": "", "files": ""}
    assert upward_imports(crooked(**others | {importer.replace(".", "__"): statement})) == []


def test_a_circle_is_noticed() -> None:
    assert circle(crooked(model__a="from .b import x", model__b="from . import c", model__c="from .a import y"))
    assert circle(crooked(text__a="from ..model.b import x", model="from ..text.a import y", model__b=""))
    lazily = "def f():\n    from .a import x"
    assert circle(crooked(model__a="from .b import x", model__b=lazily)) == []
    for_types = "if TYPE_CHECKING:\n    from .a import x"
    assert circle(crooked(model__a="from .b import x", model__b=for_types)) == []


def test_the_reading_order_is_read_from_a_docstring() -> None:
    listed = "    errors        what can go wrong\n    model.norm\n"
    not_listed = "        model.rope  further in\n    one two\n    x = 1\nmodel.block  at the margin\n"
    assert reading_order(f"A house.\n\n{listed}\n{not_listed}") == ["errors", "model.norm"]


def test_a_crooked_reading_order_is_noticed() -> None:
    house = crooked(errors="", model__a="from .b import x", model__b="", model="from .b import x")
    assert order_faults(house, ["errors", "model.b", "model.a"]) == []
    assert order_faults(house, ["errors", "model.a", "model.b"]) == ["model.a:1 imports model.b, which comes later"]
    assert order_faults(house, ["errors", "model.b"]) == ["model.a is not in the reading order"]
    assert "model.x is in the reading order, but no module" in order_faults(house, ["model.x"])
    assert "errors is in the reading order twice" in order_faults(house, ["errors", "errors"])
    through = crooked(model__a="from ..text import x", text="from .z import x", text__z="")
    assert order_faults(through, ["model.a", "text.z"]) == ["model.a:1 imports text, which comes later"]
    assert order_faults(through, ["text.z", "model.a", "text"]) == ["model.a:1 imports text, which comes later"]


def test_a_function_with_the_name_of_its_module_is_told_from_it() -> None:
    house = crooked(weights="from .load import load", weights__load="", **{"": "from .weights import load"})
    assert exports(house, "") == {"load"}


def test_an_export_that_is_not_there_and_one_too_many_are_noticed() -> None:
    init = "from ..errors import E\nfrom .norm import norm, _hidden\nfrom . import norm\nX = 1\nT = TypeVar('T')\n"
    lazily = "if TYPE_CHECKING:\n    from .norm import later\ndef f(): from .norm import inside\n"
    assert exports(crooked(model=init + lazily, model__norm="", errors=""), "model") == {"norm", "X", "later", "f"}


def test_a_foreign_import_on_the_ground_floor_is_noticed() -> None:
    assert foreign_imports(crooked(files="import numpy as np")) == ["files:1 imports numpy"]
    assert foreign_imports(crooked(randomness="import torch")) == ["randomness:1 imports torch"]
    assert foreign_imports(crooked(randomness="def f():\n    import torch")) == []
    assert foreign_imports(crooked(files="import os.path\nfrom collections.abc import Iterator")) == []


@pytest.mark.parametrize(
    "statement",
    [
        "print(1)",
        "eval('1')",
        "exec('1')",
        "import pickle",
        "from pickle import loads",
        "torch.load(x)",
        "torch.manual_seed(0)",
        "generator.manual_seed(0)",
        "torch.cuda.manual_seed_all(0)",
        "x = 1  # TODO: later",
    ],
)
def test_what_the_library_does_without_is_noticed(statement: str) -> None:
    assert len(forbidden(crooked(model__norm=statement))) == 1


def test_what_only_looks_forbidden_is_fine() -> None:
    fine = "model.eval()\nre.compile('x')\ntorch.compile(f)\nseed = config.seed\nout.write('print')"
    assert forbidden(crooked(model__norm=fine, randomness="generator.manual_seed(0)")) == []
