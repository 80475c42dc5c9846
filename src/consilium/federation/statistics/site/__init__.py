"""What a hospital computes for a question. Its files' digest is what agreements allow."""

from consilium.federation.statistics.site.computing import SiteComputation, installed_statistics

__all__ = ["SiteComputation", "installed_statistics"]
