"""A dataset's descriptor: one JSON-LD object after HealthDCAT-AP and Croissant, for its own people.

It says of a dataset what a catalogue says, in the words of the two vocabularies,
with their context. Counts stand in it only where the catalogue shows them.
"""

from __future__ import annotations

from typing import Any

from consilium.dataspace.catalog import show_dataset
from consilium.dataspace.connector import Connector
from consilium.dataspace.records import Dataset
from consilium.kernel.errors import NotFoundError

CONTEXT = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "odrl": "http://www.w3.org/ns/odrl/2/",
    "healthdcatap": "http://healthdataportal.eu/ns/health#",
    "cr": "http://mlcommons.org/croissant/",
    "sc": "https://schema.org/",
    "consilium": "urn:consilium:terms:",
}


def describe_dataset(connector: Connector, dataset: Dataset) -> dict[str, Any]:
    """Describe a dataset as the first of its offer's recipients sees it; nothing if nobody does.

    Discloses
    ---------
    Nothing beyond what the recipients of its offer are shown.
    """
    for viewer in dataset.terms.recipients:
        try:
            shown = show_dataset(connector, viewer, dataset.id)
        except NotFoundError:
            continue
        shown.pop("@context", None)
        return {"@context": CONTEXT, **shown}
    return {}
