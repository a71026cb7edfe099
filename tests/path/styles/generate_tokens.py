"""Right in unusual ways."""

from __future__ import annotations

import torch


def generate_tokens_by_recursion(next_logits, prompt, max_new_tokens, choose, eos_id=None, context_length=None):
    if max_new_tokens == 0:
        return prompt
    token = int(choose(next_logits(prompt[-context_length:] if context_length else prompt)))
    longer = [*prompt, token]
    if token == eos_id:
        return longer
    return generate_tokens_by_recursion(next_logits, longer, max_new_tokens - 1, choose, eos_id, context_length)


def generate_tokens_with_tensors(next_logits, prompt, max_new_tokens, choose, eos_id=None, context_length=None):
    ids = torch.tensor(prompt)
    for _ in range(max_new_tokens):
        seen = ids if context_length is None else ids[-context_length:]
        token = torch.as_tensor(choose(next_logits(seen)))
        ids = torch.cat([ids, token.view(1)])
        if eos_id is not None and token.item() == eos_id:
            break
    return ids.tolist()


def generate_tokens_asks_ahead(next_logits, prompt, max_new_tokens, choose, eos_id=None, context_length=None):
    window = context_length or 10**9
    ids, logits = prompt[:], next_logits(prompt[-window:])
    while len(ids) < len(prompt) + max_new_tokens:
        ids += [int(choose(logits))]
        if ids[-1] == eos_id:
            return ids
        logits = next_logits(ids[-window:])
    return ids


def generate_tokens_with_a_flag(next_logits, prompt, max_new_tokens, choose, eos_id=None, context_length=None):
    new, done = [], False
    while not done and len(new) != max_new_tokens:
        text = list(prompt) + new
        start = 0 if context_length is None else max(0, len(text) - context_length)
        choice = choose(next_logits(tuple(text[start:])))
        new.append(choice.item() if isinstance(choice, torch.Tensor) else choice)
        done = eos_id is not None and new[-1] == eos_id
    return list(prompt) + new


def generate_tokens_by_generator(next_logits, prompt, max_new_tokens, choose, eos_id=None, context_length=None):
    def new():
        text = list(prompt)
        for _ in range(max_new_tokens):
            token = int(choose(next_logits(text[-(context_length or len(text)) :])))
            yield token
            if token == eos_id:
                return
            text.append(token)

    return [*prompt, *new()]


def generate_tokens_in_room_made_before(next_logits, prompt, max_new_tokens, choose, eos_id=None, context_length=None):
    room = torch.zeros(len(prompt) + max_new_tokens, dtype=torch.long)
    room[: len(prompt)] = torch.tensor(prompt)
    end = len(prompt)
    for end in range(len(prompt), len(room)):
        first = 0 if context_length is None else max(end - context_length, 0)
        room[end] = choose(next_logits(room[first:end]))
        if room[end] == eos_id:
            break
    else:
        end = len(room) - 1
    return [int(token) for token in room[: end + 1]]


def generate_tokens_through_a_window(next_logits, prompt, max_new_tokens, choose, eos_id=None, context_length=None):
    from collections import deque

    out, window = list(prompt), deque(prompt, maxlen=context_length)
    for _ in range(max_new_tokens):
        out.append(int(choose(next_logits(list(window)))))
        window.append(out[-1])
        if out[-1] == eos_id:
            return out
    return out
