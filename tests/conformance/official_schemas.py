"""The protocol's official schemas and examples, patched where they are broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft201909Validator
from referencing import Registry, Resource

BASE = "https://w3id.org/dspace/2025/1"
FOLDERS = {
    "Catalog": "catalog",
    "Dataset": "catalog",
    "Contract": "negotiation",
    "Transfer": "transfer",
    "Version": "common",
    "Did": "common",
}


class Official:
    """The schemas by the type of document they describe, and the examples."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        registry: Registry[Any] = Registry()
        for path in sorted(folder.glob("*/*-schema.json")):
            # Three schemas hold a reference without its slash; it is put right here.
            text = path.read_text(encoding="utf-8").replace(
                ".json#definitions/", ".json#/definitions/"
            )
            contents = json.loads(text)
            registry = registry.with_resource(contents["$id"], Resource.from_contents(contents))
        self.registry = registry

    def errors(self, kind: str, document: Any) -> list[str]:
        """Say what the official schema of this type finds wrong."""
        folder = next(place for start, place in FOLDERS.items() if kind.startswith(start))
        validator = Draft201909Validator(
            {"$ref": f"{BASE}/{folder}/{_file(kind)}-schema.json"}, registry=self.registry
        )
        return [error.message for error in validator.iter_errors(document)]

    def examples(self) -> dict[str, Any]:
        """Give every example by its file name."""
        paths = sorted(self.folder.glob("*/example/*.json"))
        return {path.name: json.loads(path.read_text(encoding="utf-8")) for path in paths}


def _file(kind: str) -> str:
    if kind == "VersionResponse":
        return "protocol-version"
    return "".join(f"-{char.lower()}" if char.isupper() else char for char in kind).strip("-")
