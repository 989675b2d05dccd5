"""Citations are recorded where they belong and never dangle."""

import pytest

from adumbra.core.references import REFERENCES, bibliography, citations, cites


def test_a_method_carries_its_papers() -> None:
    @cites("Dice1945")
    def method() -> int:
        return 3

    assert method() == 3
    assert citations(method, len) == ("Dice1945",)


def test_a_class_can_cite_too() -> None:
    @cites("Gal2016", "Houlsby2011")
    class Posterior:
        pass

    assert citations(Posterior) == ("Gal2016", "Houlsby2011")


def test_an_unknown_paper_is_an_error_at_once() -> None:
    with pytest.raises(KeyError, match="Nobody1900"):
        cites("Nobody1900")


def test_a_bibliography_is_sorted_without_repetition() -> None:
    listed = bibliography(["Gal2016", "Dice1945", "Gal2016"])
    assert [reference.year for reference in listed] == [1945, 2016]
    assert str(listed[0]).endswith("Ecology 26(3):297–302, 1945. doi:10.2307/1932409")


@pytest.mark.parametrize("key", REFERENCES)
def test_a_key_holds_the_year(key: str) -> None:
    assert key.endswith(str(REFERENCES[key].year))
    assert REFERENCES[key].doi.startswith(("10.", "arXiv:"))
