# Targets for people; `.ci/run` is `make test`. Variables can be set on the command line: make PREFIX=/usr install

SWIFT = swift
PREFIX = /usr/local
DESTDIR =
UNITDIR = /etc/systemd/system

RELEASE = .build/release
MATRIX = .build/interop-matrix.txt
GUEST_MATRIX = .build/guest-matrix.txt
TEST = Lab/isolated env CYGNET_MATRIX_FILE=$(MATRIX) CYGNET_GUEST_MATRIX_FILE=$(GUEST_MATRIX) \
    $(SWIFT) test -c release --skip-build --disable-xctest

all: build

# One release build serves the demo, the tests and the installation.
build:
	@Lab/install-packages build
	$(SWIFT) build -c release --product cygnet

demo:
	@Lab/install-packages build demo
	@begin=$$(date +%s); $(SWIFT) build -c release --product cygnet && \
	    echo "Built in $$(($$(date +%s) - begin)) s."
	@$(RELEASE)/cygnet demo

# Plays every scenario of the lab: docs/lab.md.
lab:
	@Lab/install-packages build demo
	$(SWIFT) build -c release --product cygnet
	@$(RELEASE)/cygnet lab all

build-tests:
	@Lab/install-packages build test
	$(SWIFT) build -c release --build-tests

# The tests that meet real daemons come after the others, so that nothing else uses the processor meanwhile.
test: build-tests
	$(TEST) --skip InteropTests --skip GuestTests
	@$(MAKE) run-interop

# Every meeting, those with modern peers in guests too.
interop: peers build-tests run-interop run-guests

# What modern peers run in, kept in ~/.cache/cygnet: about 10 minutes the first time, nothing afterwards. Needs root.
peers:
	@Lab/install-packages peers
	@Lab/peers/make-root
	@Lab/peers/make-kernel
	@Lab/peers/make-libreswan || echo "Going on without Libreswan 5.4: see Lab/peers/make-libreswan." >&2

run-interop:
	@rm -f $(MATRIX)
	$(TEST) --filter InteropTests; result=$$?; cat $(MATRIX) && exit $$result

run-guests:
	@rm -f $(GUEST_MATRIX)
	$(TEST) --filter GuestTests; result=$$?; cat $(GUEST_MATRIX) && exit $$result

# Takes about half an hour after building, on a machine that does nothing else.
bench:
	@Lab/install-packages build test bench
	$(SWIFT) build -c release --product cygnet
	$(SWIFT) build -c release --product cygnet-bench
	@{ Benchmarks/fetch-wireguard-go && Benchmarks/fetch-wireguard-go bookworm; } >/dev/null || echo "Going on without wireguard-go." >&2
	@$(RELEASE)/cygnet-bench --markdown >.build/benchmarks.md && cp .build/benchmarks.md docs/ && cat docs/benchmarks.md

# A hundred million bad ESP packets and ten million bad IKE datagrams, with as much memory after as before; then simulated gateways on
# two cores: a million exchanges with a rehearsed key exchange, ten thousand runs with real algorithms, all orders of crossing
# exchanges, and eleven years of one pair. Within an hour altogether, after building. SOAK are options of cygnet-soak: see
# `cygnet-soak --help`.
SOAK =
soak:
	@Lab/install-packages build
	$(SWIFT) build -c release --product cygnet-soak
	@$(RELEASE)/cygnet-soak $(SOAK)

# Full load for MINUTES while keys, configuration and peers change; fails if memory grows, a packet is not accounted for or a
# flow is reordered.
MINUTES = 10
endurance:
	@Lab/install-packages build test
	$(SWIFT) build -c release --product cygnet
	$(SWIFT) build -c release --product cygnet-bench
	@$(RELEASE)/cygnet-bench endurance --minutes $(MINUTES)

# SECONDS for each target, of which TARGET names one; goes on from where the last run ended. See Fuzz/run.
SECONDS = 60
TARGET =
fuzz:
	@Lab/install-packages build
	CYGNET_FUZZ=1 $(SWIFT) build -c release --scratch-path .build-fuzz --product cygnet-fuzz \
	    -Xswiftc -sanitize=fuzzer -Xswiftc -use-ld=lld
	@Fuzz/run $(SECONDS) $(TARGET)

lint:
	$(SWIFT) format lint --strict --recursive --parallel Package.swift Sources Tests Lab Benchmarks Fuzz

# The installed binary carries the Swift runtime with it, so that it does not need the toolchain.
install:
	@Lab/install-packages build
	$(SWIFT) build -c release --static-swift-stdlib --scratch-path .build-install --product cygnet
	install -D -m 755 .build-install/release/cygnet $(DESTDIR)$(PREFIX)/sbin/cygnet
	install -d -m 755 $(DESTDIR)/etc/cygnet
	install -D -m 644 docs/configuration.md $(DESTDIR)/usr/share/doc/cygnet/configuration.md
	install -d -m 755 $(DESTDIR)$(UNITDIR)
	sed 's|@SBINDIR@|$(PREFIX)/sbin|g' Packaging/cygnet.service > $(DESTDIR)$(UNITDIR)/cygnet.service
	install -d -m 755 $(DESTDIR)$(PREFIX)/share/bash-completion/completions \
	    $(DESTDIR)$(PREFIX)/share/zsh/site-functions $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	.build-install/release/cygnet --generate-completion-script bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/cygnet
	.build-install/release/cygnet --generate-completion-script zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_cygnet
	.build-install/release/cygnet --generate-completion-script fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/cygnet.fish

clean:
	$(SWIFT) package clean

.PHONY: all build demo lab build-tests test interop peers run-interop run-guests bench endurance fuzz soak lint install clean
