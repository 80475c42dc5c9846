"""Federated statistics: questions over agreements, answered in seconds, no engine job."""
