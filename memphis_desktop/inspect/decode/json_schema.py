"""JSON Schemas: loading them, and checking a decoded value against one. Nothing is ever fetched."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import exceptions, validators
from referencing import Registry, Resource
from referencing import exceptions as references
from referencing.jsonschema import DRAFT202012

from memphis_desktop.inspect.decode.exact_json import parse
from memphis_desktop.inspect.decode.model import DecodeError
from memphis_desktop.language import tr

MAX_PROBLEMS = 20
_KEYWORDS = ("$schema", "$defs", "definitions", "properties", "allOf", "anyOf", "oneOf", "patternProperties")
_TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")


class JsonSchemaError(Exception):
    """A text is no JSON Schema; says why."""


@dataclass(frozen=True, slots=True)
class SchemaProblem:
    """Why a value does not fit: where, and what is wrong."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(frozen=True)
class JsonSchema:
    """One schema that values can be checked against."""

    name: str
    schema: Any
    others: Any = None  # documents it refers to, by how it calls them

    @classmethod
    def from_bytes(
        cls, data: bytes, name: str = "", documents: Mapping[str, bytes] | None = None
    ) -> JsonSchema:
        """Read a schema and the documents it refers to; raises JsonSchemaError when it is none."""
        try:
            schema = parse(data)
        except DecodeError as error:
            raise JsonSchemaError(tr("This is no JSON: {error}", error=error)) from None
        if not isinstance(schema, dict | bool):
            raise JsonSchemaError(tr("A JSON Schema is an object"))
        try:
            validators.validator_for(schema, default=validators.Draft202012Validator).check_schema(schema)  # type: ignore[arg-type]
        except exceptions.SchemaError as error:
            raise JsonSchemaError(
                tr("This is no JSON Schema: {message}", message=error.message)[:300]
            ) from None
        except RecursionError:
            raise JsonSchemaError(tr("This JSON Schema is nested too deep")) from None
        title = schema.get("title") if isinstance(schema, dict) else None
        others = {key: cls.from_bytes(value).schema for key, value in (documents or {}).items()}
        return cls(name or (title if isinstance(title, str) and title else "schema"), schema, others or None)

    @classmethod
    def from_file(cls, path: Path) -> JsonSchema:
        """Read a schema file, named by its title or the file; raises JsonSchemaError."""
        try:
            data = path.read_bytes()
        except OSError as error:
            raise JsonSchemaError(
                tr("{path} cannot be read: {strerror}", path=path, strerror=error.strerror)
            ) from None
        found = cls.from_bytes(data)
        return found if found.name != "schema" else cls(path.stem, found.schema)

    def _registry(self) -> Registry[Any]:
        # A document answers to the name it is referred to by; `$id` may be another.
        return Registry().with_resources(
            (key, Resource.from_contents(document, default_specification=DRAFT202012))
            for key, document in (self.others or {}).items()
        )

    def problems(self, value: Any) -> list[SchemaProblem]:
        """Return why a value (with exact numbers) does not fit; empty when it does."""
        kind = validators.validator_for(self.schema, default=validators.Draft202012Validator)
        found: list[SchemaProblem] = []
        try:
            # What is not in the registry is an error, never a download.
            for error in kind(self.schema, registry=self._registry()).iter_errors(value):
                found.append(SchemaProblem(error.json_path, error.message[:300]))
                if len(found) >= MAX_PROBLEMS:
                    break
        except references.Unresolvable as error:
            found.append(
                SchemaProblem("$", tr("the schema refers to {ref}, which is not in it", ref=error.ref))
            )
        except RecursionError:
            found.append(SchemaProblem("$", tr("nested too deep to be checked")))
        except (TypeError, ValueError, ArithmeticError) as error:
            found.append(SchemaProblem("$", tr("cannot be checked: {error}", error=error)[:300]))
        return found


def looks_like_json_schema(schema: object) -> bool:
    """Whether a JSON document is a JSON Schema rather than an Avro schema."""
    if not isinstance(schema, Mapping):
        return False
    if any(key in schema for key in _KEYWORDS):
        return True
    kind = schema.get("type")
    if isinstance(kind, list):
        return all(entry in _TYPES for entry in kind)
    return kind in _TYPES and not ({"fields", "symbols"} & set(schema))


def looks_like_avro(schema: object) -> bool:
    """Whether a JSON document is an Avro schema of a named type."""
    return isinstance(schema, Mapping) and schema.get("type") in ("record", "enum", "fixed")


def read_json(path: Path) -> object:
    """Return a file's JSON, None when it is none."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
