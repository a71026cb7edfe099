"""Look into a built wheel, and install it into an empty environment, as a stranger would.

    python scripts/check_wheel.py dist/groundup-0.1.0-py3-none-any.whl

The wheel is small, carries its texts with their licences, and no tests. What is installed with it, without torch and
without bytecode, stays small too; and `groundup --help` answers there, which shows that it needs no torch to do so.
"""

from __future__ import annotations

import email
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from pathlib import Path

MAX_WHEEL_MB = 6  # with the texts, and the small model of `learn talk`
MAX_INSTALL_MB = 120
NEEDED = [
    *("groundup/__init__.py", "groundup/cli/main.py", "groundup/presets/shakespeare.toml"),
    *(f"groundup/presets/{name}.toml" for name in ("first-gpt", "chinese", "gpt2-124m")),
    *(f"groundup/text/data/{name}.txt.xz" for name in ("shakespeare", "the-verdict", "chinese")),
    *("groundup/text/data/LICENCES.md", "licenses/LICENSE", "groundup/locale/zh/LC_MESSAGES/groundup.mo"),
]


def check_contents(path: Path) -> list[str]:
    """Everything that is wrong with the wheel itself."""
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        licences = wheel.read("groundup/text/data/LICENCES.md").decode("utf-8")
    faults = [f"{name} is missing" for name in NEEDED if not any(found.endswith(name) for found in names)]
    faults += [f"{name} does not belong into a wheel" for name in names if not name.startswith("groundup")]
    data = [
        Path(name).name for name in names if name.startswith("groundup/text/data/") and name.endswith((".xz", ".txt"))
    ]
    faults += [f"LICENCES.md does not speak of {name}" for name in data if name not in licences]
    if path.stat().st_size > MAX_WHEEL_MB * 1e6:
        faults.append(f"the wheel has {path.stat().st_size / 1e6:.1f} MB: at most {MAX_WHEEL_MB} are meant")
    return faults


def requirements(path: Path) -> list[str]:
    """What the wheel requires besides torch, without its extras."""
    with zipfile.ZipFile(path) as wheel:
        metadata = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        lines = email.message_from_bytes(wheel.read(metadata)).get_all("Requires-Dist") or []
    return [line for line in lines if "extra ==" not in line and not line.startswith("torch")]


def install(path: Path, folder: Path) -> Path:
    """An environment that holds the wheel and what it requires, but for torch; returns its folder of commands."""
    venv.create(folder, with_pip=False)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(folder / "bin" / "python"),
        "install",
        "--quiet",
        "--no-compile",
    ]
    subprocess.run([*pip, *requirements(path)], check=True)
    subprocess.run([*pip, "--no-deps", str(path)], check=True)
    return folder / "bin"


def main(path: Path) -> int:
    """Check one wheel; print the figures and what is wrong."""
    faults = check_contents(path)
    with tempfile.TemporaryDirectory() as name:
        commands = install(path, Path(name) / "venv")
        files = (commands.parent / "lib").rglob("*")
        megabytes = sum(file.stat().st_size for file in files if file.is_file() and file.suffix != ".pyc") / 1e6
        start = time.perf_counter()
        answer = subprocess.run(
            [commands / "groundup", "--help"], capture_output=True, text=True, cwd=name, check=False
        )
        seconds = time.perf_counter() - start
    if answer.returncode or "train" not in answer.stdout:
        faults.append(f"groundup --help ended with {answer.returncode}: {answer.stderr[-500:]}")
    if megabytes > MAX_INSTALL_MB:
        faults.append(f"the core install has {megabytes:.0f} MB: at most {MAX_INSTALL_MB} are meant")
    print(f"wheel {path.stat().st_size / 1e6:.2f} MB (at most {MAX_WHEEL_MB})")
    print(f"core install without torch and bytecode {megabytes:.1f} MB (at most {MAX_INSTALL_MB})")
    print(f"groundup --help, without torch, in {seconds:.2f} s")
    print("\n".join(faults) or "the wheel is sound")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
