"""Tests of what programs with flags share."""

from rrl_pipeline.launch import command_line


def test_command_can_be_typed_again():
  argv = ['launch/launch.py', '--set', 'logs.path=my logs']
  assert command_line.command(argv) == (
      "python launch/launch.py --set 'logs.path=my logs'"
  )
  # An installed program is found by its name.
  assert command_line.command(['/a/bin/rrl-launch', '--seed=1']) == (
      'rrl-launch --seed=1'
  )


def test_flags_are_listed_in_order_and_wrapped():
  lines = list(command_line.flag_lines({'b': 'word ' * 30, 'a': 'short'}))
  assert lines[:2] == ['Flags:', '  --b']
  assert lines[-2:] == ['  --a', '      short']
  assert ' '.join(lines[2:-2]).split() == ['word'] * 30
  assert max(map(len, lines)) <= 79
