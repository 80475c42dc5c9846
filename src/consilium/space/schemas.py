"""Where a dataset's schema comes from (built in, or a TOML file), and what studies need of it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from consilium.federation.contract import Needs
from consilium.federation.proposal import read_needs
from consilium.kernel.errors import InputError, NotFoundError
from consilium.readers.open_data import SCHEMAS, schema_text
from consilium.readers.schema import Schema
from consilium.space.plans import DatasetPlan


def schema_of(dataset: DatasetPlan) -> str:
    """Return the TOML text of a dataset's schema.

    Raises
    ------
    InputError
        `space.no_schema`.
    """
    return read_schema_text(dataset.schema, dataset=dataset.name)


def read_schema_text(schema: str, *, dataset: str) -> str:
    """Return the TOML text of a schema given by built-in name or by path.

    Raises
    ------
    InputError
        `space.no_schema`.
    """
    try:
        if schema.endswith(".toml"):
            return Path(schema).read_text(encoding="utf-8")
        return schema_text(schema)
    except (OSError, UnicodeDecodeError, NotFoundError) as error:
        raise InputError(
            "space.no_schema", schema=schema, dataset=dataset, known=", ".join(SCHEMAS)
        ) from error


def needs_of(schema: Schema) -> Needs:
    """Return all of a schema's features and its target as a study would need them."""
    return read_needs(
        {
            "features": [asdict(one) for one in schema.features],
            "target": schema.target.as_record(),
        }
    )
