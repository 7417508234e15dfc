"""The one exception that reaches the user."""


class InputError(Exception):
    """Input that cannot be used.

    The message names the file or field and says what to do. The command line prints it to
    stderr and exits with 2.
    """
