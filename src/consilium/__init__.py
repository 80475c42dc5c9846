"""Consilium (会诊): hospitals that confer while no patient record leaves its hospital."""

__version__ = "0.1.0"
