"""Decoders: from stored bytes to values, with a report of why each did or did not apply."""

from memphis_desktop.inspect.decode.chain import TITLES, decode, decode_soon
from memphis_desktop.inspect.decode.model import Decoded, DecodeError, RawNumber, Step, Verdict

__all__ = ["TITLES", "DecodeError", "Decoded", "RawNumber", "Step", "Verdict", "decode", "decode_soon"]
