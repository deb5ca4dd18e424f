"""Tests of the folder of pictures."""

from rrl_pipeline.reports import pictures


def _picture(name, png):
  return pictures.Picture(name, 'title', png, 'description')


def test_folder_holds_the_pictures_and_no_older_ones(tmp_path):
  folder = tmp_path / 'report' / 'figures'
  pictures.write([_picture('a', b'1'), _picture('b', b'2')], folder)
  (folder / 'notes.txt').write_text('of somebody')
  pictures.write([_picture('b', b'3'), _picture('c', b'4')], folder)
  assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
      'b.png': b'3', 'c.png': b'4', 'notes.txt': b'of somebody'
  }
