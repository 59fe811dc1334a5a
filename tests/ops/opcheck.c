/* tests/ops/opcheck.c - the generic op tester; see opcheck.h.
 *
 * A failing check leaves through cmocka's longjmp and leaks its buffers: a failed test
 * under AddressSanitizer therefore reports leaks as well, which mean nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "opcheck.h"

#define GUARD 64
#define GUARD_BYTE 0xA5
#define NAN_BYTE 0xFF    /* float: NaN; int32: -1 */
#define NUMBER_BYTE 0x3F /* float: about 0.75 */

static char where[160]; /* what is being checked, for messages */

static void set_threads(int n)
{
#ifdef _OPENMP
    omp_set_dynamic(0);
    omp_set_num_threads(n);
#else
    (void)n;
#endif
}

/* ==== Guarded tensors: exactly as large as the spec says, between bytes that must survive ==== */

typedef struct slot {
    ft_tensor t;
    unsigned char *raw; /* NULL: not in use */
} slot;

static slot slot_open(ft_dtype dtype, const ft_shape *shape, int poison)
{
    slot s = { .t = { .refs = 1, .dtype = dtype, .shape = *shape } };
    s.t.bytes = (size_t)ft_shape_count(shape) * ft_dtype_size(dtype);
    const size_t total = (s.t.bytes + 2 * GUARD + 63) / 64 * 64;

    s.raw = aligned_alloc(64, total);
    if (!s.raw) fail_msg("opcheck: out of memory");
    memset(s.raw, GUARD_BYTE, total);
    s.t.data = s.raw + GUARD;
    memset(s.t.data, poison, s.t.bytes);
    return s;
}

static slot slot_bytes(size_t bytes, int poison)
{
    const ft_shape shape = ft_shape_of(1, (int64_t)bytes, 0, 0, 0);
    if (bytes == 0) return (slot){ .raw = NULL };
    return slot_open(FT_U8, &shape, poison);
}

static slot slot_copy(const ft_tensor *t)
{
    slot s = slot_open(t->dtype, &t->shape, 0);
    memcpy(s.t.data, t->data, s.t.bytes);
    return s;
}

static void slot_check(const slot *s, const char *what)
{
    if (!s->raw) return;
    const size_t total = (s->t.bytes + 2 * GUARD + 63) / 64 * 64;
    for (size_t i = 0; i < total; i++) {
        if (i >= GUARD && i < GUARD + s->t.bytes) continue;
        if (s->raw[i] != GUARD_BYTE)
            fail_msg("%s: a byte %s %s was written (offset %lld of %zu)", where, i < GUARD ? "before" : "after", what,
                     (long long)i - GUARD, s->t.bytes);
    }
}

static void slot_close(slot *s)
{
    free(s->raw);
    s->raw = NULL;
}

static void same_bits(const slot *a, const slot *b, const char *what)
{
    if (!a->raw) return;
    if (memcmp(a->t.data, b->t.data, a->t.bytes) == 0) return;
    const float *x = a->t.data, *y = b->t.data;
    for (size_t i = 0; a->t.dtype == FT_F32 && i < a->t.bytes / 4; i++)
        if (memcmp(x + i, y + i, 4) != 0)
            fail_msg("%s: %s differs at element %zu: %.9g and %.9g", where, what, i, (double)x[i], (double)y[i]);
    fail_msg("%s: %s differs", where, what);
}

static void all_finite(const slot *s, const char *what)
{
    if (!s->raw || s->t.dtype != FT_F32) return;
    const float *x = s->t.data;
    for (size_t i = 0; i < s->t.bytes / 4; i++)
        if (!isfinite(x[i])) fail_msg("%s: %s is %g at element %zu", where, what, (double)x[i], i);
}

/* ==== One op with its inputs ==== */

typedef struct job {
    const oc_case *k;
    const ft_op *op;
    ft_op_call call; /* in[] are our own copies */
    slot in[FT_OP_IN];
    ft_op_spec spec;
    unsigned grads; /* bit i: in[i] can have a gradient */
} job;

typedef struct result {
    slot out, saved[FT_OP_SAVED];
} result;

typedef struct grads {
    slot d[FT_OP_IN];
} grads;

static int count_inputs(const oc_case *k)
{
    int n = k->n_in;
    if (n) return n;
    for (int i = 0; i < FT_OP_IN; i++)
        if (k->in[i]) n = i + 1;
    return n;
}

static const ft_op *find(const oc_case *k)
{
    const ft_op *op = ft_op_find(k->op);
    const int n = count_inputs(k);

    if (!op) fail_msg("there is no op '%s'", k->op);
    if (n < op->min_in || n > op->max_in)
        fail_msg("%s takes %d to %d inputs, the case has %d", k->op, op->min_in, op->max_in, n);
    return op;
}

static ft_op_spec blank_spec(void)
{
    ft_op_spec s = { .shape = { .rank = -1 } };
    for (int i = 0; i < FT_OP_SAVED; i++) s.saved[i].rank = -1;
    return s;
}

static void check_shape(const ft_shape *s, const char *what)
{
    if (s->rank < 0 || s->rank > FT_MAX_RANK) fail_msg("%s: infer gives %s the rank %d", where, what, s->rank);
    for (int i = 0; i < FT_MAX_RANK; i++)
        if (s->dim[i] < 0 || (i >= s->rank && s->dim[i] != 1))
            fail_msg("%s: infer gives %s the dimension %lld at %d", where, what, (long long)s->dim[i], i);
}

static void job_open(job *j, const oc_case *k)
{
    ft_err e = { 0 };

    *j = (job){ .k = k, .op = find(k) };
    j->call = (ft_op_call){ .op = j->op, .n_in = count_inputs(k), .attr = k->attr };
    for (int i = 0; i < j->call.n_in; i++) {
        if (!k->in[i]) continue;
        j->in[i] = slot_copy(k->in[i]);
        j->call.in[i] = &j->in[i].t;
        if (j->op->no_grad & 1u << i) continue;
        if (k->in[i]->dtype != FT_F32) fail_msg("%s: input %d is no float, yet not in no_grad", where, i);
        j->grads |= 1u << i;
    }
    j->spec = blank_spec();
    if (j->op->infer(&j->call, &j->spec, &e)) fail_msg("%s: infer fails: %s", where, e.msg);
    check_shape(&j->spec.shape, "out");
    for (int i = 0; i < FT_OP_SAVED; i++)
        if (j->spec.saved[i].rank >= 0) check_shape(&j->spec.saved[i], "saved");
}

static void job_close(job *j)
{
    for (int i = 0; i < FT_OP_IN; i++) slot_close(&j->in[i]);
}

static void inputs_unchanged(const job *j, const char *by)
{
    for (int i = 0; i < j->call.n_in; i++) {
        if (!j->in[i].raw) continue;
        slot_check(&j->in[i], "an input");
        if (memcmp(j->in[i].t.data, j->k->in[i]->data, j->in[i].t.bytes) != 0)
            fail_msg("%s: %s writes to input %d", where, by, i);
    }
}

static void result_close(result *r)
{
    slot_close(&r->out);
    for (int i = 0; i < FT_OP_SAVED; i++) slot_close(&r->saved[i]);
}

static result run_forward(const job *j, int poison)
{
    result r = { .out = slot_open(j->spec.dtype, &j->spec.shape, poison) };
    slot work = slot_bytes(j->spec.work_forward, poison);
    ft_op_call c = j->call;

    c.out = &r.out.t;
    for (int i = 0; i < FT_OP_SAVED; i++) {
        if (j->spec.saved[i].rank < 0) continue;
        r.saved[i] = slot_open(j->spec.saved_dtype[i], &j->spec.saved[i], poison);
        c.saved[i] = &r.saved[i].t;
    }
    c.work = work.raw ? work.t.data : NULL;
    j->op->forward(&c);
    slot_check(&r.out, "out");
    slot_check(&work, "the workspace of forward");
    for (int i = 0; i < FT_OP_SAVED; i++) slot_check(&r.saved[i], "saved");
    slot_close(&work);
    return r;
}

/* What backward may not read: poison for floats, zeros for integers (an index must stay in range). */
static slot hidden(const ft_tensor *t) { return slot_open(t->dtype, &t->shape, t->dtype == FT_F32 ? NAN_BYTE : 0); }

static void fill_known(slot *s)
{
    float *x = s->t.data;
    for (size_t i = 0; i < s->t.bytes / 4; i++) x[i] = (float)((int)(i * 7 % 23) - 11) / 8.0f;
}

/* Gradients of the inputs in `want`; those also in `add` are added to known content. */
static grads run_backward(const job *j, const result *r, const slot *d_out, unsigned want, unsigned add, int poison)
{
    grads g = { 0 };
    slot secret[FT_OP_IN + 1] = { 0 };
    slot work = slot_bytes(j->spec.work_backward, poison);
    slot saved[FT_OP_SAVED] = { 0 }, out = slot_copy(&r->out.t), dy = slot_copy(&d_out->t);
    ft_op_call c = j->call;

    for (int i = 0; i < c.n_in; i++) {
        if (c.in[i] && !(j->op->keeps_in & 1u << i)) {
            secret[i] = hidden(c.in[i]);
            c.in[i] = &secret[i].t;
        }
        if (!(want & j->grads & 1u << i)) continue;
        g.d[i] = slot_open(FT_F32, &c.in[i]->shape, poison);
        c.d_in[i] = &g.d[i].t;
        c.add[i] = (add & 1u << i) != 0;
        if (c.add[i]) fill_known(&g.d[i]);
    }
    if (!j->op->keeps_out) secret[FT_OP_IN] = hidden(&r->out.t);
    c.out = j->op->keeps_out ? &out.t : &secret[FT_OP_IN].t;
    c.d_out = &dy.t;
    for (int i = 0; i < FT_OP_SAVED; i++) {
        if (!r->saved[i].raw) continue;
        saved[i] = slot_copy(&r->saved[i].t);
        c.saved[i] = &saved[i].t;
    }
    c.work = work.raw ? work.t.data : NULL;
    j->op->backward(&c);

    for (int i = 0; i < FT_OP_IN; i++) slot_check(&g.d[i], "a gradient");
    slot_check(&work, "the workspace of backward");
    same_bits(d_out, &dy, "d_out, which backward may only read,");
    if (j->op->keeps_out) same_bits(&r->out, &out, "out, which backward may only read,");
    for (int i = 0; i < FT_OP_SAVED; i++) slot_close(&saved[i]);
    for (int i = 0; i <= FT_OP_IN; i++) slot_close(&secret[i]);
    slot_close(&work);
    slot_close(&out);
    slot_close(&dy);
    return g;
}

static void grads_close(grads *g)
{
    for (int i = 0; i < FT_OP_IN; i++) slot_close(&g->d[i]);
}

/* ==== The checks ==== */

static void check_infer(const job *j)
{
    const ft_op_spec *a = &j->spec;
    ft_op_spec b = blank_spec();
    ft_tensor bare[FT_OP_IN];
    ft_op_call c = j->call;
    ft_err e = { 0 };
    const double out_bytes = (double)ft_shape_count(&a->shape) * (double)ft_dtype_size(a->dtype);

    for (int i = 0; i < c.n_in; i++) {
        if (!c.in[i]) continue;
        bare[i] = *c.in[i];
        bare[i].data = NULL;
        c.in[i] = &bare[i];
    }
    if (j->op->infer(&c, &b, &e)) fail_msg("%s: infer fails without data: %s", where, e.msg);
    if (a->dtype != b.dtype || !ft_shape_equal(&a->shape, &b.shape) || a->work_forward != b.work_forward ||
        a->work_backward != b.work_backward)
        fail_msg("%s: infer depends on the data", where);
    if (out_bytes > 0 && (!(a->flops > 0) || !isfinite(a->flops))) fail_msg("%s: flops are %g", where, a->flops);
    if (!(a->bytes >= out_bytes) || !isfinite(a->bytes))
        fail_msg("%s: bytes are %g, out alone has %g", where, a->bytes, out_bytes);
}

static void check_forward(const job *j, const result *r)
{
    static const struct {
        int threads, poison;
    } runs[] = { { 1, NUMBER_BYTE }, { 2, NAN_BYTE }, { 3, NUMBER_BYTE }, { 2, NUMBER_BYTE } };

    inputs_unchanged(j, "forward");
    if (!j->k->any_value) all_finite(&r->out, "out");
    for (size_t n = 0; n < sizeof runs / sizeof *runs; n++) {
        set_threads(runs[n].threads);
        result other = run_forward(j, runs[n].poison);
        same_bits(&r->out, &other.out, runs[n].threads == 1 ? "out, with other poison," : "out, with other threads,");
        for (int i = 0; i < FT_OP_SAVED; i++) same_bits(&r->saved[i], &other.saved[i], "saved");
        result_close(&other);
    }
    set_threads(1);
}

/* Everything about gradients but their values. */
static void check_backward(const job *j, const result *r, const slot *d_out, const grads *g)
{
    static const struct {
        int threads, poison;
    } runs[] = { { 1, NUMBER_BYTE }, { 2, NAN_BYTE }, { 3, NUMBER_BYTE } };

    inputs_unchanged(j, "backward");
    for (int i = 0; i < FT_OP_IN && !j->k->any_value; i++) all_finite(&g->d[i], "a gradient");
    for (size_t n = 0; n < sizeof runs / sizeof *runs; n++) {
        set_threads(runs[n].threads);
        grads other = run_backward(j, r, d_out, j->grads, 0, runs[n].poison);
        for (int i = 0; i < FT_OP_IN; i++)
            same_bits(&g->d[i], &other.d[i],
                      runs[n].threads == 1 ? "a gradient, with other poison," : "a gradient, with other threads,");
        grads_close(&other);
    }
    set_threads(1);
    for (unsigned want = 0; want < 1u << j->call.n_in; want++) {
        if ((want & ~j->grads) || want == j->grads) continue;
        grads other = run_backward(j, r, d_out, want, 0, NAN_BYTE);
        for (int i = 0; i < FT_OP_IN; i++)
            if (other.d[i].raw) same_bits(&g->d[i], &other.d[i], "a gradient, without some of the others,");
        grads_close(&other);
    }
}

static void compare_added(const slot *stored, const slot *added)
{
    slot known = slot_copy(&added->t);
    const float *g = stored->t.data, *got = added->t.data, *k = known.t.data;
    const size_t n = stored->t.bytes / 4;
    double scale = 0;

    fill_known(&known);
    for (size_t i = 0; i < n; i++) scale = fmax(scale, fabs((double)g[i]));
    for (size_t i = 0; i < n; i++) {
        const double want = (double)k[i] + (double)g[i];
        if (!(fabs((double)got[i] - want) <= 2e-6 * (fabs(want) + 2 + 8 * scale)) && isfinite(want))
            fail_msg("%s: adding a gradient of %.9g to %.9g gives %.9g at element %zu", where, (double)g[i],
                     (double)k[i], (double)got[i], i);
    }
    slot_close(&known);
}

static void check_add(const job *j, const result *r, const slot *d_out, const grads *g)
{
    for (unsigned add = 1; add < 1u << j->call.n_in; add++) {
        if (add & ~j->grads) continue;
        set_threads(1);
        grads one = run_backward(j, r, d_out, j->grads, add, NAN_BYTE);
        set_threads(3);
        grads three = run_backward(j, r, d_out, j->grads, add, NUMBER_BYTE);
        set_threads(1);
        for (int i = 0; i < FT_OP_IN; i++) {
            same_bits(&one.d[i], &three.d[i], "an added gradient, with other threads,");
            if (add & 1u << i)
                compare_added(&g->d[i], &one.d[i]);
            else
                same_bits(&g->d[i], &one.d[i], "a gradient stored beside added ones");
        }
        grads_close(&one);
        grads_close(&three);
    }
}

/* sum((plus - minus) * d_out): elements that did not change cancel exactly. */
static double weighted_change(const result *plus, const result *minus, const slot *d_out)
{
    const float *p = plus->out.t.data, *m = minus->out.t.data, *w = d_out->t.data;
    double sum = 0;

    for (size_t i = 0; i < d_out->t.bytes / 4; i++) sum += ((double)p[i] - (double)m[i]) * (double)w[i];
    return sum;
}

static double difference(const job *j, int input, int64_t at, const slot *d_out)
{
    const double h = j->k->step > 0 ? j->k->step : 1e-2;
    float *x = (float *)j->in[input].t.data + at;
    const float middle = *x, above = (float)((double)middle + h), below = (float)((double)middle - h);

    *x = above;
    result plus = run_forward(j, NAN_BYTE);
    *x = below;
    result minus = run_forward(j, NAN_BYTE);
    *x = middle;
    const double change = weighted_change(&plus, &minus, d_out);
    result_close(&plus);
    result_close(&minus);
    return change / ((double)above - (double)below);
}

static void check_values(const job *j, int input, const slot *d_out, const slot *g)
{
    const int64_t n = ft_shape_count(&g->t.shape), points = j->k->points > 0 ? j->k->points : 256;
    const int64_t tested = n < points ? n : points;
    const double tolerance = j->k->tolerance > 0 ? j->k->tolerance : 2e-3;
    double apart = 0, ours = 0, theirs = 0, worst = -1;
    int64_t worst_at = 0;

    for (int64_t p = 0; p < tested; p++) {
        const int64_t at = n <= points ? p : p * n / points + p % 2;
        const double want = difference(j, input, at, d_out), got = (double)((const float *)g->t.data)[at];
        const double off = (got - want) * (got - want);
        apart += off;
        ours += got * got;
        theirs += want * want;
        if (off > worst) {
            worst = off;
            worst_at = at;
        }
    }
    const double norm = fmax(fmax(sqrt(ours), sqrt(theirs)), 1e-2);
    if (!(sqrt(apart) <= tolerance * norm))
        fail_msg(
            "%s: the gradient of input %d is %.3g off its differences, relative to its norm %.4g (worst at element "
            "%lld: %.7g, by differences %.7g)",
            where, input, sqrt(apart) / norm, norm, (long long)worst_at, (double)((const float *)g->t.data)[worst_at],
            difference(j, input, worst_at, d_out));
}

static slot random_like(const slot *out, uint64_t seed)
{
    slot s = slot_open(FT_F32, &out->t.shape, 0);
    ft_rng_normal(ft_rng_site(seed, "opcheck.d_out"), s.t.data, s.t.bytes / 4, 1.0f);
    return s;
}

static void check_one_isa(const oc_case *k, const char *isa)
{
    job j;

    snprintf(where, sizeof where, "%s (%s)", k->op, isa);
    set_threads(1);
    job_open(&j, k);
    check_infer(&j);
    result r = run_forward(&j, NAN_BYTE);
    check_forward(&j, &r);
    if (j.op->backward) {
        if (r.out.t.dtype != FT_F32) fail_msg("%s: has a gradient, but its result is not float", where);
        slot d_out = random_like(&r.out, 77);
        grads g = run_backward(&j, &r, &d_out, j.grads, 0, NAN_BYTE);
        check_backward(&j, &r, &d_out, &g);
        check_add(&j, &r, &d_out, &g);
        for (int i = 0; i < j.call.n_in; i++)
            if (g.d[i].raw && !(k->skip & 1u << i)) check_values(&j, i, &d_out, &g.d[i]);
        grads_close(&g);
        slot_close(&d_out);
    }
    result_close(&r);
    job_close(&j);
}

void oc_check(const oc_case *k)
{
    const char *names[8];
    const char *before = ft_op_active()->isa;
    const int n = ft_op_isas(names);

    for (int i = 0; i < n; i++) {
        if (k->isa && strcmp(k->isa, names[i]) != 0) continue;
        assert_int_equal(ft_op_select(names[i], NULL), FT_OK);
        check_one_isa(k, names[i]);
    }
    assert_int_equal(ft_op_select(before, NULL), FT_OK);
    set_threads(2);
}

/* ==== Single runs ==== */

static ft_tensor *keep(const slot *s)
{
    ft_tensor *t = oc_new(s->t.dtype, s->t.shape);
    memcpy(t->data, s->t.data, t->bytes);
    return t;
}

ft_tensor *oc_forward(const oc_case *k)
{
    job j;

    snprintf(where, sizeof where, "%s", k->op);
    job_open(&j, k);
    result r = run_forward(&j, NAN_BYTE);
    ft_tensor *out = keep(&r.out);
    result_close(&r);
    job_close(&j);
    return out;
}

void oc_backward(const oc_case *k, const ft_tensor *d_out, ft_tensor *d_in[FT_OP_IN])
{
    job j;

    snprintf(where, sizeof where, "%s", k->op);
    job_open(&j, k);
    result r = run_forward(&j, NAN_BYTE);
    slot dy = slot_copy(d_out);
    grads g = run_backward(&j, &r, &dy, j.grads, 0, NAN_BYTE);
    for (int i = 0; i < FT_OP_IN; i++) d_in[i] = g.d[i].raw ? keep(&g.d[i]) : NULL;
    grads_close(&g);
    slot_close(&dy);
    result_close(&r);
    job_close(&j);
}

void oc_fails(const oc_case *k, ft_status want, const char *text, const char *other)
{
    const ft_op *op = find(k);
    ft_op_call c = { .op = op, .n_in = count_inputs(k), .attr = k->attr };
    ft_op_spec spec = blank_spec();
    ft_err e = { 0 };

    for (int i = 0; i < c.n_in; i++) c.in[i] = k->in[i];
    const ft_status got = op->infer(&c, &spec, &e);
    if (got != want) fail_msg("%s: infer gives status %d, not %d (%s)", k->op, (int)got, (int)want, e.msg);
    const char *const texts[] = { k->op, text, other };
    for (int i = 0; i < 3; i++)
        if (texts[i] && !strstr(e.msg, texts[i])) fail_msg("%s: no '%s' in the message '%s'", k->op, texts[i], e.msg);
}
