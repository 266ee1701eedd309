"""Filters over messages: words, key:value tokens, and a safe expression language."""

from memphis_desktop.inspect.filter.lazy import LazyMessage
from memphis_desktop.inspect.filter.paths import JsonPath
from memphis_desktop.inspect.filter.query import Filter, FilterError, parse_filter

__all__ = ["Filter", "FilterError", "JsonPath", "LazyMessage", "parse_filter"]
