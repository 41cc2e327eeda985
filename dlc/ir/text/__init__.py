"""Textual IR: print, parse, save and load graphs at every level (grammar: docs/text_ir.md)."""

from dlc.ir.text.file import load, save
from dlc.ir.text.parser import parse_graph, parse_type
from dlc.ir.text.printer import INLINE_LIMIT, print_graph

__all__ = ["INLINE_LIMIT", "load", "parse_graph", "parse_type", "print_graph", "save"]
