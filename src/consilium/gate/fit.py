"""Fit: whether a dataset has the columns that a study needs, meaning the same.

A model learnt from years here and months there would be wrong without anyone
noticing. So names, kinds and units must be the same at every hospital, and a
category may have only values that the study knows. Images and signals must have
the study's shape, the target its kind and classes. Columns beyond those needed
do no harm; a site worker leaves them out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from consilium.gate.orders import Study
from consilium.kernel.errors import DeniedError
from consilium.readers.schema import Schema


def check_fit(study: Study, schema: Mapping[str, Any], *, lacks: Collection[str] = ()) -> None:
    """Refuse a study whose fields, label or target the dataset does not have alike.

    Parameters
    ----------
    study : Study
    schema : mapping
        The dataset's.
    lacks : collection of str, optional
        Modalities that the study's invitation says are not here; their fields
        are not asked for.

    Raises
    ------
    DeniedError
        `gate.no_such_column` or `gate.column_differs`, naming the column as
        the study calls it, and what of it differs.
    """
    here = Schema.from_record(schema)
    columns = {feature.name: feature for feature in here.features}
    for need in study.features:
        found = columns.get(need.name)
        if need.modality in lacks:
            continue
        if found is None:
            raise DeniedError("gate.no_such_column", column=need.name)
        for part in ("kind", "unit", "modality", "shape"):
            if getattr(found, part) != getattr(need, part):
                raise DeniedError("gate.column_differs", column=need.name, part=part)
        if not set(found.categories) <= set(need.categories):
            raise DeniedError("gate.column_differs", column=need.name, part="categories")
    if study.label != here.label.field:
        raise DeniedError("gate.no_such_column", column=study.label)
    for part in ("kind", "classes", "unit"):
        if getattr(here.target, part) != getattr(study.target, part):
            raise DeniedError("gate.column_differs", column=study.label, part=f"target.{part}")
