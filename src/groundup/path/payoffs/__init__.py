"""What the learner's own parts can do after each stage: their tokenizer cuts real text, their attention reverses words,
their model writes noise, then trains, then writes.

In reading order: `tokens` (stage 1), `reversal` (stage 2), `noise` (stage 3), `race` (stage 4), `talk`
(the model that ships with the package and writes with whatever is there already) and `voices` (stage 5).
"""
