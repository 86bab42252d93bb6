"""`completion`: what makes a shell complete the names of commands and options."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that makes a shell complete commands and options.

    \b
    smppgw completion bash > ~/.local/share/bash-completion/completions/smppgw
    smppgw completion zsh > ~/.zfunc/_smppgw
    smppgw completion fish > ~/.config/fish/completions/smppgw.fish
    """
    made_by = get_completion_class(shell)
    assert made_by is not None  # click has all three
    script = made_by(context.find_root().command, {}, "smppgw", "_SMPPGW_COMPLETE").source()
    click.echo(script)
