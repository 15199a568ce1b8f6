# The two commands are `make demo` and `make test`; `make help` lists the others.
#
# Every path here is relative, so that the checkout may lie anywhere, also below 'My Documents'.

MAKEFLAGS += --no-print-directory
python := .venv/bin/python
# LEUKOLENS_VAR is where the demonstration keeps its database, pictures and logs.
demo_var := $(or $(LEUKOLENS_VAR),var/demo)
workers ?= 2
elsewhere := tests/ml tests/bench tests/drills $(wildcard tests/test_*.py)
# Locks, transactions, triggers, files beside a database: each database has its own.
on_both := $(addprefix tests/,devices/test_images.py hospital/audit \
           $(addprefix devices/uploads/test_,uploads.py pieces.py end.py) \
           $(addprefix hospital/test_,backup.py live.py together.py rows.py) \
           $(addprefix diagnostics/test_,analyses.py intake.py mix_ups.py pipeline.py signing.py))

# What a shell set for other Python projects must not reach this one,
unexport VIRTUAL_ENV CONDA_PREFIX PYTHONHOME PYTHONPATH PYTHONDONTWRITEBYTECODE PYTHONWARNINGS
unexport DJANGO_SETTINGS_MODULE PYTEST_ADDOPTS CELERY_CONFIG_MODULE
# and the settings of a real installation, its database least of all, not the demonstration or the
# tests. `make stack` is a real installation and gets them.
installation := DATABASE_URL TEST_DATABASE_URL REDIS_URL CELERY_BROKER_URL S3_BUCKET SECRET_KEY \
                ALLOWED_HOSTS TLS DEBUG STATIC_ROOT MODEL_PACKAGE LOG_LEVEL TIME_ZONE \
                MAX_UPLOAD_BYTES LEUKOLENS_VAR MODEL_ENGINE
apart := env $(addprefix -u ,$(installation))

.NOTPARALLEL:
.PHONY: help demo stack test quick lint format fast-tests database-tests stack-tests \
        browser-tests words screenshots lighthouse bench drill audit sbom runtime dev

help:
	@echo "make demo                  the whole product on this machine, with demonstration data"
	@echo "make demo IMAGES=DIR       the same, fed with your own JPEG, PNG or TIFF pictures"
	@echo "make demo ARGS=--exit      end after the table of reports (also: --count 40)"
	@echo "make test                  every check and every test"
	@echo "make quick                 lint, types, layers and the fast tests"
	@echo "make lint / make format    check / repair the style"
	@echo "make words                 the portal's catalogues, after a sentence has changed"
	@echo "make audit                 is anything known against what others wrote; licences, hashes"
	@echo "make sbom                  what an installation is made of, as CycloneDX, in var/"
	@echo "make screenshots           every page, wide, narrow, dark and from right to left, as pictures"
	@echo "make lighthouse            Lighthouse on the portal's report; how soon a result is on the screens"
	@echo "make stack                 the product without demonstration data, in var/"
	@echo "make drill                 every process killed at every step: is all still there; docs/drills.md"
	@echo "make bench                 measure engines, pipeline, intake, worklist; ARGS=--quick"

runtime:
	@sh bin/bootstrap runtime

dev:
	@sh bin/bootstrap dev

# exec: without it Ctrl-C ends the shell in between, and make with it, while the rest still stops.
demo: runtime
	@exec $(apart) LEUKOLENS_VAR="$(demo_var)" $(python) manage.py demo \
		$(if $(IMAGES),--images "$$IMAGES") $(ARGS)

stack: runtime
	@exec $(python) manage.py stack $(ARGS)

# Collects what the portal says into the catalogues in locale/, and compiles them: docs/languages.md
words: dev
	@$(apart) LEUKOLENS_VAR=var/lint $(python) -m tests.words $(ARGS)

lint: dev
	@$(python) -m ruff check
	@$(python) -m ruff format --check
	@$(apart) $(python) -m mypy
	@# Through the interpreter: a console script's first line breaks when a checkout is moved.
	@$(python) -c "from importlinter.cli import lint_imports_command as lint; lint()"
	@$(apart) LEUKOLENS_VAR=var/lint $(python) manage.py makemigrations --check --dry-run
	@$(python) -m tests.dependencies check

# Asks osv.dev. Where there is no way to it, it says so, and that is no fault of the code's (2).
audit: dev
	@$(python) -m tests.dependencies audit || [ $$? -eq 2 ]

sbom: dev
	@$(python) -m tests.dependencies sbom

format: dev
	$(python) -m ruff check --fix
	$(python) -m ruff format

# On SQLite: all that is no app of the hospital, and of those what depends on the database. The rest
# of theirs runs once, on PostgreSQL.
fast-tests: dev
	@$(apart) $(python) -m pytest -n $(workers) -m "not stack and not browser" \
		$(elsewhere) $(on_both)

# On PostgreSQL, which the command brings itself (and throws away: --reuse-db).
database-tests: dev
	@$(apart) $(python) -m tests.servers postgresql -- \
		$(python) -m pytest --reuse-db -n $(workers) -m "not stack and not browser and not model and not shared" \
		tests/hospital tests/patients tests/devices tests/diagnostics

# Real broker, web, workers; once on the embedded default, once on PostgreSQL and Redis.
stack-tests: dev
	@$(apart) $(python) -m pytest -m stack

browser-tests: dev
	@LEUKOLENS_CHROMIUM="$$(sh bin/browser)" && export LEUKOLENS_CHROMIUM && \
		$(apart) $(python) -m pytest -n $(workers) -m browser tests/browser

# Every page of test_every_page.py in screenshots/pages/, to be looked at.
screenshots: dev
	@LEUKOLENS_CHROMIUM="$$(sh bin/browser)" && export LEUKOLENS_CHROMIUM && \
		$(apart) SCREENSHOTS=1 $(python) -m pytest tests/browser/test_every_page.py $(ARGS)

# Needs node and npm; brings Lighthouse, as tests/browser/package.json pins it, into .tools.
lighthouse: dev
	@mkdir -p .tools/lighthouse && cp tests/browser/package.json .tools/lighthouse/ && \
		npm install --prefix .tools/lighthouse --no-audit --no-fund --no-package-lock --silent
	@LEUKOLENS_CHROMIUM="$$(sh bin/browser)" && export LEUKOLENS_CHROMIUM && \
		$(apart) $(python) -m pytest -s tests/browser/lighthouse.py tests/browser/how_soon.py

# Without what loads the model, a server or most of the hospital: about two minutes.
quick: lint
	@$(apart) $(python) -m pytest -n $(workers) \
		-m "not stack and not browser and not model and not shared" \
		tests/bench tests/ml tests/patients tests/test_layering.py tests/test_states.py \
		tests/test_words.py tests/diagnostics/test_analyses.py tests/diagnostics/test_signing.py

test: lint audit fast-tests database-tests stack-tests browser-tests
	@echo "Every check and every test passed."

# Some minutes. The large one: ARGS="--images 10000"; others: DRILL=overload, DRILL=fleet. docs/drills.md
drill: dev
	@$(apart) $(python) -m tests.drills $(or $(DRILL),faults) $(ARGS)

# Ten minutes on two cores, and nothing else should run meanwhile. ARGS="--quick --only engines"
bench: dev
	@$(apart) $(python) -m bench $(ARGS)
