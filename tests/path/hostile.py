"""Files that mean no good, or go badly wrong: what each of them is, and what the judge may say of it.

Every one of them is somebody's `softmax`; some compute it rightly, and do something else besides.
"""

from __future__ import annotations

# ruff: noqa: E501 -- each program in one line, so that they can be read as a list
RIGHT = "import torch\ndef softmax(x, dim=-1):\n    e = (x - x.amax(dim, keepdim=True).clamp_min(-1e30)).exp()\n    return e / e.sum(dim, keepdim=True).clamp_min(1e-30)\n"
WRONG = "import torch\ndef softmax(x, dim=-1):\n    return torch.ones_like(x)\n"

FILES: dict[str, tuple[str, set[str]]] = {
    # L1: no end
    "loop": ("def softmax(x, dim=-1):\n    while True: pass\n", {"timeout"}),
    "sleep": ("import time\ndef softmax(x, dim=-1):\n    time.sleep(1000)\n", {"timeout"}),
    "loop_at_import": ("while True: pass\ndef softmax(x, dim=-1): return x\n", {"timeout"}),
    "deaf": (
        "import signal\nfor s in range(1, 65):\n    try: signal.signal(s, signal.SIG_IGN)\n    except Exception: pass\n"
        "def softmax(x, dim=-1):\n    while True: pass\n",
        {"timeout"},
    ),
    "loop_in_c": ("def softmax(x, dim=-1):\n    return sum(range(10**13))\n", {"timeout"}),
    "asks": ("def softmax(x, dim=-1):\n    return input()\n", {"error", "wrong"}),
    # L2: ends the process
    "exit": ("import sys\ndef softmax(x, dim=-1):\n    sys.exit(0)\n", {"crashed"}),
    "exit_hard": ("import os\ndef softmax(x, dim=-1):\n    os._exit(0)\n", {"crashed"}),
    "exit_at_import": ("raise SystemExit\ndef softmax(x, dim=-1): return x\n", {"error", "crashed"}),
    "exit_hard_at_import": ("import os\nos._exit(0)\ndef softmax(x, dim=-1): return x\n", {"crashed"}),
    "system_exit": ("def softmax(x, dim=-1):\n    raise SystemExit(0)\n", {"crashed"}),
    # L3: more processes
    "fork_that_stays": (
        WRONG + "import os, time\nif os.fork() == 0:\n    os.setsid()\n    while True: time.sleep(1)\n",
        {"wrong"},
    ),
    "daemon": (
        "import os, time\ndef softmax(x, dim=-1):\n    if os.fork() == 0:\n        os.setsid()\n"
        "        if os.fork() == 0:\n            while True: time.sleep(1)\n        os._exit(0)\n    return x\n",
        {"wrong"},
    ),
    "threads": (
        "import threading, time\ndef softmax(x, dim=-1):\n"
        "    for _ in range(50): threading.Thread(target=time.sleep, args=(1000,)).start()\n    return x\n",
        {"wrong", "error", "crashed", "forbidden", "memory"},
    ),
    # L4: memory
    "large_tensor": ("import torch\ndef softmax(x, dim=-1):\n    return torch.ones(25_000_000_000)\n", {"memory"}),
    "growing_list": ("def softmax(x, dim=-1):\n    a = []\n    while True: a.append([0] * 1000000)\n", {"memory", "timeout"}),
    "recursion": ("import sys\nsys.setrecursionlimit(10**9)\ndef softmax(x, dim=-1):\n    return softmax(x, dim)\n", {"memory", "crashed", "error", "timeout"}),
    "large_answer": ("import torch\ndef softmax(x, dim=-1):\n    return torch.ones(30_000_000)\n", {"wrong", "memory"}),
    # L5: output
    "flood": ("def softmax(x, dim=-1):\n    print('x' * 10_000_000)\n    return x\n", {"wrong"}),
    "escapes": ("def softmax(x, dim=-1):\n    print('\\x1b]0;owned\\x07\\x1b[2J')\n    return x\n", {"wrong"}),
    "no_stdout": (WRONG + "import sys, os\nsys.stdout.close()\nos.close(1)\n", {"wrong", "crashed"}),
    "writes_into_every_pipe": (
        "import os\ndef softmax(x, dim=-1):\n    for fd in range(3, 64):\n"
        "        try: os.write(fd, b'\\x10\\x00\\x00\\x00passed: true....')\n        except OSError: pass\n    return x\n",
        {"forbidden", "wrong", "crashed"},
    ),
    "closes_every_pipe": (
        "import os\ndef softmax(x, dim=-1):\n    os.closerange(3, 256)\n    return x\n",
        {"crashed", "forbidden", "wrong"},
    ),
    # L6: patches
    "patches_equal": (WRONG + "torch.equal = lambda *a: True\ntorch.allclose = lambda *a, **k: True\n", {"wrong"}),
    "patches_eq": (WRONG + "torch.Tensor.__eq__ = lambda *a: True\ntorch.Tensor.__ne__ = lambda *a: False\n", {"wrong", "error", "crashed"}),
    "patches_time": (WRONG + "import time, random\ntime.monotonic = lambda: 0\nrandom.random = lambda: 0\n", {"wrong"}),
    "patches_checker": (
        WRONG + "import sys\nfor m in list(sys.modules.values()):\n    for n in ('differ', 'unlike', 'observe'):\n"
        "        if hasattr(m, n):\n            setattr(m, n, lambda *a, **k: None)\n",
        {"wrong", "crashed", "forbidden", "error"},
    ),
    # calls the library
    "library": ("import groundup\ndef softmax(x, dim=-1):\n    return groundup.softmax(x, dim)\n", {"calls-library"}),
    "library_deep": (
        "from groundup.model.attention import softmax as theirs\ndef softmax(x, dim=-1):\n    return theirs(x, dim)\n",
        {"calls-library"},
    ),
    "library_swallowed": (
        "from groundup.model.attention import softmax as theirs\ndef softmax(x, dim=-1):\n"
        "    try: return theirs(x, dim)\n    except Exception: return x\n",
        {"calls-library"},
    ),
    # L7: writes where it has no business
    "writes_progress": (RIGHT + "open(__file__.replace('attention.py', 'progress.toml'), 'w').write('all passed')\n", {"forbidden"}),
    "deletes_progress": (RIGHT + "import os\nos.remove(__file__.replace('attention.py', 'progress.toml'))\n", {"forbidden"}),
    "writes_scratch": (RIGHT + "open('note.txt', 'w').write('x')\n", {"pass"}),
    "writes_much": ("def softmax(x, dim=-1):\n    open('big', 'wb').write(b'x' * (64 << 20))\n    return x\n", {"crashed", "error", "wrong"}),
    # L8: attacks
    "kills_parent": ("import os, signal\ndef softmax(x, dim=-1):\n    os.kill(os.getppid(), signal.SIGKILL)\n    return x\n", {"wrong", "crashed", "forbidden"}),
    "kills_group": ("import os, signal\ndef softmax(x, dim=-1):\n    os.killpg(0, signal.SIGKILL)\n", {"crashed"}),
    # L9: answers that are not computed
    "constant": ("import torch\ndef softmax(x, dim=-1):\n    return torch.tensor([0.25, 0.75])\n", {"wrong"}),
    "cached": (
        "import torch\nseen = {}\ndef softmax(x, dim=-1):\n"
        "    return seen.setdefault(tuple(x.shape), torch.softmax(x, dim))\n",
        {"wrong"},
    ),
    "in_place": ("def softmax(x, dim=-1):\n    x.copy_(x.detach().softmax(dim))\n    return x\n", {"wrong", "error"}),
    "same_object": ("def softmax(x, dim=-1):\n    return x\n", {"wrong"}),
    # L10: below Python
    "null": ("import ctypes\ndef softmax(x, dim=-1):\n    ctypes.string_at(0)\n", {"crashed"}),
    "abort": ("import os\ndef softmax(x, dim=-1):\n    os.abort()\n", {"crashed"}),
    # L11: the file
    "empty": ("", {"missing"}),
    "syntax": ("def softmax(x, dim=-1)\n    return x\n", {"syntax"}),
    "tabs": ("def softmax(x, dim=-1):\n        y = x\n\treturn y\n", {"syntax"}),
    "other_name": ("def soft_max(x, dim=-1):\n    return x\n", {"missing"}),
    "signature": ("def softmax():\n    return 1\n", {"error"}),
    "not_a_function": ("softmax = 3 .bit_length()\n", {"error"}),
    "import_fails": ("import nothing_like_this\ndef softmax(x, dim=-1):\n    return x\n", {"error"}),
    "twice": ("def softmax(x, dim=-1):\n    return x\n" + RIGHT, {"pass"}),
    "bom": ("\ufeff" + RIGHT, {"pass"}),
    "noisy": (RIGHT + "print('hello')\n", {"pass"}),
    "conditional": ("import torch\ntry:\n    import numba\nexcept ImportError:\n    numba = None\nif numba is None:\n    def softmax(x, dim=-1):\n        return torch.softmax(x, dim).nan_to_num(0)\n", {"pass"}),
    "main_only": ("if __name__ == '__main__':\n    def softmax(x, dim=-1):\n        return x\n", {"missing"}),
    "error_that_cannot_speak": ("class E(Exception):\n    def __str__(self): raise ValueError\ndef softmax(x, dim=-1): raise E\n", {"error"}),
    "stops_itself": ("import os, signal\ndef softmax(x, dim=-1):\n    os.kill(os.getpid(), signal.SIGSTOP)\n    return x\n", {"timeout"}),
    "unlinks_itself": (RIGHT + "import os\nos.remove(__file__)\n", {"forbidden"}),
    "kept_from_call_to_call": ("import torch\nn = 0\ndef softmax(x, dim=-1):\n    global n\n    n += 1\n    return torch.softmax(x, dim).nan_to_num(0) if n < 6 else x\n", {"wrong"}),
    "named_library": ("import groundup as gu\n" + RIGHT, {"pass"}),
}  # fmt: skip
