"""The report of a study: one HTML file for people."""

from consilium.space.report.page import render_report
from consilium.space.report.story import EvidenceLine, Member, Story, TermsLine

__all__ = ["EvidenceLine", "Member", "Story", "TermsLine", "render_report"]
