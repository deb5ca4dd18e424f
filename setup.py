"""Packaging of rrl_pipeline.

The folders beam_jobs/, datasets/ and launch/ appear inside rrl_pipeline/ as
relative symbolic links and are installed only there: `datasets` and `launch`
are import names of other distributions, which a bare top-level package of ours
would overwrite.
"""

import os
import pathlib
import re
import sys

import setuptools
from setuptools.command import sdist

_LINKED = ('beam_jobs', 'datasets', 'launch')
_PACKAGE = pathlib.Path('rrl_pipeline')

# What the sources import, with the ranges that requirements.txt pins within.
_IMPORTED = [
    'absl-py>=2.1',
    'ale-py>=0.10,<0.13',
    'apache-beam>=2.70,<3',
    'array-record>=0.8,<0.9',
    'cramjam>=2.8',
    'dm-acme>=0.2.4,<0.3',
    'dm-env>=1.6,<2',
    'dm-reverb>=0.14,<0.15',
    'jinja2>=3.1',
    'markdown>=3.4',
    'matplotlib>=3.8',
    'mlcroissant>=1.0.12',
    'msgpack>=1.0',
    'numpy>=1.26,<2',
    'pillow>=12.1',
    'rlds>=0.1.8,<0.2',
    'rliable>=1.2,<2',
    'scipy>=1.11',
    'tensorflow>=2.15,<2.16',
    'tensorflow-datasets>=4.9.9,<5',
    'tf-agents>=0.19,<0.20',
    'tqdm>=4.66',
]

# What those import without saying so, or say in a range that does not work.
_UNDECLARED = [
    'dm-sonnet>=2.0.2,<3',  # acme.tf
    'google-crc32c>=1.5',  # apache_beam's TFRecord files
    'importlib-resources>=6',  # tensorflow_datasets, for builders' metadata
    'jax>=0.4.30,<0.4.35',  # acme.adders; later ones need a later ml-dtypes
    'pandas>=2,<3',  # arch, by rliable
    'protobuf>=4.25,<5',  # tensorflow 2.15
    'python-snappy>=0.7',  # apache_beam's TFRecord files
    'tensorflow-metadata>=1.14,<1.17',  # later ones need protobuf 5
    'trfl>=1.2,<2',  # acme.tf
]

# The Balloon Learning Environment of 2021, and what it is too wide about.
_BALLOON = [
    'balloon-learning-environment==1.0.1',
    'gym>=0.23,<0.26',  # its plug-in breaks the import of later ones
    'jaxlib>=0.4.30,<0.4.35',
    's2sphere>=0.2.5',
    'scikit-learn>=1.1',
    'scipy<1.14',  # later ones have no interp2d
    'tensorflow-probability>=0.23,<0.24',  # later ones need a later TensorFlow
]


class SdistWithLinks(sdist.sdist):
  """Keeps the links links, so that the archive holds each file once."""

  def make_release_tree(self, base_dir: str, files: list[str]) -> None:
    linked = tuple(f'{_PACKAGE / name}{os.sep}' for name in _LINKED)
    super().make_release_tree(
        base_dir, [f for f in files if not f.startswith(linked)])
    if not self.dry_run:
      for name in _LINKED:
        link = pathlib.Path(base_dir, _PACKAGE, name)
        link.symlink_to(os.path.join('..', name))


def _check_links() -> None:
  """Exits with one line if an export (zip, Windows) lost the links."""
  for name in _LINKED:
    if not (_PACKAGE / name).is_dir():
      sys.exit(f'error: {_PACKAGE / name} must be a symbolic link to '
               f'../{name}, but this copy of the project lost it: get the '
               'project with git clone or tar, on Linux, which keep links')


def _version() -> str:
  """The version, read without importing the package."""
  text = (_PACKAGE / '__init__.py').read_text(encoding='utf-8')
  return re.search(r"^__version__ = '([^']+)'$", text, re.MULTILINE).group(1)


os.chdir(pathlib.Path(__file__).resolve().parent)
_check_links()
setuptools.setup(
    name='rrl-pipeline',
    version=_version(),
    description=('Reincarnating reinforcement learning: from the logs of a '
                 'teacher to a student that surpasses it'),
    long_description=pathlib.Path('README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license_expression='Apache-2.0',
    license_files=['LICENSE'],
    packages=setuptools.find_namespace_packages(
        include=['rrl_pipeline', 'rrl_pipeline.*'],
        exclude=['*.__pycache__', '*.bundles', '*.bundles.*', '*.dummy_data',
                 '*.dummy_data.*']),
    package_data={
        '': ['README.md', 'CITATIONS.bib', 'TAGS.txt', '*.jinja'],
        'rrl_pipeline.teachers': ['bundles/**/*'],
    },
    entry_points={
        'console_scripts': [
            'rrl-benchmark = rrl_pipeline.launch.benchmark:main',
            'rrl-dataset = rrl_pipeline.launch.dataset_command:main',
            'rrl-launch = rrl_pipeline.launch.launch:main',
            'rrl-minari = rrl_pipeline.launch.minari_bridge:main',
            'rrl-teacher = rrl_pipeline.launch.teacher_command:main',
        ],
    },
    python_requires='>=3.11,<3.12',
    install_requires=_IMPORTED + _UNDECLARED,
    extras_require={
        'balloon': _BALLOON,
        'dask': ['apache-beam[dask]>=2.70,<3', 'distributed>=2024.4.2'],
        'fast': ['isal>=1.7'],
        # 2.15.0 asks for parts of TensorRT that PyPI does not have.
        'gpu': ['tensorflow[and-cuda]>=2.15.1,<2.16'],
        # Later versions need NumPy 2, which TensorFlow 2.15 does not take.
        'minari': ['gymnasium>=1,<2', 'minari[arrow,hdf5]>=0.5.3,<0.5.4'],
        'minatar': ['MinAtar>=1.0.15,<1.1'],
        'test': ['dill>=0.3.8', 'hypothesis>=6.100', 'packaging>=23',
                 'psutil>=5.9', 'pytest>=8', 'pytest-xdist>=3.6',
                 'pyyaml>=6'],
    },
    cmdclass={'sdist': SdistWithLinks},
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3.11',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
)
