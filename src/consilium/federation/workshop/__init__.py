"""The workshop: what an engineer needs to write, try, sign and install a recipe."""

from consilium.federation.workshop.conformance import CHECKS, Finding, check_recipe
from consilium.federation.workshop.mock import mock_needs, mock_sides
from consilium.federation.workshop.packing import install_recipe, pack_recipe, read_pack
from consilium.federation.workshop.source import find_source
from consilium.federation.workshop.template import write_template

__all__ = [
    "CHECKS",
    "Finding",
    "check_recipe",
    "find_source",
    "install_recipe",
    "mock_needs",
    "mock_sides",
    "pack_recipe",
    "read_pack",
    "write_template",
]
