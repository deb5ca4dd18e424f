"""Tells errors that the user can mend from bugs, which need their traceback."""

import dis
import errno
import sys
from typing import Callable, Optional

from absl import flags

_PACKAGE = 'rrl_pipeline'
# What the machine's owner can mend, and then run the same command again.
_MACHINE_ERRORS = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
)


_USER_ERROR = 2
INTERRUPTED = 130
GOES_ON = 'interrupted; the same command goes on from here'


def run(program: Callable[[], int], when_interrupted: str = GOES_ON) -> int:
  """Runs a program and returns its exit code.

  Args:
    program: returns the exit code where nothing goes wrong.
    when_interrupted: what is said after Ctrl-C.

  Returns:
    The program's; 2 after an error of the user, which is one line on standard
    error; 130 after Ctrl-C.
  """
  try:
    return program()
  except KeyboardInterrupt:
    print(when_interrupted, file=sys.stderr)
    return INTERRUPTED
  except Exception as error:
    text = message(error)
    if text is None:
      raise
    print(f'error: {" ".join(text.split())}', file=sys.stderr)
    return _USER_ERROR


def message(error: Exception) -> Optional[str]:
  """Returns what to tell the user; None if the error is a bug."""
  if isinstance(error, flags.Error):
    return f'{error}; see --help'
  if type(error).__module__.startswith(f'{_PACKAGE}.'):
    return str(error)
  if isinstance(error, OSError) and error.errno in _MACHINE_ERRORS:
    return (
        f'{error.strerror}: {error.filename}; mend that, and run the same'
        ' command again to go on'
    )
  if isinstance(error, (ValueError, OSError)) and _is_raised_by_us(error):
    return str(error)
  return None


def _is_raised_by_us(error: Exception) -> bool:
  """Whether a `raise` statement of this project raised the error.

  A ValueError from inside a library, or from an expression like int('x'), was
  not meant for the user, and its traceback is needed.
  """
  traceback = error.__traceback__
  while traceback.tb_next is not None:
    traceback = traceback.tb_next
  frame = traceback.tb_frame
  module = frame.f_globals.get('__name__', '')
  opcode = frame.f_code.co_code[traceback.tb_lasti]
  return (
      module == '__main__' or module.startswith(f'{_PACKAGE}.')
  ) and dis.opname[opcode] == 'RAISE_VARARGS'
