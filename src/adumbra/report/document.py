"""The clinical report as plain values: a list of sections with paragraphs, tables and figures, in reading order.

Page and PDF are drawn from the same document. All texts are plain text. No character has a meaning for the layout, so a
text of a user is printed as it was written.
"""

from dataclasses import dataclass

ESTIMATED_PERFUSION = "Estimated, not measured perfusion"
"""The label of every section on hypoperfusion without contrast agent."""

JPEG_START, PNG_START = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        header: Titles of the columns; empty for a table without a header.
        rows: Cells of each row, as many as there are columns. The first cell of a row is its title.
        caption: Sentence above the table; empty for none.
        numeric: Indices of the columns that hold numbers, which are aligned at the right.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    numeric: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        widths = {len(row) for row in (self.header, *self.rows) if row}
        if len(widths) > 1:
            raise ValueError(f"the rows of a table have {sorted(widths)} cells: give each row one cell per column")

    @property
    def columns(self) -> int:
        """The number of columns."""
        return max((len(row) for row in (self.header, *self.rows)), default=0)


@dataclass(frozen=True, eq=False)
class Figure:
    """A picture with its caption.

    Attributes:
        image: The bytes of a PNG or JPEG file.
        caption: Sentence below the picture.
        alt: Description for readers who cannot see it.
        width: Share of the text's width, above 0 and at most 1. Neighbours whose shares add up to at most 1 stand side
            by side.
    """

    image: bytes
    caption: str
    alt: str = ""
    width: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 < self.width <= 1.0:
            raise ValueError(f"a figure has a width of {self.width}: give a share above 0 and at most 1")
        if not self.image.startswith((JPEG_START, PNG_START)):
            raise ValueError("a figure is neither a PNG nor a JPEG file: give the bytes of one")

    @property
    def suffix(self) -> str:
        """The suffix of its file: ``".png"`` or ``".jpg"``."""
        return ".png" if self.image.startswith(PNG_START) else ".jpg"


@dataclass(frozen=True)
class Entry:
    """One item of a list with pictures, such as a region to look at again.

    Attributes:
        title: Title of the item.
        figures: Its pictures, in one row; on a narrow screen in two columns.
        facts: Names and values.
        sentences: Sentences below the pictures.
        tables: Further numbers, which the page shows on demand and the PDF leaves out.
        summary: Title of the further numbers.
    """

    title: str
    figures: tuple[Figure, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    sentences: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    summary: str = ""


@dataclass(frozen=True)
class EntryList:
    """A numbered list of items below a heading of its own.

    Attributes:
        title: The heading.
        paragraphs: Paragraphs above the items.
        entries: The items, in order.
    """

    title: str
    paragraphs: tuple[str, ...] = ()
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True)
class Section:
    """One section of the report: its paragraphs, then its tables, then its figures, then its lists.

    Attributes:
        title: Title of the section.
        paragraphs: Paragraphs of plain text.
        tables: Tables, in order.
        figures: Figures, in order.
        label: Words beside the title that restrict what the section means, such as ``ESTIMATED_PERFUSION``.
        lists: Lists of items with pictures, in order.
    """

    title: str
    paragraphs: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    label: str = ""
    lists: tuple[EntryList, ...] = ()


@dataclass(frozen=True)
class Document:
    """The clinical report of one case. It holds no date and nothing that identifies a patient.

    Attributes:
        title: What kind of report it is.
        case: Name of the case, a pseudonym.
        conclusion: The lines on top of the report.
        sections: Sections in the order of a stroke-MRI report.
        warnings: Sentences that stand in a box below the conclusion.
        footer: Text at the foot of every page, such as the version and the hash of the run.
    """

    title: str
    case: str
    conclusion: tuple[str, ...]
    sections: tuple[Section, ...]
    warnings: tuple[str, ...] = ()
    footer: str = ""
