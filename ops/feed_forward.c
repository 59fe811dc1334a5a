/* ops/feed_forward.c - the two maps of an encoder layer's feed-forward half and the activation between them, in bf16.
 *
 *   u = bf16(x W1^T + b1)      y = bf16(f(u)) W2^T
 *
 *   in     x (R,H)   W1 (F,H)   b1 (F)   W2 (O,F)
 *   attr   i[0] f: one of enum ft_activation that knows its slope from u, or relu
 *          bf16 must be set: in float32 the maps and the activation are ops of their own
 *   out    y (R,O)
 *   saved  u (R,F) bf16
 *
 *   dg = dy W2   du = dg f'(u)   dx = bf16(du) W1   dW2 = dy^T bf16(f(u))   dW1 = bf16(du)^T x   db1[c] = sum_r du[r,c]
 *
 * The inner numbers are the largest of a layer (F is 4H in most encoders); as ops of their own the parts would bring them to
 * memory and back five times in float32. Here they exist for one panel of rows, in a
 * core's own cache; what backward needs is kept in half the size. Its factors of the weight gradients are laid out as
 * ops/product/bf16.h wants them for FT_BF16_GROUP rows at a time, and multiplied before the next.
 */
#include <string.h>

#include "core/mem.h"
#include "ops/activation.h"
#include "ops/blocks.h"
#include "ops/operands.h"
#include "ops/ops.h"

#define PIECE 256       /* numbers of a row handled at once */
#define CHUNK 1536      /* inner numbers of each: more would leave a core's cache; fewer made training slower, */
#define CHUNK_ALONE 512 /* but not where nothing is kept for backward */

/* Sizes, maps, and where in the workspace things lie: first one slice for each thread, then what they share. */
typedef struct job {
    const ft_op_call *c;
    int64_t R, H, F, O;
    int64_t each, chunk; /* rows of a panel, inner numbers taken at once */
    ft_bf16_map up, down;
    const ft_bf16_plan *p_up, *p_down;
    size_t panel, inner, active, result, library, slice;          /* of a slice */
    size_t w_up, w_down, up_dy, up_x, down_dy, down_x, sums, all; /* shared */
} job;

static int64_t blocks_of_64(int64_t n) { return ft_round_up(n, 64); }

/* What the maps are; their plans must be there. */
static job job_of(const ft_op_call *c, int backward)
{
    job j = { .c = c,
              .R = c->in[0]->shape.dim[0],
              .H = c->in[0]->shape.dim[1],
              .F = c->in[1]->shape.dim[0],
              .O = c->in[3]->shape.dim[0] };
    const int tiles = ft_op_active()->tiles;
    const int64_t wide = ft_bf16_even(ft_most(j.H, j.O)), T = ft_least(ft_bf16_even(j.R), FT_BF16_GROUP);
    size_t used = 0;

    j.each = tiles ? ft_bf16_tall(j.R) : ft_bf16_each(j.R);
    j.chunk = tiles ? ft_least(CHUNK, j.F) : j.F;
    const int64_t rows = ft_most(j.each, FT_BF16_ROWS);
    j.up = (ft_bf16_map){ .R = j.R, .O = j.F, .I = j.H, .w = c->in[1]->data, .weight = c->in[1]->weight };
    j.down = (ft_bf16_map){ .R = j.R, .O = j.O, .I = j.F, .w = c->in[3]->data, .weight = c->in[3]->weight };
    j.p_up = ft_bf16_plan_of(&j.up);
    j.p_down = ft_bf16_plan_of(&j.down);
    j.panel = ft_carve(&used, 2 * rows * wide);
    j.inner = ft_carve(&used, 4 * rows * j.chunk);
    j.active = ft_carve(&used, 2 * rows * ft_bf16_even(j.chunk) * (1 + backward));
    j.result = ft_carve(&used, tiles ? 0 : 4 * rows * ft_most(j.H, j.O));
    j.library = ft_carve(&used, (int64_t)ft_most((int64_t)ft_bf16_scratch(j.p_up), (int64_t)ft_bf16_scratch(j.p_down)));
    j.slice = used;
    used *= (size_t)ft_slices();
    j.w_up = ft_carve(&used, (int64_t)ft_bf16_packed(&j.up, backward));
    j.w_down = ft_carve(&used, (int64_t)ft_bf16_packed(&j.down, backward));
    if (backward) {
        j.up_dy = ft_carve(&used, 2 * j.F * T);
        j.up_x = ft_carve(&used, 2 * blocks_of_64(j.H) * T);
        j.down_dy = ft_carve(&used, 2 * j.O * T);
        j.down_x = ft_carve(&used, 2 * blocks_of_64(j.F) * T);
        j.sums = ft_carve(&used, 4 * j.F * FT_BF16_PANELS);
    }
    j.all = used;
    return j;
}

static void *shared(const job *j, size_t at) { return (char *)j->c->work + at; }
static void *own(const job *j, int seat, size_t at) { return (char *)j->c->work + (size_t)seat * j->slice + at; }

static ft_status infer(const ft_op_call *c, ft_op_spec *s, ft_err *e)
{
    const ft_shape *x = &c->in[0]->shape, *up = &c->in[1]->shape, *b = &c->in[2]->shape, *down = &c->in[3]->shape;
    char t[3][96];

    if (x->rank != 2 || up->rank != 2 || down->rank != 2 || x->dim[1] != up->dim[1] || up->dim[0] != down->dim[1])
        return ft_fail(e, FT_ESHAPE, "feed_forward: want x (R,H), W1 (F,H) and W2 (O,F), got %s, %s and %s",
                       ft_shape_text(x, t[0]), ft_shape_text(up, t[1]), ft_shape_text(down, t[2]));
    if (b->rank != 1 || b->dim[0] != up->dim[0])
        return ft_fail(e, FT_ESHAPE, "feed_forward: want a bias (%lld), got %s", (long long)up->dim[0],
                       ft_shape_text(b, t[0]));
    if (c->attr.i[0] < FT_GELU || c->attr.i[0] > FT_RELU)
        return ft_fail(e, FT_EUSAGE, "feed_forward: no activation %lld", (long long)c->attr.i[0]);
    if (!c->attr.bf16 || !ft_bf16_fits(up->dim[0], up->dim[1]) || !ft_bf16_fits(down->dim[0], down->dim[1]))
        return ft_fail(e, FT_EUSAGE, "feed_forward: %s and %s are not multiplied in bf16", ft_shape_text(up, t[0]),
                       ft_shape_text(down, t[1]));
    const ft_bf16_map maps[2] = { { .O = up->dim[0], .I = up->dim[1] }, { .O = down->dim[0], .I = down->dim[1] } };
    for (int k = 0; k < 2; k++)
        if (ft_bf16_prepare(&maps[k], e)) return e ? e->code : FT_EUSAGE;
    const job f = job_of(c, 0), b_job = job_of(c, 1);
    s->dtype = FT_F32;
    s->shape = ft_shape_of(2, x->dim[0], down->dim[0], 0, 0);
    s->saved_dtype[0] = FT_BF16;
    s->saved[0] = ft_shape_of(2, x->dim[0], up->dim[0], 0, 0);
    s->work_forward = f.all;
    s->work_backward = b_job.all;
    s->keeps_forward = ft_bf16_kept(&f.up, 0) + ft_bf16_kept(&f.down, 0);
    s->keeps_backward = ft_bf16_kept(&f.up, 1) + ft_bf16_kept(&f.down, 1);
    s->flops = 2.0 * (double)x->dim[0] * (double)up->dim[0] * (double)(x->dim[1] + down->dim[0]) +
               16.0 * (double)x->dim[0] * (double)up->dim[0];
    s->bytes = (double)x->dim[0] * (4.0 * (double)(x->dim[1] + down->dim[0]) + 2.0 * (double)up->dim[0]) +
               4.0 * (double)(ft_shape_count(up) + ft_shape_count(down));
    return FT_OK;
}

/* ==== One row ==== */

static inline __attribute__((always_inline)) float value_of(const int kind, float u)
{
    return kind == FT_GELU ? ft_gelu_short(u) : ft_activation_value(kind, u);
}

static inline __attribute__((always_inline)) float slope_of(const int kind, float u)
{
    return kind == FT_GELU ? ft_gelu_slope_short(u) : ft_activation_slope(kind, u);
}

/* x becomes f(x). A vector loop, which gcc reports for the lines that call it. */
static inline __attribute__((always_inline)) void values(const int kind, int64_t n, float *x)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const float u = x[i];
        x[i] = value_of(kind, u);
    }
}

/* x becomes f(x) and d becomes d f'(x), which is added to sums. */
static inline __attribute__((always_inline)) void slopes(const int kind, int64_t n, float *x, float *d, float *sums)
{
    /* hot */
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const float u = x[i];
        x[i] = value_of(kind, u);
        d[i] *= slope_of(kind, u);
        sums[i] += d[i];
    }
}

/* From x W1^T + b1: u (NULL: not kept) and g = f(u), both bf16. */
static inline __attribute__((always_inline)) void activate(const int kind, int64_t F, const float *from, uint16_t *u,
                                                           uint16_t *g)
{
    float x[PIECE];
    uint16_t r[PIECE];

    for (int64_t first = 0; first < F; first += PIECE) {
        const int64_t n = ft_least(PIECE, F - first);
        ft_round_row(from + first, n, r);
        ft_widen_row(r, n, x);
        values(kind, n, x);
        ft_round_row(x, n, g + first);
        if (u) memcpy(u + first, r, sizeof *r * (size_t)n);
    }
}

/* From u and dg: g = f(u) and du = dg f'(u), both bf16; what du was before it was rounded is added to sums. dg is lost. */
static inline __attribute__((always_inline)) void deactivate(const int kind, int64_t F, const uint16_t *u, float *dg,
                                                             uint16_t *g, uint16_t *du, float *sums)
{
    float x[PIECE];

    for (int64_t first = 0; first < F; first += PIECE) {
        const int64_t n = ft_least(PIECE, F - first);
        ft_widen_row(u + first, n, x);
        slopes(kind, n, x, dg + first, sums + first);
        ft_round_row(x, n, g + first);
        ft_round_row(dg + first, n, du + first);
    }
}

/* The constant KIND makes every row function straight code. */
#define ROWS_OF(NAME, KIND)                                                                                            \
    static void activate_##NAME(int64_t F, const float *from, uint16_t *u, uint16_t *g)                                \
    {                                                                                                                  \
        activate(KIND, F, from, u, g);                                                                                 \
    }                                                                                                                  \
    static void deactivate_##NAME(int64_t F, const uint16_t *u, float *dg, uint16_t *g, uint16_t *du, float *sums)     \
    {                                                                                                                  \
        deactivate(KIND, F, u, dg, g, du, sums);                                                                       \
    }
ROWS_OF(gelu, FT_GELU)
ROWS_OF(gelu_tanh, FT_GELU_TANH)
ROWS_OF(silu, FT_SILU)
ROWS_OF(relu, FT_RELU)

static const struct {
    void (*forward)(int64_t F, const float *from, uint16_t *u, uint16_t *g);
    void (*backward)(int64_t F, const uint16_t *u, float *dg, uint16_t *g, uint16_t *du, float *sums);
} of_kind[] = {
    [FT_GELU] = { activate_gelu, deactivate_gelu },
    [FT_GELU_TANH] = { activate_gelu_tanh, deactivate_gelu_tanh },
    [FT_SILU] = { activate_silu, deactivate_silu },
    [FT_RELU] = { activate_relu, deactivate_relu },
};

/* ==== Products ==== */

/* The four products of a panel of n rows, for inner numbers f to f + m: all of them, unless there are matrix instructions. */

static int64_t of_chunk(const job *j, int64_t f) { return ft_least(j->chunk, j->F - f); }

/* inner (n,m), chunk apart = a (n, even(H)) W1^T + b1 */
static void multiply_up(const job *j, int64_t n, const uint16_t *a, const uint16_t *w, int64_t f, float *inner)
{
    const float *bias = j->c->in[2]->data;
    const ft_panel p = { .M = ft_round_up(n, 16),
                         .N = of_chunk(j, f),
                         .K = ft_bf16_even(j->H),
                         .lda = ft_bf16_even(j->H),
                         .ldc = j->chunk,
                         .bias = 1 };
    const int seat = ft_worker();

    if (ft_op_active()->tiles)
        FT_KERNEL(ft_tile_panel)(&p, a, w + f * p.K, bias + f, inner);
    else
        ft_bf16_rows_forward(j->p_up, seat, ft_bf16_panel(n), a, w, bias, inner, own(j, seat, j->library));
}

/* y (n,O) [+]= g (n,m), even(chunk) apart, W2^T; added up over chunks. */
static void multiply_down(const job *j, int64_t n, const uint16_t *g, const uint16_t *w, int64_t f, float *y)
{
    const ft_panel p = { .M = n,
                         .N = j->O,
                         .K = ft_bf16_even(of_chunk(j, f)),
                         .lda = ft_bf16_even(j->chunk),
                         .ldc = j->O,
                         .add = f > 0,
                         .deep = ft_bf16_even(j->F) };
    const int seat = ft_worker();

    if (ft_op_active()->tiles) {
        FT_KERNEL(ft_tile_panel)(&p, g, w + f * 64, NULL, y);
        return;
    }
    const int64_t rows = ft_bf16_panel(n);
    float *room = own(j, seat, j->result);
    ft_bf16_rows_forward(j->p_down, seat, rows, g, w, NULL, rows == n ? y : room, own(j, seat, j->library));
    if (rows != n) memcpy(y, room, sizeof *y * (size_t)(n * j->O));
}

/* dg (n,m), chunk apart = dy (n, even(O)) W2 */
static void multiply_dg(const job *j, int64_t n, const uint16_t *dy, const uint16_t *w, int64_t f, float *dg)
{
    const ft_panel p = { .M = ft_round_up(n, 16),
                         .N = of_chunk(j, f),
                         .K = ft_bf16_even(j->O),
                         .lda = ft_bf16_even(j->O),
                         .ldc = j->chunk };
    const int seat = ft_worker();

    if (ft_op_active()->tiles)
        FT_KERNEL(ft_tile_panel)(&p, dy, w + f * p.K, NULL, dg);
    else
        ft_bf16_rows_grad_x(j->p_down, seat, ft_bf16_panel(n), dy, w, 0, dg, own(j, seat, j->library));
}

/* dx (n,H) [+]= du (n,m), even(chunk) apart, W1; added up over chunks. */
static void multiply_dx(const job *j, int64_t n, const uint16_t *du, const uint16_t *w, int64_t f, float *dx)
{
    const int add = j->c->add[0], seat = ft_worker();
    const ft_panel p = { .M = n,
                         .N = j->H,
                         .K = ft_bf16_even(of_chunk(j, f)),
                         .lda = ft_bf16_even(j->chunk),
                         .ldc = j->H,
                         .add = add || f > 0,
                         .deep = ft_bf16_even(j->F) };

    if (ft_op_active()->tiles) {
        FT_KERNEL(ft_tile_panel)(&p, du, w + f * 64, NULL, dx);
        return;
    }
    const int64_t rows = ft_bf16_panel(n);
    float *room = own(j, seat, j->result);
    ft_bf16_rows_grad_x(j->p_up, seat, rows, du, w, rows == n && add, rows == n ? dx : room, own(j, seat, j->library));
    for (int64_t i = 0; rows != n && i < n * j->H; i++) dx[i] = add ? dx[i] + room[i] : room[i];
}

/* Rows that operands of n rows have. */
static int64_t rows_of(int64_t n) { return n > FT_BF16_ROWS ? ft_round_up(n, 16) : ft_bf16_panel(n); }

/* Zeros behind the m numbers of each of n rows, and in rows up to a whole panel. */
static void fill_up(const job *j, int64_t n, int64_t m, uint16_t *x)
{
    const int64_t wide = ft_bf16_even(j->chunk);

    for (int64_t r = 0; r < n && wide > m; r++) memset(x + r * wide + m, 0, sizeof *x * (size_t)(wide - m));
    memset(x + n * wide, 0, sizeof *x * (size_t)((rows_of(n) - n) * wide));
}

/* ==== Forward ==== */

/* Rows [at, at + n). */
static void forward_panel(const job *j, int64_t at, int64_t n, const uint16_t *w_up, const uint16_t *w_down)
{
    const ft_op_call *c = j->c;
    const int seat = ft_worker();
    const int64_t wide = ft_bf16_even(j->chunk);
    uint16_t *a = own(j, seat, j->panel), *g = own(j, seat, j->active);
    uint16_t *u = c->saved[0] ? (uint16_t *)c->saved[0]->data + at * j->F : NULL;
    float *inner = own(j, seat, j->inner);

    FT_KERNEL(ft_layouts)
        .rows((const float *)c->in[0]->data + at * j->H, j->H, n, j->H, rows_of(n), ft_bf16_even(j->H), a);
    for (int64_t f = 0; f < j->F; f += j->chunk) {
        const int64_t m = of_chunk(j, f);
        multiply_up(j, n, a, w_up, f, inner);
        for (int64_t r = 0; r < n; r++)
            of_kind[c->attr.i[0]].forward(m, inner + r * j->chunk, u ? u + r * j->F + f : NULL, g + r * wide);
        fill_up(j, n, m, g);
        multiply_down(j, n, g, w_down, f, (float *)c->out->data + at * j->O);
    }
}

static void forward(const ft_op_call *c)
{
    job j = job_of(c, 0);
    if (!c->saved[0] && ft_op_active()->tiles) j.chunk = ft_least(j.chunk, CHUNK_ALONE);
    const int64_t each = j.each;
    const uint16_t *w_up = ft_bf16_weight(&j.up, 0, shared(&j, j.w_up));
    const uint16_t *w_down = ft_bf16_weight(&j.down, 0, shared(&j, j.w_down));

#pragma omp parallel for schedule(dynamic)                                                                             \
    num_threads(ft_workers()) if (j.R > each && j.R * j.F * j.H > FT_PRODUCT_WORTH)
    for (int64_t at = 0; at < j.R; at += each) forward_panel(&j, at, ft_least(each, j.R - at), w_up, w_down);
}

/* ==== Backward ==== */

typedef struct wanted {
    int up, down, sums; /* gradients of W1, W2 and b1 */
    const uint16_t *w_up, *w_down;
} wanted;

/* Up to 32 rows of a panel, `row` the first in the batch: where they lie in a group that begins at row `from`. */
typedef struct spot {
    int64_t n, part, size, in_part; /* rows; first row and size of their part of the sum; their place there */
} spot;

static spot spot_of(const job *j, int64_t from, int64_t row, int64_t n)
{
    spot s = { .n = ft_least(32, n) };
    const int64_t at = ft_bf16_part(ft_bf16_even(j->R), row, &s.size);

    s.part = at - from;
    s.in_part = row - at;
    return s;
}

/* Of a panel's rows [at, at + n): dy and x as factors of the weight gradients. */
static void lay_out_ends(const job *j, const wanted *w, int64_t from, int64_t at, int64_t n, const uint16_t *dy)
{
    uint16_t *down_dy = shared(j, j->down_dy), *up_x = shared(j, j->up_x);

    for (int64_t r = 0; r < n; r += 32) {
        const spot s = spot_of(j, from, at + r, n - r);
        const float *x = (const float *)j->c->in[0]->data + (at + r) * j->H;
        if (w->down)
            ft_turned_operand(dy + r * ft_bf16_even(j->O), ft_bf16_even(j->O), s.n, j->O, s.size,
                              down_dy + s.part * j->O + s.in_part);
        for (int64_t c = 0; w->up && c < j->H; c += 64)
            FT_KERNEL(ft_layouts)
                .pairs(x + c, j->H, s.n, ft_least(64, j->H - c), 32,
                       up_x + s.part * blocks_of_64(j->H) + c * s.size + s.in_part * 64);
    }
}

/* The same of du and g, for inner numbers f to f + m. */
static void lay_out_inner(const job *j, const wanted *w, int64_t from, int64_t at, int64_t n, int64_t f,
                          const uint16_t *du, const uint16_t *g)
{
    const int64_t wide = ft_bf16_even(j->chunk), m = of_chunk(j, f);
    uint16_t *up_dy = shared(j, j->up_dy), *down_x = shared(j, j->down_x);

    for (int64_t r = 0; r < n; r += 32) {
        const spot s = spot_of(j, from, at + r, n - r);
        if (w->up)
            ft_turned_operand(du + r * wide, wide, s.n, m, s.size, up_dy + s.part * j->F + f * s.size + s.in_part);
        for (int64_t c = 0; w->down && c < m; c += 64)
            ft_paired_operand(g + r * wide + c, wide, s.n, ft_least(64, m - c), 32,
                              down_x + s.part * blocks_of_64(j->F) + (f + c) * s.size + s.in_part * 64);
    }
}

/* Rows [at, at + n) of the group that begins at row `from`; sums (F) is the panel's own. */
static void backward_panel(const job *j, const wanted *w, int64_t from, int64_t at, int64_t n, float *sums)
{
    const ft_op_call *c = j->c;
    const int seat = ft_worker();
    const int64_t wide = ft_bf16_even(j->chunk);
    uint16_t *dy = own(j, seat, j->panel), *g = own(j, seat, j->active),
             *du = g + ft_most(j->each, FT_BF16_ROWS) * wide;
    const uint16_t *u = (const uint16_t *)c->saved[0]->data + at * j->F;
    float *dg = own(j, seat, j->inner);

    FT_KERNEL(ft_layouts)
        .rows((const float *)c->d_out->data + at * j->O, j->O, n, j->O, rows_of(n), ft_bf16_even(j->O), dy);
    lay_out_ends(j, w, from, at, n, dy);
    memset(sums, 0, sizeof *sums * (size_t)j->F);
    for (int64_t f = 0; f < j->F; f += j->chunk) {
        const int64_t m = of_chunk(j, f);
        multiply_dg(j, n, dy, w->w_down, f, dg);
        for (int64_t r = 0; r < n; r++)
            of_kind[c->attr.i[0]].backward(m, u + r * j->F + f, dg + r * j->chunk, g + r * wide, du + r * wide,
                                           sums + f);
        fill_up(j, n, m, du);
        lay_out_inner(j, w, from, at, n, f, du, g);
        if (c->d_in[0]) multiply_dx(j, n, du, w->w_up, f, (float *)c->d_in[0]->data + at * j->H);
    }
}

/* Task k of a group's weight gradients: the blocks of W2's, which are the longer ones, then those of W1's. */
static void block_of_weights(const job *j, const wanted *w, int64_t from, int64_t to, int64_t k)
{
    const int64_t T = ft_bf16_even(j->R), downs = w->down ? (j->O + FT_BF16_OUTS - 1) / FT_BF16_OUTS : 0;
    const int seat = ft_worker(), down = k < downs, input = down ? 3 : 1;

    ft_bf16_block_grad_w(down ? j->p_down : j->p_up, seat, T, from, to, (down ? k : k - downs) * FT_BF16_OUTS,
                         shared(j, down ? j->down_dy : j->up_dy), shared(j, down ? j->down_x : j->up_x),
                         j->c->add[input], j->c->d_in[input]->data, own(j, seat, j->library));
}

static int64_t blocks(int64_t outs) { return (outs + FT_BF16_OUTS - 1) / FT_BF16_OUTS; }

/* A group's rows, then the weight gradients of what they left in cache. */
static void all_groups(const job *j, const wanted *w)
{
    const int64_t T = ft_bf16_even(j->R), each = j->each;
    const int64_t tasks = (w->down ? blocks(j->O) : 0) + (w->up ? blocks(j->F) : 0);
    float *sums = shared(j, j->sums);

#pragma omp parallel num_threads(ft_workers()) if (j->R > each && j->R * j->F * j->H > FT_PRODUCT_WORTH)
    for (int64_t from = 0; from < j->R; from += FT_BF16_GROUP) {
        const int64_t to = ft_least(from + FT_BF16_GROUP, j->R);
#pragma omp for schedule(dynamic)
        for (int64_t at = from; at < to; at += each)
            backward_panel(j, w, from, at, ft_least(each, to - at), sums + (at - from) / each * j->F);
#pragma omp single nowait
        if (w->sums)
            ft_block_fold(sums, (to - from + each - 1) / each, j->F, j->F, from > 0 || j->c->add[2],
                          j->c->d_in[2]->data);
#pragma omp for schedule(dynamic)
        for (int64_t k = 0; k < tasks; k++) block_of_weights(j, w, from, ft_least(from + FT_BF16_GROUP, T), k);
    }
}

static void backward(const ft_op_call *c)
{
    const job j = job_of(c, 1);
    wanted w = { .up = c->d_in[1] != NULL, .down = c->d_in[3] != NULL, .sums = c->d_in[2] != NULL };

    w.w_down = ft_bf16_weight(&j.down, 1, shared(&j, j.w_down));
    if (c->d_in[0]) w.w_up = ft_bf16_weight(&j.up, 1, shared(&j, j.w_up));
    for (int k = 1; k < 4 && j.R == 0; k++)
        if (c->d_in[k] && !c->add[k])
            memset(c->d_in[k]->data, 0, sizeof(float) * (size_t)ft_shape_count(&c->d_in[k]->shape));
    all_groups(&j, &w);
}

const ft_op FT_OP(feed_forward) = {
    .name = "feed_forward",
    .min_in = 4,
    .max_in = 4,
    .keeps_in = 1u << 0 | 1u << 1 | 1u << 3,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
