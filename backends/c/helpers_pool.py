"""The C functions that join maps: pools and sums of counts."""

from __future__ import annotations

from string import Template

POOL = """\
/* Windows over a map. `units`: elements of a pixel. */
struct pool {
    int32_t height, width, units, channels;
    int32_t out_height, out_width;
    int32_t size, stride, padding;
};
"""

_MAX = Template("""\
/* The $what of each window. */
static void max_$kind(const struct pool *p, const $type *in, $type *out)
{
    for (int32_t y = 0; y < p->out_height; y++) {
        for (int32_t x = 0; x < p->out_width; x++, out += p->units) {
            const int32_t top = y * p->stride - p->padding, left = x * p->stride - p->padding;
            const int32_t bottom = end_inside(top, p->size, p->height), end = end_inside(left, p->size, p->width);
            memset(out, 0, (size_t)p->units * sizeof *out);
            for (int32_t ky = first_inside(top); ky < bottom; ky++) {
                for (int32_t kx = first_inside(left); kx < end; kx++) {
                    const $type *at = in + ((top + ky) * p->width + left + kx) * p->units;
                    for (int32_t i = 0; i < p->units; i++) {
                        $take
                    }
                }
            }
        }
    }
}
""")

MAX_BITS = _MAX.substitute(kind="bits", type="uint32_t", what="spikes of any pixel", take="out[i] |= at[i];")

MAX_COUNTS = Template(
    _MAX.substitute(kind="$kind", type="$type", what="largest counts", take="out[i] = at[i] > out[i] ? at[i] : out[i];")
)

SUM_POOL = Template("""\
/* The sum of each window, windows side by side. */
static void sum_${source}_$gives(const struct pool *p, const $type *in, $result *out)
{
    for (int32_t y = 0; y < p->out_height; y++) {
        for (int32_t x = 0; x < p->out_width; x++, out += p->channels) {
            memset(out, 0, (size_t)p->channels * sizeof *out);
            for (int32_t k = 0; k < p->size * p->size; k++) {
                const int32_t pixel = (y * p->size + k / p->size) * p->width + x * p->size + k % p->size;
                const $type *at = in + pixel * p->units;
                for (int32_t c = 0; c < p->channels; c++) {
                    out[c] = ($result)(out[c] + ($count));
                }
            }
        }
    }
}
""")

ADD = Template("""\
/* out += in. units: elements of a pixel of `in`. */
static void add_${source}_$gives(const $type *in, $result *out, int32_t pixels, int32_t units, int32_t channels)
{
    for (int32_t i = 0; i < pixels; i++, in += units, out += channels) {
        for (int32_t c = 0; c < channels; c++) {
            out[c] = ($result)(out[c] + ($count));
        }
    }
}
""")
