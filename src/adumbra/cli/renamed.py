"""A hint for command lines that were written for an earlier version."""

from collections.abc import Collection, Iterator


def rename_hint(tokens: list[str], accepted: Collection[str]) -> str:
    """Today's names of the old names in a command line.

    Args:
        tokens: The words after ``adumbra``.
        accepted: The options that the command has today; an old name that is one of them is in use again.

    Returns:
        One sentence for each old name; empty where there is none.
    """
    from adumbra.core.legacy import COMMANDS  # Only a wrong command line needs the table.

    if tokens and tokens[0] in COMMANDS:
        return f"The command {tokens[0]} is now called {COMMANDS[tokens[0]]}."
    return "\n".join(f"{old} is now called {new}." for old, new in _renamed(tokens, accepted))


def _renamed(tokens: list[str], accepted: Collection[str]) -> Iterator[tuple[str, str]]:
    from adumbra.core.legacy import OPTIONS, VALUES

    words = [word for token in tokens for word in token.split("=", 1)]
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word not in accepted and OPTIONS.get(word) in accepted:
            yield word, OPTIONS[word]
        values = VALUES.get(word.removeprefix("--"), {}) if word in accepted else {}
        if following in values:
            yield f"{word} {following}", f"{word} {values[following]}"
