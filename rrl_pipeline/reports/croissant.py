"""Describes a dataset in Croissant, the metadata format of data catalogues.

TFDS reads Croissant but writes none, so `croissant.json` is put beside the
files of the dataset: what files there are, with their checksums, and what fields
they hold. Croissant has no word for the layout of a record file; a field's
`column` is its key in the tf.train.Example. What `mlcroissant` can load is the
record set `checkpoints`, which comes from `statistics.json`.

Source: https://docs.mlcommons.org/croissant/docs/croissant-spec.html
"""

import json
import os
from typing import Any, Mapping

import mlcroissant as mlc

from rrl_pipeline.logs import atomic
from rrl_pipeline.rlds import dataset_files
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import statistics_file
from rrl_pipeline.rlds import verification

NAME = 'croissant.json'
_STATISTICS = 'statistics'
_ENCODING_FORMATS = {
    'tfrecord': 'application/x-tfrecord',
    'array_record': 'application/x-array-record',
}
_IMAGES = ('png', 'jpeg')
_CHECKPOINT_FIELDS = {
    'checkpoint_id': mlc.DataType.INTEGER,
    'slice': mlc.DataType.TEXT,
    'episodes': mlc.DataType.INTEGER,
    'steps': mlc.DataType.INTEGER,
    'mean_return': mlc.DataType.FLOAT,
}


def write(
    dataset: dataset_files.Dataset, statistics: Mapping[str, Any]
) -> str:
  """Writes croissant.json; the same dataset gives the same bytes.

  Args:
    dataset: which one; its `statistics.json` is there.
    statistics: what that holds.

  Returns:
    The path of the file.
  """
  path = os.path.join(dataset.path, NAME)
  text = json.dumps(_describe(dataset, statistics), indent=1, default=str)
  with atomic.replacing(path) as file:
    file.write(f'{text}\n'.encode())
  return path


def _describe(
    dataset: dataset_files.Dataset, statistics: Mapping[str, Any]
) -> dict[str, Any]:
  """The contents of the file, checked by mlcroissant."""
  known = {
      shard['shard']: shard['sha256']
      for shard in dataset.conversion.get('shards', ())
  }
  encoding_format = _ENCODING_FORMATS[dataset.file_format]
  distribution = [
      mlc.FileObject(
          id=_STATISTICS,
          name=statistics_file.NAME,
          content_url=statistics_file.NAME,
          encoding_formats=['application/json'],
          sha256=verification.file_sha256(
              os.path.join(dataset.path, statistics_file.NAME)
          ),
      )
  ]
  for shard in dataset.shards:
    distribution.append(
        mlc.FileObject(
            id=shard.name,
            name=shard.name,
            content_url=shard.name,
            content_size=f'{os.path.getsize(dataset.shard_path(shard))} B',
            encoding_formats=[encoding_format],
            sha256=known.get(shard.name)
            or verification.file_sha256(dataset.shard_path(shard)),
        )
    )
  record_sets = []
  for split in statistics['splits']:
    distribution.append(
        mlc.FileSet(
            id=split,
            name=split,
            description=f'The files of the split {split}.',
            encoding_formats=[encoding_format],
            includes=f'{dataset.name}-{split}.{dataset.file_format}-*',
        )
    )
    record_sets.append(_episodes(dataset, split))
  record_sets.append(
      mlc.RecordSet(
          id='checkpoints',
          name='checkpoints',
          description='Stretches of episodes by checkpoint of the log.',
          fields=[
              mlc.Field(
                  id=f'checkpoints/{name}',
                  name=name,
                  data_types=data_type,
                  source=mlc.Source(
                      file_object=_STATISTICS,
                      extract=mlc.Extract(
                          json_path=f'$.checkpoints[*].{name}'
                      ),
                  ),
              )
              for name, data_type in _CHECKPOINT_FIELDS.items()
          ],
      )
  )
  metadata = mlc.Metadata(
      name=dataset.full_name,
      description=dataset.info.description,
      url=dataset.info.as_proto.location.urls[0]
      if dataset.info.as_proto.location.urls
      else '.',
      version=dataset.version,
      license=dataset.license or None,
      cite_as=dataset.info.citation or None,
      distribution=distribution,
      record_sets=record_sets,
  )
  return metadata.to_json()


def _episodes(dataset: dataset_files.Dataset, split: str) -> mlc.RecordSet:
  """The episodes of a split: their own fields, and those of their steps."""
  record_set = f'{split}/episodes'
  own, steps = [], []
  for field in dataset.fields.values():
    (steps if field.name.startswith(f'{schema.STEPS}/') else own).append(
        mlc.Field(
            id=f'{record_set}/{field.name}',
            name=field.name,
            description=field.description or None,
            data_types=_data_type(field),
            source=mlc.Source(
                file_set=split, extract=mlc.Extract(column=field.name)
            ),
        )
    )
  own.append(
      mlc.Field(
          id=f'{record_set}/{schema.STEPS}',
          name=schema.STEPS,
          description='The steps of the episode, in their order.',
          repeated=True,
          sub_fields=steps,
      )
  )
  return mlc.RecordSet(
      id=record_set,
      name=record_set,
      description=f'Episodes of the split {split}.',
      fields=own,
  )


def _data_type(field: dataset_files.Field) -> str:
  if field.encoding in _IMAGES:
    return mlc.DataType.IMAGE_OBJECT
  if field.dtype == 'string':
    return mlc.DataType.TEXT
  if field.dtype == 'bool':
    return mlc.DataType.BOOL
  if field.dtype.startswith('float'):
    return mlc.DataType.FLOAT
  return mlc.DataType.INTEGER
