"""Wrong implementations of beam_search as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
def beam_search(next_log_probs, prompt, beams, max_new_tokens, eos_id=None, length_penalty=0.0):
    texts = [(list(prompt), 0.0)]
    for _ in range(max_new_tokens):
        grown = []
        for ids, score in texts:
            if len(ids) > len(prompt) and ids[-1] == eos_id:
                grown.append((ids, score))
                continue
            for token, log_prob in enumerate(next_log_probs([ids])[0]):
                grown.append((ids + [token], score + float(log_prob)))
        texts = sorted(grown, key=lambda text: -text[1])[:beams]
    ranked = [(ids, score / max(len(ids) - len(prompt), 1) ** length_penalty) for ids, score in texts]
    return sorted(ranked, key=lambda text: -text[1])
""",
        "stay in the beam",
    ),
    (
        """
def beam_search(next_log_probs, prompt, beams, max_new_tokens, eos_id=None, length_penalty=0.0):
    live, done = [(list(prompt), 0.0)], []
    while live and len(done) < beams and len(live[0][0]) < len(prompt) + max_new_tokens:
        rows = next_log_probs([ids for ids, _ in live])
        grown = [(ids + [t], s + float(p)) for (ids, s), row in zip(live, rows) for t, p in enumerate(row)]
        grown = sorted(grown, key=lambda text: -text[1])[:beams]
        done += [text for text in grown if text[0][-1] == eos_id]
        live = [text for text in grown if text[0][-1] != eos_id]
    done = done or live
    ranked = [(ids, s / max(len(ids) - len(prompt), 1) ** length_penalty) for ids, s in done]
    return sorted(ranked, key=lambda text: -text[1])[:beams]
""",
        "as soon as .* finished",
    ),
    (
        """
def beam_search(next_log_probs, prompt, beams, max_new_tokens, eos_id=None, length_penalty=0.0):
    live, done = [(list(prompt), 0.0)], []
    for _ in range(max_new_tokens):
        rows = next_log_probs([ids for ids, _ in live])
        grown = [(ids + [t], s + float(p)) for (ids, s), row in zip(live, rows) for t, p in enumerate(row)]
        grown = sorted(grown, key=lambda text: -text[1])[:beams]
        done += [text for text in grown if text[0][-1] == eos_id]
        live = [text for text in grown if text[0][-1] != eos_id]
        if not live:
            break
    ranked = [(ids, s / len(ids) ** length_penalty) for ids, s in done + live]
    return sorted(ranked, key=lambda text: -text[1])[:beams]
""",
        "prompt included",
    ),
]
