"""Copies the versions of registered models and their aliases; what is here stays."""

import json
from typing import TYPE_CHECKING

from pipeline.core.redact import redact
from pipeline.merge.runs import ID, ORIGIN, VERSIONS, Runs, pages

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


def copy(theirs: "MlflowClient", ours: "MlflowClient", runs: Runs) -> None:
    """Copy the versions whose files came with `runs`, under the next number, and the aliases that are free here."""
    for model in pages(theirs.search_registered_models):
        name, named = model.name, f"name = '{model.name}'"
        found = ours.search_registered_models(named)
        aliases = (found[0] if found else ours.create_registered_model(name, model.tags, model.description)).aliases
        copies = {_origin(version): int(version.version) for version in pages(ours.search_model_versions, named)}
        numbers = {}
        for version in sorted(pages(theirs.search_model_versions, named), key=lambda version: int(version.version)):
            there = int(version.version)
            if here := copies.get(_origin(version)):
                numbers[there] = here
            elif not any(found in runs.ids for found in ID.findall(version.source)):
                files = redact(version.source)
                runs.notes.append(
                    f"version {there} of model {name} is not copied: {files} is of no run that was copied"
                )
            elif (here := numbers.setdefault(there, _create(theirs, ours, runs, version))) != there:
                runs.notes.append(f"version {there} of model {name} there is version {here} here")
        for alias, there in model.aliases.items():
            here, taken = numbers.get(int(there)), aliases.get(alias)
            if here and taken is None:
                ours.set_registered_model_alias(name, alias, str(here))
            elif here and int(taken) != here:
                runs.notes.append(
                    f"alias {alias} of model {name} stays with version {taken}; there version {here} has it"
                )


def _create(theirs: "MlflowClient", ours: "MlflowClient", runs: Runs, version: "ModelVersion") -> int:
    """Create the copy of a version; return its number."""
    source, run = version.source, runs.ids.get(version.run_id)
    if run:
        source = source.replace(theirs.get_run(version.run_id).info.artifact_uri, ours.get_run(run).info.artifact_uri)
    source, tags = runs.renamed(source), runs.tags(version.tags, _origin(version))
    model = source.removeprefix("models:/") if source.startswith("models:/m-") else None
    links = json.loads(ours.get_logged_model(model).tags.get(VERSIONS, "[]")) if model else []
    more = {"tags": tags, "description": version.description, "model_id": model}
    number = int(ours.create_model_version(version.name, source, run, **more).version)
    if model:  # as mlflow.register_model links the two
        links.append({"name": version.name, "version": number})
        ours.set_logged_model_tags(model, {VERSIONS: json.dumps(links)})
    return number


def _origin(version: "ModelVersion") -> str:
    """Return what identifies a version in all stores: its run and its time of creation where it was made."""
    return version.tags.get(ORIGIN) or f"{version.run_id} {version.creation_timestamp}"
