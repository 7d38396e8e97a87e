"""The C programs beside a network on this machine: the check of an export, and what the backend runs."""

from __future__ import annotations

from string import Template

READ_NUMBER = """\
static uint64_t number(FILE *file, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) {
        const int byte = getc(file);
        if (byte == EOF) {
            fprintf(stderr, "vectors.bin: ends too early\\n");
            exit(2);
        }
        value |= (uint64_t)byte << (8 * i);
    }
    return value;
}
"""
"""C that reads little-endian numbers; the program on a Cortex-M has it, too."""

CHECK = Template(
    """\
/* Compares $name with the exact simulator, whose answers are in vectors.bin: every spike and membrane of a
 * layer and step by their hash, every readout, and the class. Written by qpsnn. */
#include "$name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUES ((size_t)${upper}_HEIGHT * ${upper}_WIDTH * ${upper}_CHANNELS)

static ${name}_value frames[${upper}_STEPS * VALUES];
static uint32_t hashes[${upper}_LIFS + 1];
static uint64_t readouts[${upper}_CLASSES];

/* A number of its own for each neuron, odd so that no change of a value is lost. */
static uint32_t mix(uint32_t x)
{
    x = (x + 1u) * 2654435761u;
    x = (x ^ (x >> 15)) * 2246822519u;
    return (x ^ (x >> 13)) | 1u;
}

void ${name}_observe(int lif, int32_t neuron, int spike, int32_t membrane)
{
    hashes[lif] += mix((uint32_t)neuron) * (2u * (uint32_t)membrane + (uint32_t)spike);
}

/* Little-endian numbers. */
"""
    + READ_NUMBER
    + """\

/* Whether the sums are those that the file says. */
static int same_readout(uint32_t vector)
{
    for (int k = 0; k < ${upper}_CLASSES; k++) {
        if ((uint64_t)${name}_readout()[k] != readouts[k]) {
            fprintf(stderr, "vector %lu, class %d: another readout\\n", (unsigned long)vector, k);
            return 0;
        }
    }
    return 1;
}

/* Whether one vector gives what the file says. */
static int same(FILE *file, uint32_t vector, uint32_t given)
{
    for (size_t i = 0; i < given * VALUES; i++) {
        frames[i] = (${name}_value)number(file, (int)sizeof(${name}_value));
    }
    ${name}_reset();
    for (int t = 0; t < ${upper}_STEPS; t++) {
        memset(hashes, 0, sizeof hashes);
        if (${name}_step(frames + (given > 1 ? t : 0) * VALUES) != 0) {
            fprintf(stderr, "vector %lu, step %d: refused\\n", (unsigned long)vector, t);
            return 0;
        }
        for (int lif = 0; lif < ${upper}_LIFS; lif++) {
            if (hashes[lif] != (uint32_t)number(file, 4)) {
                fprintf(stderr, "vector %lu, step %d, layer %d: other spikes or membranes\\n",
                        (unsigned long)vector, t, lif);
                return 0;
            }
        }
    }
    for (int k = 0; k < ${upper}_CLASSES; k++) {
        readouts[k] = number(file, 8);
    }
    if (!same_readout(vector)) {
        return 0;
    }
    const int streamed = ${name}_answer();
    if (streamed != (int)number(file, 4)
        || streamed != (given > 1 ? ${name}_predict_frames(frames) : ${name}_predict(frames))) {
        fprintf(stderr, "vector %lu: another class\\n", (unsigned long)vector);
        return 0;
    }
    return same_readout(vector);
}

int main(int argc, char **argv)
{
    FILE *file = fopen(argc > 1 ? argv[1] : "vectors.bin", "rb");
    if (file == NULL) {
        fprintf(stderr, "vectors.bin: cannot be opened\\n");
        return 2;
    }
    const uint32_t count = (uint32_t)number(file, 4), given = (uint32_t)number(file, 4);
    if (given != 1 && given != ${upper}_STEPS) {
        fprintf(stderr, "vectors.bin: not of this network\\n");
        return 2;
    }
    for (uint32_t vector = 0; vector < count; vector++) {
        if (!same(file, vector, given)) {
            return 1;
        }
    }
    fclose(file);
    printf("$name: %lu inputs, %d layers of neurons, %d steps: spikes, membranes and readouts are the same\\n",
           (unsigned long)count, ${upper}_LIFS, ${upper}_STEPS);
    return 0;
}
"""
)

RUN = """\
/* Runs the network on a file of inputs: run INPUTS COUNT FRAMES STEPS READOUTS SPIKES MEMBRANES; "-": not kept. */
#include "network.h"

#include <stdio.h>
#include <stdlib.h>

#define VALUES ((size_t)NETWORK_HEIGHT * NETWORK_WIDTH * NETWORK_CHANNELS)

static network_value frame[VALUES];
static FILE *spikes, *membranes;

#ifdef NETWORK_OBSERVE
void network_observe(int lif, int32_t neuron, int spike, int32_t membrane)
{
    (void)lif;
    (void)neuron;
    putc(spike, spikes);
    if (membranes != NULL) {
        fwrite(&membrane, sizeof membrane, 1, membranes);
    }
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

static FILE *written(const char *path)
{
    return path[0] == '-' && path[1] == 0 ? NULL : opened(path, "wb");
}

static void closed(FILE *file)
{
    if (file != NULL && (ferror(file) || fclose(file) != 0)) {
        perror("output");
        exit(1);
    }
}

int main(int argc, char **argv)
{
    if (argc != 8) {
        fprintf(stderr, "expected 7 words\\n");
        return 1;
    }
    FILE *inputs = opened(argv[1], "rb"), *readouts = written(argv[5]);
    const long count = atol(argv[2]), given = atol(argv[3]), steps = atol(argv[4]);
    spikes = written(argv[6]);
    membranes = written(argv[7]);
    for (long i = 0; i < count; i++) {
        network_reset();
        for (long t = 0; t < steps; t++) {
            if (t < given && fread(frame, sizeof frame[0], VALUES, inputs) != VALUES) {
                fprintf(stderr, "inputs: end too early\\n");
                return 1;
            }
            if (network_step(frame) != 0) {
                fprintf(stderr, "image %ld, step %ld: refused\\n", i, t);
                return 1;
            }
        }
        fwrite(network_readout(), sizeof(int64_t), NETWORK_CLASSES, readouts);
    }
    closed(readouts);
    closed(spikes);
    closed(membranes);
    fclose(inputs);
    return 0;
}
"""
