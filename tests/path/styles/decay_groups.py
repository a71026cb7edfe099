"""Right in unusual ways."""

from __future__ import annotations

import re


def decay_groups_in_a_loop(named):
    decay, no_decay = [], []
    for name, p in named:
        if p.ndim >= 2 and "wte" not in name and "wpe" not in name:
            decay.append(name)
        else:
            no_decay.append(name)
    return decay, no_decay


def decay_groups_as_lists(named):
    names = {name: len(p.shape) > 1 and name.split(".")[-1] not in {"wte", "wpe"} for name, p in named}
    return [[n for n, d in names.items() if d], [n for n, d in names.items() if not d]]


def decay_groups_as_sets(named):
    everything = {name for name, _ in named}
    kept = {name for name, p in named if p.dim() < 2 or re.search(r"(^|\.)w[tp]e(\.|$)", name)}
    return everything - kept, kept


def decay_groups_sorted(named):
    rule = {True: [], False: []}
    for name, p in sorted(named, key=lambda pair: pair[0]):
        exempt = p.dim() <= 1 or name.startswith(("wte", "wpe")) or "bias" in name or ".ln" in name or ".b_" in name
        rule[not exempt].append(name)
    return rule[True], rule[False]


def decay_groups_without_dim(named):
    def decays(name, p):
        try:
            p[(0,) * 2]
        except IndexError:
            return False
        return name not in ("wte", "wpe")

    flags = [decays(*pair) for pair in named]
    return tuple(
        tuple(pair[0] for pair, flag in zip(named, flags, strict=True) if flag is one) for one in (True, False)
    )


def decay_groups_last_first(named):
    no_decay = [n for n, p in reversed(named) if p.ndimension() < 2 or n in ["wpe", "wte"]]
    return [n for n, _ in reversed(named) if n not in no_decay], no_decay
