"""`init`, `recipe schema` and `recipe check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunewright.cli.faults import print_json
from tunewright.cli.options import JsonOutput, Overrides, RecipePath
from tunewright.cli.verb import verb


def register(app: typer.Typer) -> None:
    """Adds these verbs to the command line."""
    verb(app, "init", example="tunewright init --from tickets.csv --out recipe.yaml")(init)
    group = typer.Typer(help="The recipe's schema, and checking a recipe.", no_args_is_help=True)
    verb(group, "schema", example="tunewright recipe schema > recipe.schema.json")(schema)
    verb(group, "check", example="tunewright recipe check recipe.yaml --set train.epochs=3")(check)
    app.add_typer(group, name="recipe")


def init(
    source: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="Fit the recipe to this data file's columns.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write the recipe.")] = Path(
        "recipe.yaml"
    ),
    force: Annotated[bool, typer.Option("--force", help="Write over an existing file.")] = False,
    json_output: JsonOutput = False,
) -> None:
    """Write a commented starter recipe, fitted to your file's columns."""
    from tunewright.lifecycle.first_recipe import write_starter

    written = write_starter(out, source=source, force=force)
    if json_output:
        print_json({"recipe": str(written)})
        return
    from tunewright.cli.next_steps import command, show_next

    typer.echo(f"Wrote {written}.")
    show_next([("check it", command("recipe", "check", written)), ("run it", command("run", written))])


def schema() -> None:
    """Print the recipe's JSON Schema, for editors and for checking."""
    from tunewright.recipe import Recipe

    print_json({"$schema": "https://json-schema.org/draft/2020-12/schema", **Recipe.model_json_schema()})


def check(
    recipe: RecipePath,
    overrides: Overrides = None,
    json_output: JsonOutput = False,
) -> None:
    """Check a recipe, and print it with every default filled in."""
    from tunewright.recipe import load_recipe

    checked = load_recipe(recipe, overrides or ())
    if json_output:
        print_json(checked.model_dump(mode="json"))
        return
    import yaml

    typer.echo(f"# {recipe} is a valid recipe. With every default filled in:")
    typer.echo(yaml.safe_dump(checked.model_dump(mode="json"), sort_keys=False, allow_unicode=True).rstrip())
