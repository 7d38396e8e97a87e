"""The files with which an export runs on a Cortex-M that QEMU emulates: start-up, linker script, and measurement."""

from __future__ import annotations

from string import Template

from qpsnn_backends.c.driver import READ_NUMBER

LINKER = """\
/* Memory of Arm's MPS2 board, as QEMU's mps2-an386 has it. Written by qpsnn. */
MEMORY
{
    flash (rx) : ORIGIN = 0x00000000, LENGTH = 4M
    ram (rw)   : ORIGIN = 0x21000000, LENGTH = 16M
}

ENTRY(reset)
stack_top = ORIGIN(ram) + LENGTH(ram);

SECTIONS
{
    .text : {
        KEEP(*(.vectors))
        *(.text*)
        *(.rodata*)
    } > flash
    .ARM.exidx : { *(.ARM.exidx*) } > flash
    .data : { *(.data*) } > ram
    .bss (NOLOAD) : {
        *(.bss*)
        *(COMMON)
        . = ALIGN(8);
        end = .;
    } > ram
}
"""

START = """\
/* Starts a program on a Cortex-M that QEMU emulates; QEMU has loaded its memory already. Written by qpsnn. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

extern uint32_t stack_top[];
extern void initialise_monitor_handles(void);
extern int main(int argc, char **argv);
void reset(void);
void fault(void);

void reset(void)
{
    static char *words[] = {NULL};
    initialise_monitor_handles();
    exit(main(0, words));
}

void fault(void)
{
    static int again;
    if (!again++) {
        fputs("the processor reports a fault\\n", stderr);
    }
    _Exit(3);
}

__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    void (*handlers[15])(void);
} vectors = {stack_top, {reset, fault, fault, fault, fault, fault, 0, 0, 0, 0, fault, fault, 0, fault, fault}};
"""

MEASURE = Template(
    """\
/* Measures $name on a Cortex-M that QEMU emulates, on the inputs of vectors.bin: the stack and the instructions of an
 * image, of which each must give its class and readouts. Written by qpsnn. */
#include "$name.h"

#include <stdio.h>
#include <stdlib.h>

#define VALUES ((size_t)${upper}_HEIGHT * ${upper}_WIDTH * ${upper}_CHANNELS)
#define PAINT 0xA5C35A3Cu
#define PAINTED 16384 /* words of the stack */

/* The board's timer 0 counts down at 25 MHz; with `-icount shift=3` an instruction takes 8 ns, a fifth of a tick. */
#define TIMER ((volatile uint32_t *)0x40000000u) /* control, value, reload, whether it passed 0 */
#define PER_TICK 5u

static ${name}_value frames[${upper}_STEPS * VALUES];

"""
    + READ_NUMBER
    + """\

/* The class of the frames; bytes of stack and instructions that it took. */
__attribute__((noinline)) static int measured(uint32_t given, uint32_t *stack, uint64_t *instructions)
{
    volatile uint32_t *top;
    __asm__ volatile("mov %0, sp" : "=r"(top));
    for (int32_t i = 1; i <= PAINTED; i++) {
        top[-i] = PAINT;
    }
    TIMER[2] = TIMER[1] = UINT32_MAX;
    TIMER[3] = 1u;
    TIMER[0] = 9u;
    const uint32_t begin = TIMER[1];
    const int found = given > 1 ? ${name}_predict_frames(frames) : ${name}_predict(frames);
    *instructions = (uint64_t)(begin - TIMER[1]) * PER_TICK;
    int32_t used = PAINTED;
    while (used > 0 && top[-used] == PAINT) {
        used--;
    }
    *stack = (uint32_t)used * 4u;
    if (used == PAINTED || TIMER[3]) {
        fprintf(stderr, "more stack or instructions than are counted\\n");
        exit(2);
    }
    return found;
}

static void decimal(uint64_t number)
{
    if (number > 9) {
        decimal(number / 10);
    }
    putchar('0' + (int)(number % 10));
}

int main(void)
{
    FILE *file = fopen("vectors.bin", "rb");
    if (file == NULL) {
        fprintf(stderr, "vectors.bin: cannot be opened\\n");
        return 2;
    }
    const uint32_t count = (uint32_t)number(file, 4), given = (uint32_t)number(file, 4);
    uint32_t deepest = 0;
    uint64_t total = 0, most = 0;
    for (uint32_t vector = 0; vector < count; vector++) {
        uint32_t stack;
        uint64_t instructions;
        for (size_t i = 0; i < given * VALUES; i++) {
            frames[i] = (${name}_value)number(file, (int)sizeof(${name}_value));
        }
        const int found = measured(given, &stack, &instructions);
        for (int32_t i = 0; i < ${upper}_STEPS * ${upper}_LIFS; i++) {
            (void)number(file, 4);
        }
        for (int k = 0; k < ${upper}_CLASSES; k++) {
            if ((uint64_t)${name}_readout()[k] != number(file, 8)) {
                fprintf(stderr, "vector %lu, class %d: another readout\\n", (unsigned long)vector, k);
                return 1;
            }
        }
        if (found != (int)number(file, 4)) {
            fprintf(stderr, "vector %lu: another class\\n", (unsigned long)vector);
            return 1;
        }
        deepest = stack > deepest ? stack : deepest;
        most = instructions > most ? instructions : most;
        total += instructions;
    }
    fclose(file);
    printf("stack: %lu bytes\\ninstructions an image: ", (unsigned long)deepest);
    decimal(total / (count > 0 ? count : 1u));
    printf(" on average, ");
    decimal(most);
    printf(" at most\\n");
    return 0;
}
"""
)
