/* runtime/graph/tape.c - values, records, and the way back.
 *
 * Memory is the subject here. A value lives as long as one of these needs it: the caller
 * (until its scope ends), or a recorded op whose descriptor says it reads it in backward.
 * A gradient of an intermediate lives from its first contribution to its producer's backward.
 */
#include "graph/tape.h"

#include <string.h>

#include "core/mem.h"
#include "graph/lazy.h"
#include "graph/profile.h"

typedef struct slot {
    ft_shape shape; /* stays when the value is freed */
    ft_tensor *value;
    ft_tensor *grad;
    ft_param *param;
    int needs_grad;
    int kept;        /* a recorded op reads it in backward */
    int again;       /* freed, to be made again when one does */
    int32_t made_by; /* its record; -1: none */
} slot;

typedef struct record {
    const ft_op *op;
    int n_in;
    ft_var in[FT_OP_IN];
    ft_var out;
    ft_op_attr attr;
    ft_tensor *saved[FT_OP_SAVED];
    size_t work, keeps;
    double flops, bytes;
    int32_t again_from; /* the first record that backward runs again before this one; -1: none */
} record;

struct ft_tape {
    ft_tape_mode mode;
    uint32_t generation;
    int consumed;
    slot *slots;
    int32_t n_slots, cap_slots;
    record *records;
    int32_t n_records, cap_records;
    ft_tape_cost cost;
    size_t live; /* shape modes: bytes that would be live */
};

/* ==== Life ==== */

ft_status ft_tape_new(ft_tape **out, ft_err *e)
{
    ft_tape *t = ft_calloc(1, sizeof *t);
    if (!t) return ft_fail_mem(e, sizeof *t);
    t->generation = 1;
    *out = t;
    return FT_OK;
}

/* In the shape modes nothing is allocated; the sizes are added up instead. */
static int shapes(const ft_tape *t) { return t->mode == FT_TAPE_SHAPE || t->mode == FT_TAPE_SHAPE_EVAL; }
static int records(const ft_tape *t) { return t->mode == FT_TAPE_TRAIN || t->mode == FT_TAPE_SHAPE; }

static void grow(ft_tape *t, size_t bytes)
{
    t->live += bytes;
    if (t->live > t->cost.peak) t->cost.peak = t->live;
}

/* Workspace of `work` bytes while an op runs, and what it keeps for good. */
static void pass(ft_tape *t, size_t work, size_t keeps)
{
    if (t->cost.keeps + keeps <= FT_KEPT_MOST) t->cost.keeps += keeps;
    work = work ? ft_block_size(work) : 0;
    grow(t, work);
    t->live -= work;
}

static void value_drop(ft_tape *t, ft_tensor **v)
{
    if (*v && shapes(t) && !(*v)->data && (*v)->refs == 1) t->live -= ft_block_size((*v)->bytes);
    ft_tensor_release(*v);
    *v = NULL;
}

static void record_drop(ft_tape *t, record *r)
{
    for (int i = 0; i < FT_OP_SAVED; i++) value_drop(t, &r->saved[i]);
    ft_ragged_release((ft_ragged *)(uintptr_t)r->attr.rows);
    r->attr.rows = NULL;
}

static void clear(ft_tape *t)
{
    for (int32_t i = 0; i < t->n_records; i++) record_drop(t, &t->records[i]);
    for (int32_t i = 0; i < t->n_slots; i++) {
        value_drop(t, &t->slots[i].value);
        value_drop(t, &t->slots[i].grad);
    }
    t->n_records = t->n_slots = 0;
}

void ft_tape_begin(ft_tape *t, ft_tape_mode mode)
{
    clear(t);
    t->mode = mode;
    t->generation++;
    t->consumed = 0;
    t->live = 0;
    t->cost = (ft_tape_cost){ 0 };
}

void ft_tape_free(ft_tape *t)
{
    if (!t) return;
    clear(t);
    ft_free(t->slots);
    ft_free(t->records);
    ft_free(t);
}

ft_tape_mode ft_tape_get_mode(const ft_tape *t) { return t->mode; }
uint32_t ft_tape_generation(const ft_tape *t) { return t->generation; }
ft_tape_cost ft_tape_get_cost(const ft_tape *t) { return t->cost; }
ft_tensor *ft_tape_value(const ft_tape *t, ft_var v) { return t->slots[v].value; }
int ft_tape_needs_grad(const ft_tape *t, ft_var v) { return t->slots[v].needs_grad; }

/* A new slot; takes over the reference to value. */
static ft_status push(ft_tape *t, ft_tensor *value, ft_var *out, ft_err *e)
{
    if (t->n_slots == t->cap_slots) {
        const int32_t cap = t->cap_slots ? t->cap_slots * 2 : 256;
        slot *s = ft_realloc(t->slots, (size_t)cap * sizeof *s);
        if (!s) {
            ft_tensor_release(value);
            return ft_fail_mem(e, (size_t)cap * sizeof *s);
        }
        t->slots = s;
        t->cap_slots = cap;
    }
    t->slots[t->n_slots] = (slot){ .value = value, .shape = value->shape, .made_by = -1 };
    *out = t->n_slots++;
    return FT_OK;
}

ft_status ft_tape_constant(ft_tape *t, ft_tensor *value, ft_var *out, ft_err *e)
{
    return push(t, ft_tensor_retain(value), out, e);
}

ft_status ft_tape_param(ft_tape *t, ft_param *p, ft_var *out, ft_err *e)
{
    for (int32_t i = 0; i < t->n_slots; i++) {
        if (t->slots[i].param != p || !t->slots[i].value) continue;
        *out = i;
        return FT_OK;
    }
    const ft_status s = push(t, ft_tensor_retain(p->value), out, e);
    if (s) return s;
    t->slots[*out].param = p;
    t->slots[*out].needs_grad = p->trainable && records(t);
    return FT_OK;
}

ft_status ft_tape_detach(ft_tape *t, ft_var v, ft_var *out, ft_err *e)
{
    return push(t, ft_tensor_retain(t->slots[v].value), out, e);
}

/* ==== Forward ==== */

static ft_status new_value(ft_tape *t, ft_tensor **out, ft_dtype dtype, const ft_shape *shape, ft_err *e)
{
    if (!shapes(t)) return ft_tensor_new(out, dtype, shape, e);
    const ft_status s = ft_tensor_shape_only(out, dtype, shape, e);
    if (!s) grow(t, ft_block_size((*out)->bytes));
    return s;
}

static ft_status keep_record(ft_tape *t, const ft_op_call *c, const ft_var *in, ft_var out, const ft_op_spec *spec,
                             ft_err *e)
{
    if (t->n_records == t->cap_records) {
        const int32_t cap = t->cap_records ? t->cap_records * 2 : 128;
        record *r = ft_realloc(t->records, (size_t)cap * sizeof *r);
        if (!r) return ft_fail_mem(e, (size_t)cap * sizeof *r);
        t->records = r;
        t->cap_records = cap;
    }
    record *r = &t->records[t->n_records++];
    *r = (record){ .op = c->op,
                   .n_in = c->n_in,
                   .out = out,
                   .attr = c->attr,
                   .work = spec->work_backward,
                   .keeps = spec->keeps_backward,
                   .again_from = -1,
                   .flops = spec->flops,
                   .bytes = spec->bytes };
    ft_ragged_retain((ft_ragged *)(uintptr_t)c->attr.rows);
    for (int i = 0; i < FT_OP_SAVED; i++) r->saved[i] = c->saved[i];
    for (int i = 0; i < c->n_in; i++) {
        r->in[i] = in[i];
        if (in[i] != FT_NO_VAR && c->op->keeps_in >> i & 1) t->slots[in[i]].kept = 1;
    }
    if (c->op->keeps_out) t->slots[out].kept = 1;
    t->slots[out].made_by = t->n_records - 1;
    return FT_OK;
}

static ft_status fill_call(const ft_tape *t, ft_op_call *c, const ft_op *op, const ft_var *in, int n_in,
                           const ft_op_attr *attr, int *recorded, ft_err *e)
{
    *c = (ft_op_call){ .op = op, .n_in = n_in };
    if (attr) c->attr = *attr;
    if (n_in < op->min_in || n_in > op->max_in)
        return ft_fail(e, FT_EUSAGE, "%s: takes %d to %d inputs, got %d", op->name, op->min_in, op->max_in, n_in);
    *recorded = 0;
    for (int i = 0; i < n_in; i++) {
        if (in[i] == FT_NO_VAR) {
            if (i < op->min_in) return ft_fail(e, FT_EUSAGE, "%s: input %d is missing", op->name, i + 1);
            continue;
        }
        const slot *s = &t->slots[in[i]];
        if (!s->value) return ft_fail(e, FT_ESTATE, "%s: input %d was freed at the end of its scope", op->name, i + 1);
        c->in[i] = s->value;
        if (s->needs_grad && !(op->no_grad >> i & 1)) *recorded = 1;
    }
    if (!op->backward) *recorded = 0;
    return FT_OK;
}

/* Forward of one op, whose outputs are there; in the shape modes what it would take. */
static ft_status run_forward(ft_tape *t, ft_op_call *c, const ft_op_spec *spec, ft_err *e)
{
    if (shapes(t)) {
        pass(t, spec->work_forward, spec->keeps_forward);
        return FT_OK;
    }
    if (spec->work_forward && !(c->work = ft_block_alloc(spec->work_forward)))
        return ft_fail_mem(e, spec->work_forward);
    for (int i = 0; i < c->n_in; i++)
        if (c->in[i] && !(c->op->touches >> i & 1)) ft_lazy_settle(c->in[i]);
    const double start = ft_profile_start();
    c->op->forward(c);
    ft_profile_forward(c->op->name, start, spec->flops, spec->bytes);
    ft_block_free(c->work, spec->work_forward);
    c->work = NULL;
    return FT_OK;
}

ft_status ft_tape_apply(ft_tape *t, const ft_op *op, const ft_var *in, int n_in, const ft_op_attr *attr, ft_var *out,
                        ft_err *e)
{
    ft_op_call c;
    int recorded = 0;
    ft_op_spec spec = { .saved = { { .rank = -1 }, { .rank = -1 } } };
    ft_status s = fill_call(t, &c, op, in, n_in, attr, &recorded, e);

    if (!s) s = op->infer(&c, &spec, e);
    if (s) return s;
    s = new_value(t, &c.out, spec.dtype, &spec.shape, e);
    for (int i = 0; i < FT_OP_SAVED && !s && recorded; i++)
        if (spec.saved[i].rank >= 0) s = new_value(t, &c.saved[i], spec.saved_dtype[i], &spec.saved[i], e);
    if (!s) s = run_forward(t, &c, &spec, e);
    t->cost.flops += spec.flops;
    t->cost.bytes += spec.bytes;
    if (!s) {
        s = push(t, c.out, out, e);
        c.out = NULL;
    }
    if (!s && recorded) {
        t->slots[*out].needs_grad = 1;
        s = keep_record(t, &c, in, *out, &spec, e);
        if (!s) return FT_OK;
    }
    if (!s) return FT_OK;
    value_drop(t, &c.out);
    for (int i = 0; i < FT_OP_SAVED; i++) value_drop(t, &c.saved[i]);
    return s;
}

int ft_tape_scope_begin(const ft_tape *t) { return t->n_slots; }

static int is_result(ft_var v, const ft_var *keep, int n_keep)
{
    for (int k = 0; k < n_keep; k++)
        if (keep[k] == v) return 1;
    return 0;
}

/* Whether backward can run what made this value again at little cost: what that reads is kept. */
static int can_be_made_again(const ft_tape *t, const slot *s)
{
    const record *r = s->made_by >= 0 ? &t->records[s->made_by] : NULL;

    if (!r || !r->op->cheap || r->op->keeps_out) return 0;
    for (int i = 0; i < r->n_in; i++)
        if (r->in[i] != FT_NO_VAR && !(r->op->keeps_in >> i & 1)) return 0;
    return 1;
}

/* Keep what records [first, n) read from elsewhere until they run again; 0 if some of it is gone already. */
static int hold_inputs(ft_tape *t, int32_t first)
{
    for (int32_t k = first; k < t->n_records; k++)
        for (int i = 0; i < t->records[k].n_in; i++) {
            const ft_var v = t->records[k].in[i];
            if (v == FT_NO_VAR || t->slots[v].made_by >= first) continue;
            if (!t->slots[v].value) return 0;
            t->slots[v].kept = 1;
        }
    return first < t->n_records;
}

/* Let records [first, n) run again: nothing of theirs stays but the results. */
static void forget_records(ft_tape *t, int32_t first, const ft_var *keep, int n_keep)
{
    for (int32_t k = first; k < t->n_records; k++) {
        record *r = &t->records[k];
        r->again_from = -1;
        for (int i = 0; i < FT_OP_SAVED; i++) value_drop(t, &r->saved[i]);
        if (!is_result(r->out, keep, n_keep)) value_drop(t, &t->slots[r->out].value);
    }
    t->records[t->n_records - 1].again_from = first;
}

void ft_tape_scope_end(ft_tape *t, int mark, const ft_var *keep, int n_keep, int again)
{
    int32_t first = t->n_records;

    while (first > 0 && t->records[first - 1].out >= mark) first--;
    if (again && hold_inputs(t, first)) forget_records(t, first, keep, n_keep);
    for (int32_t i = mark; i < t->n_slots; i++) {
        slot *s = &t->slots[i];
        if (!s->value || s->param || is_result(i, keep, n_keep)) continue;
        s->again = s->kept && can_be_made_again(t, s);
        if (!s->kept || s->again) value_drop(t, &s->value);
    }
}

/* ==== Backward ==== */

/* The gradient tensor of a variable, and whether the op must add to it. */
static ft_status grad_of(ft_tape *t, ft_var v, ft_shape shape, ft_tensor **out, int *add, ft_err *e)
{
    slot *s = &t->slots[v];

    if (s->param) {
        if (shapes(t)) {
            *out = s->param->value;
            return FT_OK;
        }
        if (!s->param->grad)
            return ft_fail(e, FT_ESTATE, "parameter '%s' is trainable but no optimiser holds it", s->param->name);
        *out = s->param->grad;
        *add = s->param->has_grad;
        s->param->has_grad = 1;
        return FT_OK;
    }
    *add = s->grad != NULL;
    if (!s->grad) {
        const ft_status st = new_value(t, &s->grad, FT_F32, &shape, e);
        if (st) return st;
    }
    *out = s->grad;
    return FT_OK;
}

/* Whether nothing but record k reads this value any more: its gradient may be written over it. */
static int is_last_reader(const ft_tape *t, int32_t k, ft_var v)
{
    const slot *s = &t->slots[v];

    if (s->param || s->grad || s->made_by < 0 || !s->value || s->value->refs > 1 || s->value->base ||
        t->records[s->made_by].op->keeps_out)
        return 0;
    for (int32_t j = 0; j < k; j++)
        for (int i = 0; i < t->records[j].n_in; i++)
            if (t->records[j].in[i] == v) return 0;
    return 1;
}

/* Forward of a record once more: its output, if that is gone, and with `saved` what it keeps for backward. */
static ft_status run_again(ft_tape *t, record *r, int saved, ft_err *e)
{
    slot *o = &t->slots[r->out];
    ft_op_call c = { .op = r->op, .n_in = r->n_in, .attr = r->attr };
    ft_op_spec spec = { .saved = { { .rank = -1 }, { .rank = -1 } } };

    for (int i = 0; i < r->n_in; i++)
        if (r->in[i] != FT_NO_VAR) c.in[i] = t->slots[r->in[i]].value;
    ft_status s = r->op->infer(&c, &spec, e);
    if (!s && !o->value) s = new_value(t, &o->value, spec.dtype, &spec.shape, e);
    c.out = o->value;
    for (int i = 0; i < FT_OP_SAVED && !s && saved; i++) {
        if (spec.saved[i].rank >= 0) s = new_value(t, &r->saved[i], spec.saved_dtype[i], &spec.saved[i], e);
        c.saved[i] = r->saved[i];
    }
    spec.keeps_forward = 0; /* it has kept that already */
    if (!s) s = run_forward(t, &c, &spec, e);
    o->again = 0;
    return s;
}

/* A scope once more; its values that backward does not read are freed again. */
static ft_status run_records_again(ft_tape *t, int32_t first, int32_t last, ft_err *e)
{
    ft_status s = FT_OK;

    for (int32_t k = first; k <= last && !s; k++) s = run_again(t, &t->records[k], 1, e);
    for (int32_t k = first; k < last && !s; k++) {
        slot *o = &t->slots[t->records[k].out];
        if (!o->kept) value_drop(t, &o->value);
    }
    return s;
}

/* What the record's backward reads and was freed to be made again. */
static ft_status make_inputs(ft_tape *t, const record *r, ft_err *e)
{
    ft_status s = FT_OK;

    for (int i = 0; i < r->n_in && !s; i++) {
        if (r->in[i] == FT_NO_VAR || !(r->op->keeps_in >> i & 1)) continue;
        const slot *in = &t->slots[r->in[i]];
        if (in->again) s = run_again(t, &t->records[in->made_by], 0, e);
    }
    return s;
}

/* One op. A value that its descriptor does not keep may be gone: backward then finds a shell with a shape and no data. */
static ft_status step_back(ft_tape *t, record *r, ft_err *e)
{
    slot *o = &t->slots[r->out];
    ft_tensor shell[FT_OP_IN + 1];
    ft_op_call c = { .op = r->op, .n_in = r->n_in, .attr = r->attr, .d_out = o->grad };
    ft_status s = FT_OK;

    if (!c.d_out) return FT_OK; /* nothing that the loss depends on */
    shell[FT_OP_IN] = (ft_tensor){ .shape = o->shape };
    c.out = o->value ? o->value : &shell[FT_OP_IN];
    for (int i = 0; i < FT_OP_SAVED; i++) c.saved[i] = r->saved[i];
    for (int i = 0; i < r->n_in && !s; i++) {
        if (r->in[i] == FT_NO_VAR) continue;
        slot *in = &t->slots[r->in[i]];
        shell[i] = (ft_tensor){ .shape = in->shape };
        c.in[i] = in->value ? in->value : &shell[i];
        if (!in->needs_grad || r->op->no_grad >> i & 1) continue;
        if (r->op->in_place >> i & 1 && is_last_reader(t, (int32_t)(r - t->records), r->in[i])) {
            c.d_in[i] = in->grad = in->value;
            in->value = NULL;
            continue;
        }
        s = grad_of(t, r->in[i], in->shape, &c.d_in[i], &c.add[i], e);
    }
    if (s) return s;
    if (shapes(t)) {
        pass(t, r->work, c.d_in[0] ? r->keeps : 0);
        return FT_OK;
    }
    if (r->work && !(c.work = ft_block_alloc(r->work))) return ft_fail_mem(e, r->work);
    for (int i = 0; i < r->n_in; i++)
        if (c.d_in[i] && !(r->op->touches >> i & 1)) ft_tensor_touch_all(c.d_in[i]);
    const double start = ft_profile_start();
    r->op->backward(&c);
    ft_profile_backward(r->op->name, start, 2 * r->flops, 2 * r->bytes);
    ft_block_free(c.work, r->work);
    return FT_OK;
}

ft_status ft_tape_backward(ft_tape *t, ft_var loss, float scale, ft_err *e)
{
    slot *l = &t->slots[loss];
    int add;
    ft_status s;

    if (t->consumed) return ft_fail(e, FT_ESTATE, "backward ran already on this micro-batch");
    if (t->mode == FT_TAPE_EVAL) return ft_fail(e, FT_ESTATE, "backward: nothing was recorded (evaluation mode)");
    if (!l->needs_grad) return ft_fail(e, FT_ESTATE, "backward: the loss depends on no trainable parameter");
    s = grad_of(t, loss, l->shape, &l->grad, &add, e);
    if (s) return s;
    if (l->grad->data) {
        float *g = l->grad->data;
        const int64_t n = ft_shape_count(&l->grad->shape);
        for (int64_t i = 0; i < n; i++) g[i] = scale;
    }
    t->consumed = 1;
    for (int32_t k = t->n_records; k-- > 0 && !s;) {
        record *r = &t->records[k];
        if (r->again_from >= 0) s = run_records_again(t, r->again_from, k, e);
        if (!s) s = make_inputs(t, r, e);
        if (!s) s = step_back(t, r, e);
        record_drop(t, r);
        value_drop(t, &t->slots[r->out].grad);
        if (r->out != loss) value_drop(t, &t->slots[r->out].value);
    }
    return s;
}
