# Makefile — everything is installed, built, checked and run from here; nothing else needs to be typed first.
#
#   make mount        build, create the volume $(VOLUME) if there is none, mount it at $(MOUNTPOINT)
#   make umount       unmount it
#   make test         build, tidy, lint, all tests; as root also those with real mounts
#   make scenarios    partitions between real sites, one readable story per file   (SCENARIOS='--only NAME')
#   make play         a story of your own on simulated sites, in milliseconds       (SCENARIO=FILE, or all)
#   make bench        this filesystem beside the local one and bindfs               (BENCH='--quick')
#   make bench-content  a large file from one site to another         (BENCH_CONTENT='--rounds 3 --check')
#   make bench-journal  many operations on few files: what stays on disk  (BENCH_JOURNAL='--operations 100000 --check')
#   make bench-merge  two sites merge what they did apart, at work      (BENCH_MERGE='--operations 10000 --check')
#   make bench-link   two sites with a wire of 200 ms, 1 % loss and 50 Mbit/s between them  (BENCH_LINK='--loss 0 --check')
#   make posix        our own POSIX suite, on a fresh volume or in POSIX='DIR DIR'   (POSIX='--as-user --only rename')
#   make conformance  pjdfstest, built in PJDFSTEST=DIR                             (CONFORMANCE='--only rename')
#   make sim          one simulated schedule: sites, crashes, partitions   (SEED=7 SITES=3 STEPS=100, or HISTORY=FILE)
#   make programs    git, tar, rsync, PostgreSQL, npm … each with its own self-check  (PROGRAMS='--only git')
#   make flips        one bit of what is stored is flipped: TRIALS=1000, from SEED=1 on
#   make fuzz         bytes from outside that are almost right, to every decoder, for MINUTES=10   (FUZZ='--only change --seed 7')
#   make eight        eight sites, cut networks, kills, joins, retirements, restores, wrong clocks: MINUTES=30, by SEED  (SITES=8)
#   make kills        real daemons get SIGKILL while they work: ROUNDS=500, from SEED=1 on
#   make soak         simulated schedules for MINUTES=30, or SCHEDULES=100000, from SEED=1 on
#   make crashes      states that power loss could leave, of SCHEDULES=50 histories, STATES=5 after each step
#   make mutants      does the simulator notice that a merge rule or a durability step is missing?  (MUTANTS='--only TEXT')
#   make build tidy lint format clean

NODE       ?= node
NPM        ?= npm
VOLUME     ?= demo
MOUNTPOINT ?= $(or $(HOME),/root)/weft-demo
MINUTES    ?= $(if $(SCHEDULES),,30)
SCHEDULES  ?=
SEED       ?=
SITES      ?=
STEPS      ?=
HISTORY    ?=
TRIALS     ?=
ROUNDS     ?=
TESTS      ?=
SCENARIOS  ?=
SCENARIO   ?=
BENCH      ?=
BENCH_MERGE ?=
BENCH_LINK ?=
CONFORMANCE ?=
PROGRAMS   ?=
POSIX      ?=
MUTANTS    ?=
FUZZ       ?=
STATES     ?=

WEFT    := $(NODE) dist/lib/cli/main.js
# Directories too: their times tell of removed files. Absolute: conformance is a target as well.
SOURCES := $(shell find $(CURDIR)/lib $(CURDIR)/scripts $(CURDIR)/conformance -type d -o -name '*.ts')

.DEFAULT_GOAL := build
.PHONY: build mount umount test tidy lint format bench bench-content bench-journal bench-merge scenarios play sim soak mutants posix conformance programs clean flips fuzz crashes kills eight bench-link

build: dist/.built

node_modules/.package-lock.json: package-lock.json
	@$(NODE) -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' \
	  || { echo 'weft needs Node.js 20.19 or newer as "$(NODE)": https://nodejs.org/en/download, or make NODE=/path/to/node' >&2; exit 1; }
	$(NPM) ci --include=dev
	@touch $@

# Into a fresh directory that then takes the place of dist: no file of a removed source stays behind.
dist/.built: node_modules/.package-lock.json tsconfig.json package.json $(SOURCES)
	@rm -rf build-next
	node_modules/.bin/tsc -p tsconfig.json --outDir build-next
	@chmod +x build-next/lib/cli/main.js
	@rm -rf dist && mv build-next dist && touch $@

mount: build
	@report=$$($(WEFT) doctor) || { echo "$$report"; exit 1; }
	@WEFT='$(WEFT)' sh scripts/mount-demo.sh '$(VOLUME)' '$(MOUNTPOINT)'

umount: build
	@$(WEFT) umount '$(MOUNTPOINT)'

test: build tidy lint
	@$(NODE) dist/scripts/run-tests.js $(TESTS)

tidy: build
	@$(NODE) dist/scripts/tidy.js

lint: node_modules/.package-lock.json
	node_modules/.bin/oxlint --quiet
	node_modules/.bin/prettier --check --log-level warn lib scripts conformance

format: node_modules/.package-lock.json
	node_modules/.bin/prettier --write --log-level warn lib scripts conformance

bench: build
	@$(NODE) dist/scripts/bench.js $(BENCH)

scenarios: build
	@$(NODE) dist/scripts/run-scenarios.js --real $(SCENARIOS)

play: build
	@$(NODE) dist/scripts/run-scenarios.js $(SCENARIO)

# What was not given is left to the seed.
SIMULATION = $(if $(SITES),--sites $(SITES)) $(if $(STEPS),--steps $(STEPS))

sim: build
	@$(NODE) dist/scripts/simulate.js $(SIMULATION) $(if $(SEED),--seed $(SEED)) $(if $(HISTORY),--history '$(HISTORY)')

flips: build
	@SEED='$(SEED)' TRIALS='$(or $(TRIALS),1000)' $(NODE) --test dist/lib/sim/bit-flips.test.js

crashes: build
	@$(NODE) dist/scripts/simulate.js --seed $(or $(SEED),1) --schedules $(or $(SCHEDULES),50) $(SIMULATION) --crash-states $(or $(STATES),5)

fuzz: build
	@$(NODE) dist/scripts/fuzz.js --minutes $(or $(MINUTES),10) $(FUZZ)

eight: build
	@$(NODE) dist/scripts/eight.js --minutes $(or $(MINUTES),30) $(if $(SEED),--seed $(SEED)) $(if $(SITES),--sites $(SITES))

kills: build
	@SEED='$(SEED)' ROUNDS='$(or $(ROUNDS),500)' $(NODE) --test dist/conformance/killed-at-work.test.js

soak: build
	@$(NODE) dist/scripts/simulate.js $(SIMULATION) --seed $(or $(SEED),1) \
	  $(if $(SCHEDULES),--schedules $(SCHEDULES)) $(if $(MINUTES),--minutes $(MINUTES))

bench-content: build
	@$(NODE) dist/scripts/bench-content.js $(BENCH_CONTENT)

bench-merge: build
	@$(NODE) dist/scripts/bench-merge.js $(BENCH_MERGE)

bench-link: build
	@$(NODE) dist/scripts/bench-link.js $(BENCH_LINK)

bench-journal: build
	@$(NODE) dist/scripts/bench-journal.js $(BENCH_JOURNAL)

mutants: build
	@$(NODE) dist/scripts/mutants.js $(MUTANTS)

posix: build
	@$(NODE) dist/conformance/posix.js $(POSIX)

conformance: build
	@test -n '$(PJDFSTEST)' || { echo 'say where pjdfstest is built: git clone https://github.com/pjd/pjdfstest, build it, make conformance PJDFSTEST=DIR' >&2; exit 2; }
	@$(NODE) dist/conformance/pjdfstest.js --suite '$(PJDFSTEST)' $(CONFORMANCE)

programs: build
	@$(NODE) dist/conformance/programs.js $(PROGRAMS)

clean:
	rm -rf dist build-next
