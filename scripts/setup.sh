# The set-up that ./try and ./test share: `setup` makes .venv with groundup in it, `setup test` with the tools of the
# tests too. What is there already is left alone. It is sourced from the repository's root, by any bash from 3.2 on.

export PIP_DISABLE_PIP_VERSION_CHECK=1
cpu_index=https://download.pytorch.org/whl/cpu  # where PyTorch documents its builds without CUDA
torch='torch>=2.10'
venv=$PWD/.venv

setup() {
    local extra=${1:-}
    local stamp=$venv/ready${extra:+-$extra}
    export PATH=$venv/bin:$PATH
    if [ "$(cat "$stamp" 2>/dev/null)" = "$(cksum <pyproject.toml)" ]; then
        return
    fi
    echo "setting up .venv${extra:+ with the tools of the tests} (only the first time)"
    [ -x "$venv/bin/pip" ] || make_venv
    install_torch
    # Nothing that comes later may draw another torch: a plain one for Linux brings gigabytes of CUDA.
    echo "torch==$(installed torch)" >"$venv/constraints.txt"
    pip install --quiet --constraint "$venv/constraints.txt" --editable ".${extra:+[$extra]}"
    cksum <pyproject.toml >"$stamp"
}

make_venv() {
    local python
    python=$(find_python)
    if ! "$python" -m venv "$venv"; then
        rm -rf "$venv"
        echo "$python cannot make a virtual environment; on Debian and Ubuntu: sudo apt install python3-venv" >&2
        return 1
    fi
}

find_python() {
    local name
    for name in python3 python3.13 python3.12 python3.11; do
        if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    echo "groundup needs Python 3.11, 3.12 or 3.13, and finds none of them as python3" >&2
    return 1
}

install_torch() {
    if [ -n "$(installed torch)" ]; then
        return
    fi
    if [ "$(uname -s)" != Linux ] || nvidia-smi >/dev/null 2>&1; then
        pip install --quiet "$torch"
    elif ! { answers "$cpu_index/torch/" && pip install --quiet --index-url "$cpu_index" "$torch"; }; then
        echo "the index of CPU builds does not answer: taking torch 2.13.0 from the usual one"
        pip install --quiet torch==2.13.0
    fi
}

# The version of a package in .venv, or nothing.
installed() {
    python -c 'import sys, importlib.metadata as m; print(m.version(sys.argv[1]))' "$1" 2>/dev/null || true
}

# Whether an address answers within ten seconds. The alarm also ends a look-up of the name that hangs.
answers() {
    (python -c 'import signal, sys, urllib.request as u; signal.alarm(10); u.urlopen(sys.argv[1], timeout=10)' "$1") \
        >/dev/null 2>&1
}
