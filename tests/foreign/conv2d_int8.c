/* A foreign kernel: int8 CONV_2D as an author of faster kernels might begin, in plain C99.
 *
 * Checked against ptq's test vectors by tests/test_foreign_kernels.py, which also builds it with planted mistakes:
 * -DSINGLE_ROUNDING (one rounding instead of two), -DZERO_PADDING (0 outside the image instead of the zero point).
 */
#include <math.h>
#include <stdint.h>

typedef struct {
    int32_t batch, in_h, in_w, in_c;      /* input  [batch, in_h, in_w, in_c]      */
    int32_t out_c, k_h, k_w, depth;       /* filter [out_c, k_h, k_w, depth]       */
    int32_t out_h, out_w;                 /* output [batch, out_h, out_w, out_c]   */
    int32_t stride_h, stride_w, dilation_h, dilation_w, same;
    int32_t input_zero_point, output_zero_point, lowest, highest;
    float input_scale, output_scale;
    int32_t per_channel;                  /* whether filter_scale has out_c entries */
} Conv;

static void quantize_multiplier(double real, int32_t *multiplier, int *shift) {
    double mantissa = frexp(real, shift);
    int64_t q = (int64_t)round(mantissa * 2147483648.0);
    if (q == (int64_t)1 << 31) { q /= 2; ++*shift; }
    if (*shift < -31) { *shift = 0; q = 0; }
    *multiplier = (int32_t)q;
}

static int32_t rescale(int32_t x, int32_t multiplier, int shift) {
#ifdef SINGLE_ROUNDING
    int total = 31 - shift;
    return (int32_t)(((int64_t)x * multiplier + ((int64_t)1 << (total - 1))) >> total);
#else
    int left = shift > 0 ? shift : 0, right = shift > 0 ? 0 : -shift;
    int64_t product = (int64_t)(int32_t)((uint32_t)x << left) * multiplier;
    int32_t high = (int32_t)((product + ((int64_t)1 << 30)) >> 31);             /* ties up */
    int32_t mask = (int32_t)(((int64_t)1 << right) - 1), rest = high & mask;
    return (high >> right) + (rest > (mask >> 1) + (high < 0));                 /* ties away from zero */
#endif
}

static int32_t before(int32_t size, int32_t out, int32_t kernel, int32_t stride, int32_t dilation, int32_t same) {
    int32_t total = (out - 1) * stride + (kernel - 1) * dilation + 1 - size;
    return same && total > 0 ? total / 2 : 0;
}

void conv2d_int8(const Conv *c, const int8_t *input, const int8_t *filter, const float *filter_scale,
                 const int32_t *bias, int8_t *output) {
    int32_t top = before(c->in_h, c->out_h, c->k_h, c->stride_h, c->dilation_h, c->same);
    int32_t left = before(c->in_w, c->out_w, c->k_w, c->stride_w, c->dilation_w, c->same);
    int32_t groups = c->in_c / c->depth, per_group = c->out_c / groups;
    for (int32_t n = 0; n < c->batch; ++n)
    for (int32_t y = 0; y < c->out_h; ++y)
    for (int32_t x = 0; x < c->out_w; ++x)
    for (int32_t o = 0; o < c->out_c; ++o) {
        int32_t accumulator = 0, multiplier;
        int shift;
        for (int32_t i = 0; i < c->k_h; ++i)
        for (int32_t j = 0; j < c->k_w; ++j) {
            int32_t row = y * c->stride_h - top + i * c->dilation_h;
            int32_t column = x * c->stride_w - left + j * c->dilation_w;
            int inside = row >= 0 && row < c->in_h && column >= 0 && column < c->in_w;
            for (int32_t k = 0; k < c->depth; ++k) {
                int32_t weight = filter[((o * c->k_h + i) * c->k_w + j) * c->depth + k], value;
                if (inside)
                    value = input[((n * c->in_h + row) * c->in_w + column) * c->in_c + o / per_group * c->depth + k];
                else
#ifdef ZERO_PADDING
                    value = 0;
#else
                    value = c->input_zero_point;
#endif
                accumulator += weight * (value - c->input_zero_point);
            }
        }
        double scale = filter_scale[c->per_channel ? o : 0];
        quantize_multiplier((double)c->input_scale * scale / (double)c->output_scale, &multiplier, &shift);
        int32_t q = rescale(accumulator + bias[o], multiplier, shift) + c->output_zero_point;
        output[((n * c->out_h + y) * c->out_w + x) * c->out_c + o] =
            (int8_t)(q < c->lowest ? c->lowest : q > c->highest ? c->highest : q);
    }
}
