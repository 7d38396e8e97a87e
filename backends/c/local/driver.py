"""The C programs beside a network of local learning: the check of an export, and what the backend runs."""

from __future__ import annotations

from string import Template

from qpsnn_backends.c.driver import READ_NUMBER

CHECK = Template(
    """\
/* Compares $name with the exact simulator, whose answers are in vectors.bin: every stored variable after every step
 * by its hash, and all answers. Written by qpsnn. */
#include "$name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint8_t frame[${upper}_INPUTS];
static uint32_t hashes[${upper}_VARIABLES];

/* A number of its own for each place, odd so that no change of a value is lost. */
static uint32_t mix(uint32_t x)
{
    x = (x + 1u) * 2654435761u;
    x = (x ^ (x >> 15)) * 2246822519u;
    return (x ^ (x >> 13)) | 1u;
}

void ${name}_observe(int variable, uint32_t index, int32_t value)
{
    hashes[variable] += mix(index) * (uint32_t)value;
}

/* Little-endian numbers. */
"""
    + READ_NUMBER
    + """\

/* Whether one sample gives what the file says. */
static int same(FILE *file, uint32_t vector)
{
    ${name}_reset((uint32_t)number(file, 4));
    for (int t = 0; t < ${upper}_STEPS; t++) {
        memset(hashes, 0, sizeof hashes);
        if (fread(frame, 1, sizeof frame, file) != sizeof frame) {
            fprintf(stderr, "vectors.bin: ends too early\\n");
            exit(2);
        }
        if (${name}_step(frame) != 0) {
            fprintf(stderr, "sample %lu, step %d: refused\\n", (unsigned long)vector, t);
            return 0;
        }
        for (int k = 0; k < ${upper}_VARIABLES; k++) {
            if (hashes[k] != (uint32_t)number(file, 4)) {
                fprintf(stderr, "sample %lu, step %d, variable %d: others\\n", (unsigned long)vector, t, k);
                return 0;
            }
        }
    }
    for (int k = 0; k < ${upper}_ANSWERS; k++) {
        if (${name}_answers()[k] != (uint32_t)number(file, 4)) {
            fprintf(stderr, "sample %lu, answer %d: another\\n", (unsigned long)vector, k);
            return 0;
        }
    }
    const int wanted = (int)number(file, 4);
$class    return 1;
}

int main(int argc, char **argv)
{
    FILE *file = fopen(argc > 1 ? argv[1] : "vectors.bin", "rb");
    if (file == NULL) {
        fprintf(stderr, "vectors.bin: cannot be opened\\n");
        return 2;
    }
    const uint32_t count = (uint32_t)number(file, 4);
    for (uint32_t vector = 0; vector < count; vector++) {
        if (!same(file, vector)) {
            return 1;
        }
    }
    fclose(file);
    printf("$name: %lu samples, %d stored variables, %d steps: all are the same\\n",
           (unsigned long)count, ${upper}_VARIABLES, ${upper}_STEPS);
    return 0;
}
"""
)

CHECK_CLASS = Template("""\
    if (${name}_answer() != wanted) {
        fprintf(stderr, "sample %lu: another class\\n", (unsigned long)vector);
        return 0;
    }
""")

NO_CLASS = """\
    (void)wanted;
"""

RUN = """\
/* Runs the network on a file of samples: run INPUTS COUNT STEPS FIRST ANSWERS VARIABLES; "-": not kept. */
#include "network.h"

#include <stdio.h>
#include <stdlib.h>

static uint8_t frame[NETWORK_INPUTS];

#ifdef NETWORK_OBSERVE
static FILE *variables;

void network_observe(int variable, uint32_t index, int32_t value)
{
    (void)variable;
    (void)index;
    fwrite(&value, sizeof value, 1, variables);
}
#endif

static FILE *opened(const char *path, const char *mode)
{
    FILE *file = fopen(path, mode);
    if (file == NULL) {
        perror(path);
        exit(1);
    }
    return file;
}

static void closed(FILE *file)
{
    if (ferror(file) || fclose(file) != 0) {
        perror("output");
        exit(1);
    }
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "expected 6 words\\n");
        return 1;
    }
    FILE *inputs = opened(argv[1], "rb"), *answers = opened(argv[5], "wb");
    const long count = atol(argv[2]), steps = atol(argv[3]);
    const uint32_t first = (uint32_t)strtoul(argv[4], NULL, 10);
#ifdef NETWORK_OBSERVE
    variables = opened(argv[6], "wb");
#endif
    for (long i = 0; i < count; i++) {
        network_reset(first + (uint32_t)i);
        for (long t = 0; t < steps; t++) {
            if (fread(frame, 1, sizeof frame, inputs) != sizeof frame) {
                fprintf(stderr, "inputs: end too early\\n");
                return 1;
            }
            if (network_step(frame) != 0) {
                fprintf(stderr, "sample %ld, step %ld: refused\\n", i, t);
                return 1;
            }
        }
        for (int k = 0; k < NETWORK_ANSWERS; k++) {
            const uint32_t answer = network_answers()[k];
            fwrite(&answer, sizeof answer, 1, answers);
        }
    }
    closed(answers);
#ifdef NETWORK_OBSERVE
    closed(variables);
#endif
    fclose(inputs);
    return 0;
}
"""

MAKEFILE = Template("""\
# $name, a network of local learning in C99. Written by qpsnn export.
#   make check   compile with every warning and sanitizer, compare with the exact simulator
#   make size    what the compiler makes of it, flash (text) and RAM (bss), without the C library; fails unless
#                the RAM is what $name.h states
#   make m4      compile for a Cortex-M4 with every warning, run the check on the one that QEMU emulates, and print
#                the bytes of $name.c (text, data, bss)
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

m4 m0: %: build/%/check.elf build/%/$name.o
	$$(QEMU) $$(RUN) -kernel build/$$@/check.elf < /dev/null
	$$(ARM)size build/$$@/$name.o

build/%/check.elf: $name.c $name.h check.c cortex_m.c cortex_m.ld
	@mkdir -p build/$$*
	$$(ARM)gcc -mcpu=cortex-$$* $$(M) -D${upper}_OBSERVE $name.c check.c cortex_m.c $$(LINK) -o $$@

build/%/$name.o: $name.c $name.h
	@mkdir -p build/$$*
	$$(ARM)gcc -mcpu=cortex-$$* $$(M) -c $name.c -o $$@

clean:
	rm -rf build
""")
