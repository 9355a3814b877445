"""Copies the versions of registered models and their aliases; what is here stays."""

from typing import TYPE_CHECKING

from pipeline.core.redact import redact
from pipeline.merge.runs import ID, ORIGIN, Runs, pages

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
                runs.notes.append(f"version {there} of model {name} is not copied: no copied run has {files}")
            elif (here := numbers.setdefault(there, _create(theirs, ours, runs, version))) != there:
                runs.notes.append(f"version {there} of model {name} there is version {here} here")
        for alias, there in model.aliases.items():
            here, kept = numbers.get(int(there)), aliases.get(alias)
            if here and kept is None:
                ours.set_registered_model_alias(name, alias, str(here))
            elif here and int(kept) != here:
                runs.notes.append(
                    f"alias {alias} of model {name} stays with version {kept}; there version {here} has it"
                )


def _create(theirs: "MlflowClient", ours: "MlflowClient", runs: Runs, version: "ModelVersion") -> int:
    """Create the copy of a version; return its number."""
    source, run = version.source, runs.ids.get(version.run_id)
    if run:
        source = source.replace(theirs.get_run(version.run_id).info.artifact_uri, ours.get_run(run).info.artifact_uri)
    source, tags = runs.renamed(source), runs.tags(version.tags, _origin(version))
    model = source.removeprefix("models:/") if source.startswith("models:/m-") else None
    made = ours.create_model_version(version.name, source, run, tags, description=version.description, model_id=model)
    return int(made.version)


def _origin(version: "ModelVersion") -> str:
    """Return what identifies a version in all stores: its run and its time of creation where it was made."""
    return version.tags.get(ORIGIN) or f"{version.run_id} {version.creation_timestamp}"
