"""The command ``adumbra``: which commands there are, and what an error becomes.

Exit codes: 0 all went well, 1 it failed, 2 the command line is wrong, 3 some cases failed, 4 the input was rejected.
"""

import sys
import traceback
from collections.abc import Sequence

from cyclopts import App, CycloptsError
from rich.console import Console

from adumbra import __version__
from adumbra.cli import options
from adumbra.cli.calibrate import calibrate
from adumbra.cli.demo import demo
from adumbra.cli.evaluate import evaluate
from adumbra.cli.evaluate_uncertainty import evaluate_uncertainty
from adumbra.cli.information import information
from adumbra.cli.options import RESEARCH_USE
from adumbra.cli.predict import predict
from adumbra.cli.report import report
from adumbra.cli.simulate import simulate
from adumbra.cli.train import train
from adumbra.core.errors import AdumbraError, InputRejected

app = App(
    name="adumbra",
    help=f"Outlines the lesion in stroke MRI and shades every voxel that it is unsure of. {RESEARCH_USE}",
    version=f"adumbra {__version__}. {RESEARCH_USE}",
    help_format="plaintext",
    result_action="return_value",
    # Control-C is answered below, with the exit code that shells expect.
    suppress_keyboard_interrupt=False,
)
for command in (predict, simulate, train, calibrate, evaluate, evaluate_uncertainty, information, report, demo):
    app.command(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: What stands behind ``adumbra``; the process's own by default.

    Returns:
        The exit code.
    """
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return app(tokens, exit_on_error=False, print_error=False) or options.OK
    except KeyboardInterrupt:
        return _said("Stopped.", 130)
    except (CycloptsError, options.UsageError) as error:
        return _said(f"{error}\nSee: adumbra {_named_command(tokens)}--help", options.USAGE)
    except AdumbraError as error:
        return _refused(error, tokens)
    except Exception as error:
        return _broken(error, tokens)


def _named_command(tokens: list[str]) -> str:
    return f"{tokens[0]} " if tokens and tokens[0] in app else ""


def _refused(error: AdumbraError, tokens: list[str]) -> int:
    _show_traceback(tokens)
    if "--json" in tokens:
        options.print_json(options.described(error))
    return _said(str(error), options.REJECTED if isinstance(error, InputRejected) else options.FAILED)


def _broken(error: Exception, tokens: list[str]) -> int:
    _show_traceback(tokens)
    if "--json" in tokens:
        options.print_json({"error": {"kind": type(error).__name__, "found": str(error)}})
    return _said(f"{type(error).__name__}: {error}\nThis is a defect: run it again with --debug and report it.", 1)


def _show_traceback(tokens: list[str]) -> None:
    if "--debug" in tokens:
        traceback.print_exc()


def _said(text: str, code: int) -> int:
    Console(stderr=True).print(text, markup=False, highlight=False, soft_wrap=True)
    return code
