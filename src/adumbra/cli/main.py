"""The command ``adumbra``: its subcommands, and the exit code of each kind of error.

Exit codes: 0 success, 1 failure, 2 wrong command line, 3 some cases failed, 4 rejected input.
"""

import sys
import traceback
from collections.abc import Sequence

from cyclopts import App, CycloptsError
from rich.console import Console

from adumbra import __version__
from adumbra.cli import options
from adumbra.cli.advice import adapted_error
from adumbra.cli.calibrate import calibrate
from adumbra.cli.demo import demo
from adumbra.cli.evaluate import evaluate
from adumbra.cli.evaluate_uncertainty import evaluate_uncertainty
from adumbra.cli.information import information
from adumbra.cli.options import RESEARCH_USE
from adumbra.cli.predict import predict
from adumbra.cli.renamed import rename_hint
from adumbra.cli.report import report
from adumbra.cli.simulate import simulate
from adumbra.cli.train import train
from adumbra.cli.validate import validate
from adumbra.core.errors import AdumbraError, InputRejected

app = App(
    name="adumbra",
    help=f"Segments the lesion or the thrombus in stroke MRI and maps the uncertainty of every voxel. {RESEARCH_USE}",
    version=f"adumbra {__version__}. {RESEARCH_USE}",
    help_format="plaintext",
    result_action="return_value",
    # main() handles Control-C itself and returns the exit code that shells expect.
    suppress_keyboard_interrupt=False,
)
for command in (
    predict,
    simulate,
    train,
    calibrate,
    evaluate,
    evaluate_uncertainty,
    information,
    report,
    demo,
    validate,
):
    app.command(options.unwrap_docstring(command))
_COMMANDS = app


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: The words after ``adumbra``; those of the process by default.

    Returns:
        The exit code.
    """
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return app(tokens, exit_on_error=False, print_error=False) or options.OK
    except KeyboardInterrupt:
        return _print_error("Stopped.", 130)
    except (CycloptsError, options.UsageError) as error:
        return _print_error(_usage_text(error, tokens), options.USAGE)
    except AdumbraError as error:
        return _report_error(error, tokens)
    except Exception as error:
        return _report_defect(error, tokens)


def _usage_text(error: Exception, tokens: list[str]) -> str:
    """The names of today where old ones were given, else the message; then the help to read."""
    command = f"{tokens[0]} " if tokens and tokens[0] in app else ""
    return f"{rename_hint(tokens, _accepted(tokens)) or error}\nSee: adumbra {command}--help"


def _accepted(tokens: list[str]) -> set[str]:
    """The options of the command that the tokens name."""
    if not tokens or tokens[0] not in _COMMANDS:
        return set()
    return {name for argument in _COMMANDS[tokens[0]].assemble_argument_collection() for name in argument.names}


def _report_error(error: AdumbraError, tokens: list[str]) -> int:
    _print_traceback(tokens)
    if tokens and tokens[0] in _COMMANDS:
        error = adapted_error(error, tokens[0], _accepted(tokens))
    if "--json" in tokens:
        options.print_json(options.json_error(error))
    return _print_error(str(error), options.REJECTED if isinstance(error, InputRejected) else options.FAILED)


def _report_defect(error: Exception, tokens: list[str]) -> int:
    _print_traceback(tokens)
    if "--json" in tokens:
        options.print_json({"error": {"kind": type(error).__name__, "found": str(error)}})
    text = f"{type(error).__name__}: {error}\nThis is a defect: run it again with --debug and report it."
    return _print_error(text, options.FAILED)


def _print_traceback(tokens: list[str]) -> None:
    if "--debug" in tokens:
        traceback.print_exc()


def _print_error(text: str, code: int) -> int:
    Console(stderr=True).print(text, markup=False, highlight=False, soft_wrap=True)
    return code
