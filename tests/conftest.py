"""One thread for each test process and its children: two workers on two cores would otherwise fight over four."""

from __future__ import annotations

import os

import hypothesis
import torch

os.environ["OMP_NUM_THREADS"] = "1"  # for the commands that tests start
torch.set_num_threads(1)

hypothesis.settings.register_profile("house", deadline=None, print_blob=True)  # a shared machine pauses at will
hypothesis.settings.load_profile("house")
