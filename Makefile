# Two commands need nothing but Python 3.11, make and a C library:
#   make demo   installs and runs the whole chain once, on Atari Pong
#   make test   installs and runs the test suite
# Installing happens once: only a change of the files named at $(STAMP), or of
# the project's place on disk, makes it happen again.

CANDIDATES := $(or $(PYTHON),python3.11 python3 python)
STAMP := .venv/installed

# The version of the interpreter $(1): 3.11, or 3.11-without-ensurepip if it
# cannot make an environment, as Debian's without its package python3.11-venv,
# or nothing if it does not run.
version = $(shell $(1) -c 'import sys, importlib.util as util; \
  print("%d.%d" % sys.version_info[:2], end=""); \
  print("" if util.find_spec("ensurepip") else "-without-ensurepip")' \
  2>/dev/null)
found = $(foreach candidate,$(CANDIDATES), \
  $(candidate) ($(or $(call version,$(candidate)),does not run)))
python = $(or $(firstword $(foreach candidate,$(CANDIDATES), \
  $(if $(filter 3.11,$(call version,$(candidate))),$(candidate)))), \
  $(error Python 3.11 is needed, but found: $(strip $(found)). Install it, or \
  name it as in make PYTHON=/path/to/python3.11))
environment = $(findstring (python 3.11), \
  $(shell .venv/bin/python -m pip --version 2>/dev/null))

.PHONY: help install demo test

help:
	@echo 'make install  create .venv and install the project into it'
	@echo 'make demo     make install, then a whole run of preset pong_quick'
	@echo 'make test     make install, then the whole test suite'
	@echo 'PYTHON=PATH   names the Python 3.11 to use, if it is not found'

install: $(STAMP)

# An editable install names the project's folder, so a folder that was moved or
# copied with its .venv is installed again.
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(CURDIR))
.PHONY: $(STAMP)
endif

# requirements.txt is complete, so nothing is left to resolve. Some packages of
# it come as sources: the constraint pins what they are built with.
$(STAMP): requirements.txt setup.py pyproject.toml
	$(if $(environment),,$(python) -m venv --clear .venv)
	PIP_CONSTRAINT=requirements.txt .venv/bin/python -m pip install \
	  --disable-pip-version-check --no-deps --requirement requirements.txt
	.venv/bin/python -m pip install --disable-pip-version-check \
	  --no-deps --no-build-isolation --editable .
	.venv/bin/python -m pip check
	echo '$(CURDIR)' > $(STAMP)

# Its last line names the report.
demo: install
	.venv/bin/python launch/launch.py --preset=pong_quick --stage=all

test: install
	.venv/bin/python -m pytest --numprocesses=auto --maxprocesses=4 \
	  --dist=loadfile --no-loadscope-reorder --max-worker-restart=0
