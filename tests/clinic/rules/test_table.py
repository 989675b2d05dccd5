"""The page on rules shows the rules of the data file, and nothing else."""

from adumbra.clinic.rules.reader import load_rules
from adumbra.clinic.rules.table import UNVERIFIED, rules_table
from adumbra.clinic.rules.verdicts import DISCLAIMER

BEGIN, END = "<!-- table of rules: begin -->\n", "<!-- table of rules: end -->"


def test_the_page_shows_the_table_of_the_data_file(project_root):
    page = (project_root / "docs" / "explanation" / "rules.md").read_text("utf-8")
    _, _, rest = page.partition(BEGIN)
    table, _, _ = rest.partition(END)
    assert table == rules_table(load_rules()), (
        "write the table again: python -c 'from adumbra.clinic.rules.reader import load_rules; "
        "from adumbra.clinic.rules.table import rules_table; print(rules_table(load_rules()), end=str())'"
    )


def test_the_page_says_that_nothing_is_recommended(project_root):
    page = (project_root / "docs" / "explanation" / "rules.md").read_text("utf-8")
    assert DISCLAIMER in page.replace("\n", " ").replace("> ", "")


def test_rows_and_marks():
    rules = load_rules()
    rows = [row for row in rules_table(rules).splitlines() if row.startswith("| [")]
    assert len(rows) == len(rules)
    for rule, row in zip(rules, rows, strict=True):
        assert row.count(" | ") == 3
        assert f"https://doi.org/{rule.doi}" in row
        assert (UNVERIFIED in row) == (not rule.verified)
