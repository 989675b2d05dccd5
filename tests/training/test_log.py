import json

from adumbra.training.log import Log


def lines(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_each_step_is_a_line_and_a_resumed_log_drops_what_is_done_again(tmp_path):
    with Log(tmp_path, 0) as log:
        for step in range(1, 6):
            log.write(step, {"loss": 1.0 / step})
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 6, "lo')  # cut short by a kill
    with Log(tmp_path, 3) as log:
        log.write(4, {"loss": float("nan"), "cases": {"a": 0.5}})
    assert [line["step"] for line in lines(tmp_path)] == [1, 2, 3, 4]
    assert lines(tmp_path)[-1] == {"step": 4, "loss": None, "cases": {"a": 0.5}}


def test_tensorboard_reads_the_curve(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with Log(tmp_path, 0) as log:
        log.write(1, {"loss": 0.5, "cases": {"a": 0.5}})
    events = EventAccumulator(str(tmp_path / "events")).Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(1, 0.5)]
