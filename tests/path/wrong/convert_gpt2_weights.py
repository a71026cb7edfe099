"""Wrong implementations of convert_gpt2_weights as learners write them: (source, what must be named)."""

from __future__ import annotations

HEAD = """
def convert_gpt2_weights(tensors, n_layers):
    t = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    out = {"wte": t["wte.weight"], "wpe": t["wpe.weight"]}
    for i in range(n_layers):
        h = f"h.{i}."
"""  # what several begin with

WRONG = [
    (
        HEAD
        + """\
        for x, w, b in zip("qkv", t[h + "attn.c_attn.weight"].chunk(3, dim=1), t[h + "attn.c_attn.bias"].chunk(3)):
            out[f"{h}attn.w_{x}"], out[f"{h}attn.b_{x}"] = w, b
        for old, new in {"attn.c_proj": "attn.#_o", "mlp.c_fc": "mlp.#_up", "mlp.c_proj": "mlp.#_down"}.items():
            out[h + new.replace("#", "w")] = t[f"{h}{old}.weight"].T
            out[h + new.replace("#", "b")] = t[f"{h}{old}.bias"]
        for n in "12":
            out[f"{h}ln{n}.weight"], out[f"{h}ln{n}.bias"] = t[f"{h}ln_{n}.weight"], t[f"{h}ln_{n}.bias"]
    out["ln_f.weight"], out["ln_f.bias"] = t["ln_f.weight"], t["ln_f.bias"]
    if "lm_head.weight" in t and not t["lm_head.weight"].equal(out["wte"]):
        out["lm_head.weight"] = t["lm_head.weight"]
    return out
""",
        "not transposed",
    ),
    (
        HEAD
        + """\
        for x, w, b in zip("qkv", t[h + "attn.c_attn.weight"].T.chunk(3), t[h + "attn.c_attn.bias"].chunk(3)):
            out[f"{h}attn.w_{x}"], out[f"{h}attn.b_{x}"] = w, b
        for old, new in {"attn.c_proj": "attn.#_o", "mlp.c_fc": "mlp.#_up", "mlp.c_proj": "mlp.#_down"}.items():
            out[h + new.replace("#", "w")] = t[f"{h}{old}.weight"]
            out[h + new.replace("#", "b")] = t[f"{h}{old}.bias"]
        for n in "12":
            out[f"{h}ln{n}.weight"], out[f"{h}ln{n}.bias"] = t[f"{h}ln_{n}.weight"], t[f"{h}ln_{n}.bias"]
    out["ln_f.weight"], out["ln_f.bias"] = t["ln_f.weight"], t["ln_f.bias"]
    if "lm_head.weight" in t and not t["lm_head.weight"].equal(out["wte"]):
        out["lm_head.weight"] = t["lm_head.weight"]
    return out
""",
        "only c_attn is transposed",
    ),
    (
        HEAD
        + """\
        for x, w, b in zip("qkv", t[h + "attn.c_attn.weight"].T.chunk(3), t[h + "attn.c_attn.bias"].chunk(3)):
            out[f"{h}attn.w_{x}"], out[f"{h}attn.b_{x}"] = w, b
        for old, new in {"attn.c_proj": "attn.#_o", "mlp.c_fc": "mlp.#_up", "mlp.c_proj": "mlp.#_down"}.items():
            out[h + new.replace("#", "w")] = t[f"{h}{old}.weight"].T
            out[h + new.replace("#", "b")] = t[f"{h}{old}.bias"]
        for n in "12":
            out[f"{h}ln{n}.weight"], out[f"{h}ln{n}.bias"] = t[f"{h}ln_{n}.weight"], t[f"{h}ln_{n}.bias"]
    out["ln_f.weight"], out["ln_f.bias"] = t["ln_f.weight"], t["ln_f.bias"]
    if "lm_head.weight" in t and t["lm_head.weight"] is not out["wte"]:
        out["lm_head.weight"] = t["lm_head.weight"]
    return out
""",
        "always kept",
    ),
]
