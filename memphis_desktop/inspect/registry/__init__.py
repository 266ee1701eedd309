"""Schema registries that speak Confluent's REST API, as a source of decoders."""

from memphis_desktop.inspect.registry.client import Fetched, RegistryClient, RegistryError
from memphis_desktop.inspect.registry.schemas import RegistrySchemas
from memphis_desktop.inspect.registry.source import RegistrySource

__all__ = ["Fetched", "RegistryClient", "RegistryError", "RegistrySchemas", "RegistrySource"]
