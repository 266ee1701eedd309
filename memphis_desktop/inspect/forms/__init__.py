"""Bodies written by form: the fields of a type, whatever schema language it comes from."""

from memphis_desktop.inspect.forms.fields import Field, FieldKind, FieldProblem, default_value, read_scalar

__all__ = ["Field", "FieldKind", "FieldProblem", "default_value", "read_scalar"]
