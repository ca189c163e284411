"""The command line: `app` puts the commands together, one file a command; `main` is where it begins."""


def main() -> None:
    """Entry point. Signals are looked after before anything is imported that takes long."""
    from occvino.cli.signals import guarded

    def commands() -> None:
        from occvino.cli.app import commands

        commands()

    guarded(commands)
