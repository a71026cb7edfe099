"""A learner's workspace: a file for each stage."""

from __future__ import annotations

from pathlib import Path

from .catalog import path_order

PROGRESS = "progress.toml"


def files_of(folder: Path) -> list[Path]:
    """The files of the stages, if the folder is a workspace; otherwise none."""
    if not (folder / PROGRESS).is_file():
        return []
    return [folder / stage["file"] for stage in path_order() if (folder / stage["file"]).is_file()]
