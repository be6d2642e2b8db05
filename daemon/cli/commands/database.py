"""The database: checked, backed up, brought to another schema, made smaller."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daemon.cli.commands.program import AsJson, ConfigDir, Database, app

databases = typer.Typer(no_args_is_help=True)
app.add_typer(
    databases,
    name="db",
    help="Check the database, back it up, migrate it, make it smaller.",
    rich_help_panel="The daemon",
)


@databases.command()
def check(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A backup, say, and not the database.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Do not hold the indexes against the tables.")
    ] = False,
    config_dir: ConfigDir = None,
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Say whether the database is sound, beside a running daemon too."""
    from daemon.cli.database import check_database
    from daemon.cli.target import Target

    check_database(Target(config_dir, database, None), file, quick=quick, as_json=as_json)


@databases.command()
def backup(
    file: Annotated[Path, typer.Argument(help="Where to: a new file.")],
    force: Annotated[
        bool, typer.Option("--force", help="Replace the file if it is there.")
    ] = False,
    config_dir: ConfigDir = None,
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Copy the database while the daemon uses it, and check the copy."""
    from daemon.cli.database import back_up
    from daemon.cli.target import Target

    back_up(Target(config_dir, database, None), file, force=force, as_json=as_json)


@databases.command()
def migrate(
    to: Annotated[
        str | None,
        typer.Option(metavar="SCHEMA", help="Not to the newest schema, but to this, as 0009."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    no_backup: Annotated[
        bool, typer.Option("--no-backup", help="Do not keep a copy of it as it was.")
    ] = False,
    config_dir: ConfigDir = None,
    database: Database = None,
) -> None:
    """Bring the database to the schema of this version, or of an older one."""
    from daemon.cli.database import migrate_database
    from daemon.cli.target import Target

    target = Target(config_dir, database, None)
    migrate_database(target, to, dry_run=dry_run, keep=not no_backup)


@databases.command()
def vacuum(config_dir: ConfigDir = None, database: Database = None) -> None:
    """Write the database anew, as small as can be, while the daemon is stopped."""
    from daemon.cli.database import vacuum_database
    from daemon.cli.target import Target

    vacuum_database(Target(config_dir, database, None))
