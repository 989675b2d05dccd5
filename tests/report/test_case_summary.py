"""The bar of the interval's width and the sentences of the summary."""

import pytest

from adumbra.core.case_features import CaseScore, WidthShares
from adumbra.report.case_summary import WIDTH, score_sentences, width_legend, width_segments, width_sentence

SHARES = WidthShares(0.25, 0.0, 0.75, "annotators")


def test_the_segments_fill_the_bar_in_proportion() -> None:
    first, last = width_segments(SHARES)
    assert (first.source, first.x, first.width) == ("members", 0.0, WIDTH / 4)
    assert (last.source, last.x) == ("calibration", WIDTH / 4)
    assert last.x + last.width == pytest.approx(WIDTH)


def test_every_source_is_named_also_without_a_share() -> None:
    assert [share for _, _, share in width_legend(SHARES)] == ["25%", "0%", "75%"]
    assert "predicted noise within a member 0%" in width_sentence(SHARES)
    assert "draws of one member 100%" in width_sentence(WidthShares(0.0, 1.0, 0.0, "draws"))


def test_the_score_states_how_often_and_on_how_many_cases() -> None:
    score = CaseScore(0.914, 5, 0.7, 0.12, 0.049, 0.253, 41)
    assert score_sentences(score) == (
        "Case score: mean Dice of the 5 members with each other: 0.91",
        "Dice was below 0.7 in 5 of 41 calibration cases with a similar score (12%, 95% interval 5 to 25%)",
    )


def test_an_uncalibrated_score_states_the_agreement_only() -> None:
    assert score_sentences(CaseScore(1.0, 1, 0.7)) == ("Case score: mean Dice of the draws with each other: 1.00",)
