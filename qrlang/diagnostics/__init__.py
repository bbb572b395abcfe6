"""What the compiler has to say: diagnostics as data, their codes and pages, their renderings."""

from qrlang.diagnostics.diagnostic import Diagnostic, Fix, Note, Severity, has_errors

__all__ = ["Diagnostic", "Fix", "Note", "Severity", "has_errors"]
