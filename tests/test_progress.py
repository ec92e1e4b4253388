from __future__ import annotations

from crgan.progress import Progress, Silent


def test_silent_progress_takes_everything_and_prints_nothing(capsys) -> None:
    progress: Progress = Silent()
    with progress.task("training", 3) as task:
        task.advance()
        task.advance(2, loss=0.5)
    progress.note("done")
    assert capsys.readouterr() == ("", "")
