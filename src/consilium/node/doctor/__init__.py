"""Examining a node: the way from this folder to the hub, hop by hop, and what stands at fault."""

from consilium.node.doctor.examination import examine_node

__all__ = ["examine_node"]
