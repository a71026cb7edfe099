"""A helper that takes a minute for its answer: what a worker in the middle of something looks like from outside."""

from __future__ import annotations

import os
import time

from groundup.text.workers import serve


def main() -> None:
    def make(first: bytes):
        def answer(question: bytes) -> bytes:
            if question == b"sleep":
                time.sleep(60)
            if question == b"end":
                os._exit(3)
            return first + question

        return answer

    serve(make)
