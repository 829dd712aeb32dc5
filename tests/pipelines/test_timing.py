from __future__ import annotations

import time

from mien.pipelines.timing import StageClock


def test_nested_stages_are_charged_once():
    clock = StageClock()

    def slow():
        for _ in range(2):
            time.sleep(0.02)
            yield 1

    started = time.perf_counter()
    with clock.stage("outer"):
        for _ in clock.each("inner", slow()):
            time.sleep(0.01)
    total = time.perf_counter() - started
    assert 0.04 <= clock.seconds["inner"] < 0.1 and 0.02 <= clock.seconds["outer"] < 0.1
    assert abs(sum(clock.seconds.values()) - total) < 0.005
