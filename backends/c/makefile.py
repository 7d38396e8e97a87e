"""The Makefile of an export."""

from __future__ import annotations

from string import Template

MAKEFILE = Template("""\
# $name, a network in C99. Written by qpsnn export.
#   make check   compile with every warning and sanitizer, compare with the exact simulator
#   make size    what the compiler makes of it, flash (text) and RAM (bss), without the C library; fails unless
#                the RAM is what $name.h states
#   make m4      compile for a Cortex-M4 with every warning, run the check on the one that QEMU emulates, and print
#                the bytes of $name.c (text, data, bss), the stack, and the instructions of an image
#   make m0      the same for a Cortex-M0, of which the emulated M4 has every instruction

CC ?= cc
CHECK = -std=c99 -O1 -g -Wall -Wextra -Werror -pedantic -fsanitize=address,undefined -fno-sanitize-recover=all
SIZE = -std=c99 -Os -ffunction-sections -fdata-sections

ARM ?= arm-none-eabi-
QEMU ?= qemu-system-arm
M = -mthumb -std=c99 -Os -Wall -Wextra -Werror -pedantic -ffunction-sections -fdata-sections
LINK = --specs=nano.specs --specs=rdimon.specs -nostartfiles -T cortex_m.ld -Wl,--gc-sections -Wl,--fatal-warnings
RUN = -M mps2-an386 -display none -monitor none -serial none -icount shift=3 -semihosting-config enable=on,target=native

.PHONY: check size m4 m0 clean

check: build/check
	build/check vectors.bin

build/check: $name.c $name.h check.c
	@mkdir -p build
	$$(CC) $$(CHECK) -D${upper}_OBSERVE $name.c check.c -o build/check

size: build/$name.o
	size build/$name.o
	@size -A build/$name.o | awk '/^[.]bss/ { n += $$$$2 } END { print "RAM: " n " bytes of $ram"; exit n != $ram }'

build/$name.o: $name.c $name.h
	@mkdir -p build
	$$(CC) $$(SIZE) -c $name.c -o build/$name.o

m4 m0: %: build/%/check.elf build/%/measure.elf build/%/$name.o
	$$(QEMU) $$(RUN) -kernel build/$$@/check.elf < /dev/null
	$$(QEMU) $$(RUN) -kernel build/$$@/measure.elf < /dev/null
	$$(ARM)size build/$$@/$name.o

build/%/check.elf: $name.c $name.h check.c cortex_m.c cortex_m.ld
	@mkdir -p build/$$*
	$$(ARM)gcc -mcpu=cortex-$$* $$(M) -D${upper}_OBSERVE $name.c check.c cortex_m.c $$(LINK) -o $$@

build/%/measure.elf: $name.c $name.h measure.c cortex_m.c cortex_m.ld
	@mkdir -p build/$$*
	$$(ARM)gcc -mcpu=cortex-$$* $$(M) $name.c measure.c cortex_m.c $$(LINK) -o $$@

build/%/$name.o: $name.c $name.h
	@mkdir -p build/$$*
	$$(ARM)gcc -mcpu=cortex-$$* $$(M) -c $name.c -o $$@

clean:
	rm -rf build
""")
