"""The parts that text is written with, in one record: the seam of this chapter.

It works as `seam.py` says: every function is bound to the others that it asks for by name, so that an own
`beam_step` is the one that `beam_search` calls.

Read next: `cache.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..seam import Function, Record
from . import beam as _beam
from . import decode as _decode
from . import filters as _filters


@dataclass(frozen=True)
class GenerationParts(Record):
    """The parts that choose tokens; the defaults are those of this chapter."""

    greedy: Function = _filters.greedy
    generate_tokens: Function = _decode.generate_tokens
    apply_temperature: Function = _filters.apply_temperature
    top_k_filter: Function = _filters.top_k_filter
    top_p_filter: Function = _filters.top_p_filter
    min_p_filter: Function = _filters.min_p_filter
    repetition_penalty: Function = _filters.repetition_penalty
    sample: Function = _filters.sample
    beam_step: Function = _beam.beam_step
    beam_search: Function = _beam.beam_search


LIBRARY = GenerationParts()
