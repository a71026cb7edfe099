"""One thread for each test process: two workers on two cores would otherwise fight over four threads."""

from __future__ import annotations

import hypothesis
import torch

torch.set_num_threads(1)

hypothesis.settings.register_profile("house", deadline=None, print_blob=True)  # a shared machine pauses at will
hypothesis.settings.load_profile("house")
