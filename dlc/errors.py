"""Every error dlc raises on purpose: one sentence that says what, where and how to mend it.

The command line prints the sentence and exits with code 2; a traceback means a bug in dlc.
"""

from __future__ import annotations


class DlcError(Exception):
    """Base of all errors a user can cause or mend."""


class ModelError(DlcError):
    """A model file that cannot be read, is malformed, or contradicts itself."""


class UnsupportedError(DlcError):
    """An operator, dtype or form of an operator that dlc does not handle (yet)."""


class VerifyError(DlcError):
    """A graph that breaks a numbered constraint of an operator or of the graph itself."""


class ParseError(DlcError):
    """Textual IR, a pass pipeline or a command-line value that does not parse."""


class PassError(DlcError):
    """An unknown pass, a bad option, or a pass that failed."""


class PluginError(DlcError):
    """A file given to --load, or an installed plugin, that cannot be read or does not import."""


class RuleError(PassError):
    """A rewrite rule that does what no rule may, such as changing a type: a bug of the pass."""


class MeaningError(PassError):
    """A pass that changed what the model computes by more than its contract allows."""


class InputError(DlcError):
    """Run-time inputs that are missing, unknown, or of the wrong dtype or shape."""


class BuildError(DlcError):
    """No C compiler, a compiler that failed, or a folder that cannot be written."""


class PlanError(DlcError):
    """A memory plan that is not sound."""
