/* runtime/graph/optim.c - parameter groups, clipping by global norm, one pass over each parameter. */
#include "graph/optim.h"

#include <math.h>
#include <string.h>

#include "core/mem.h"
#include "graph/lazy.h"
#include "graph/profile.h"
#include "tensor/safetensors.h"

#define MANY_ROWS                                                                                                      \
    65536 /* a vocabulary of many languages: a text uses few of its rows, and gradients and moments of others stay
                         * unwritten; in small pages they take no memory */

typedef struct item {
    ft_param *param;
    ft_tensor *moment[2];
    double lr, decay;
    int fresh;        /* no step yet (SGD's momentum starts from the first gradient) */
    uint8_t *awake;   /* of two moments: for each FT_OPTIM_BLOCK weights, whether one is not zero */
    uint8_t *touched; /* of a table's gradient (tensor.h), whose lines are looked up: most are zero */
    ft_lazy *lazy;    /* decay of a table's blocks that sleep */
    int shown;        /* the moments were handed out and may have been written since */
} item;

struct ft_optim {
    const ft_optim_kernel *kernel;
    ft_optim_opts opts;
    item *items;
    ft_optim_job *jobs; /* room for one of each item */
    size_t n, cap;
    int64_t steps;
};

ft_status ft_optim_new(ft_optim **out, const char *kind, const ft_optim_opts *opts, ft_err *e)
{
    const ft_optim_kernel *k = ft_optim_find(kind);
    if (!k) return ft_fail(e, FT_EUSAGE, "unknown optimiser '%s': choose adamw or sgd", kind);

    ft_optim *o = ft_calloc(1, sizeof *o);
    if (!o) return ft_fail_mem(e, sizeof *o);
    o->kernel = k;
    if (opts) o->opts = *opts;
    if (o->opts.beta1 == 0) o->opts.beta1 = 0.9;
    if (o->opts.beta2 == 0) o->opts.beta2 = 0.999;
    if (o->opts.eps == 0) o->opts.eps = 1e-8;
    *out = o;
    return FT_OK;
}

static void set_pages(item *it, int large)
{
    ft_tensor *all[3] = { it->param->grad, it->moment[0], it->moment[1] };

    if (it->param->value->shape.rank != 2 || it->param->value->shape.dim[0] < MANY_ROWS) return;
    for (int k = 0; k < 3; k++)
        if (all[k]) ft_block_pages(all[k]->data, all[k]->bytes, large);
}

static void item_drop(item *it)
{
    set_pages(it, 1);
    if (it->param->grad) it->param->grad->touched = NULL; /* somebody may hold it still */
    ft_tensor_release(it->param->grad);
    it->param->grad = NULL;
    it->param->has_grad = 0;
    for (int k = 0; k < 2; k++) ft_tensor_release(it->moment[k]);
    if (it->lazy) {
        ft_lazy_settle(it->param->value);
        it->param->value->lazy = NULL;
    }
    ft_free(it->lazy);
    ft_free(it->awake);
    ft_free(it->touched);
}

void ft_optim_free(ft_optim *o)
{
    if (!o) return;
    for (size_t i = 0; i < o->n; i++) item_drop(&o->items[i]);
    ft_free(o->items);
    ft_free(o->jobs);
    ft_free(o);
}

/* Views of one zeroed arena for each array of state, in the order of params. */
static ft_status fill_group(ft_optim *o, ft_param *const *params, size_t n, ft_err *e)
{
    ft_tensor *arena[3] = { 0 };
    ft_status s = FT_OK;
    int64_t total = 0, at = 0;

    for (size_t i = 0; i < n; i++) total += ft_shape_count(&params[i]->value->shape);
    const ft_shape flat = ft_shape_of(1, total, 0, 0, 0);
    for (int k = 0; k < 1 + o->kernel->moments && !s; k++) s = ft_tensor_zeros(&arena[k], FT_F32, &flat, e);
    for (size_t i = 0; i < n && !s; i++) {
        item *it = &o->items[o->n + i];
        const ft_shape *shape = &params[i]->value->shape;
        s = ft_tensor_view(&params[i]->grad, arena[0], at, shape, e);
        for (int k = 0; k < o->kernel->moments && !s; k++)
            s = ft_tensor_view(&it->moment[k], arena[1 + k], at, shape, e);
        const size_t blocks = (size_t)((ft_shape_count(shape) + FT_OPTIM_BLOCK - 1) / FT_OPTIM_BLOCK);
        if (!s && o->kernel->moments == 2 && !(it->awake = ft_calloc(blocks + 1, 1))) s = ft_fail_mem(e, blocks);
        if (!s && shape->rank == 2 && !(it->touched = ft_calloc(blocks + 1, 1))) s = ft_fail_mem(e, blocks);
        if (!s && it->awake && it->touched) s = ft_lazy_new(&it->lazy, ft_shape_count(shape), e);
        if (!s) {
            params[i]->grad->touched = it->touched;
            params[i]->value->lazy = it->lazy;
        }
        if (!s) set_pages(it, 0);
        at += ft_shape_count(shape);
    }
    for (int k = 0; k < 3; k++) ft_tensor_release(arena[k]);
    return s;
}

static ft_status make_room(ft_optim *o, size_t cap, ft_err *e)
{
    item *items = ft_realloc(o->items, cap * sizeof *items);
    if (items) o->items = items;
    ft_optim_job *jobs = ft_realloc(o->jobs, cap * sizeof *jobs);
    if (jobs) o->jobs = jobs;

    if (!items || !jobs) return ft_fail_mem(e, cap * sizeof *items);
    o->cap = cap;
    return FT_OK;
}

ft_status ft_optim_add(ft_optim *o, ft_param *const *params, size_t n, double lr, double weight_decay, ft_err *e)
{
    for (size_t i = 0; i < n; i++) {
        if (!params[i]->trainable) return ft_fail(e, FT_EUSAGE, "parameter '%s' is frozen", params[i]->name);
        if (params[i]->grad)
            return ft_fail(e, FT_EUSAGE, "parameter '%s' is held by an optimiser already", params[i]->name);
    }
    if (o->n + n > o->cap && make_room(o, o->n + n, e)) return e ? e->code : FT_EMEM;
    for (size_t i = 0; i < n; i++)
        o->items[o->n + i] = (item){ .param = params[i], .lr = lr, .decay = weight_decay, .fresh = 1 };
    const ft_status s = fill_group(o, params, n, e);
    if (s) {
        for (size_t i = 0; i < n; i++) item_drop(&o->items[o->n + i]);
        return s;
    }
    for (size_t i = 0; i < n; i++) params[i]->has_grad = 0;
    o->n += n;
    return FT_OK;
}

/* See again which weights have moments. */
static void look(item *it)
{
    const int64_t n = ft_shape_count(&it->param->value->shape);
    const float *m = it->moment[0]->data, *v = it->moment[1]->data;

    const int64_t blocks = (n + FT_OPTIM_BLOCK - 1) / FT_OPTIM_BLOCK;

    ft_lazy_settle(it->param->value);
    memset(it->awake, 0, (size_t)blocks);
    for (int64_t i = 0; i < n; i++)
        if (m[i] != 0.0f || v[i] != 0.0f) it->awake[i / FT_OPTIM_BLOCK] = 1;
    for (int64_t b = 0; b < blocks && it->lazy; b++) it->lazy->since[b] = it->awake[b] ? FT_LAZY_NEVER : 0;
    it->shown = 0;
}

static ft_optim_job job_of(const ft_optim *o, const item *it, double lr_scale, double grad_scale)
{
    const ft_optim_opts *h = &o->opts;
    const float lr = (float)(it->lr * lr_scale), decay = (float)it->decay;
    const double t = (double)o->steps;
    const ft_tensor *w = it->param->value;
    const float adamw[8] = { lr,
                             (float)h->beta1,
                             (float)h->beta2,
                             (float)h->eps,
                             decay,
                             (float)(1 - pow(h->beta1, t)),
                             (float)(1 - pow(h->beta2, t)),
                             (float)grad_scale };
    const float sgd[6] = { lr, (float)h->momentum, decay, (float)h->nesterov, (float)grad_scale, (float)it->fresh };

    ft_optim_job j = { .w = w->data,
                       .g = it->param->grad->data,
                       .m = it->moment[0] ? it->moment[0]->data : NULL,
                       .v = it->moment[1] ? it->moment[1]->data : NULL,
                       .n = ft_shape_count(&w->shape),
                       .lines = w->shape.rank == 2 ? w->shape.dim[0] : 0,
                       .weight = w->weight,
                       .awake = it->awake,
                       .touched = it->touched,
                       .lazy = it->lazy };

    if (o->kernel->moments == 2)
        memcpy(j.hyper, adamw, sizeof adamw);
    else
        memcpy(j.hyper, sgd, sizeof sgd);
    return j;
}

static void update_all(ft_optim *o, double lr_scale, double grad_scale)
{
    size_t n = 0;

    for (size_t i = 0; i < o->n; i++) {
        item *it = &o->items[i];
        if (!it->param->has_grad) continue;
        ft_safetensors_own(it->param->value);
        if (it->awake && it->shown) look(it);
        o->jobs[n++] = job_of(o, it, lr_scale, grad_scale);
    }
    const double start = ft_profile_start();
    ft_profile_forward(o->kernel->name, start, 0, (double)o->kernel->update(o->jobs, n));
    for (size_t i = 0; i < o->n; i++) {
        item *it = &o->items[i];
        if (!it->param->has_grad) continue;
        if (it->lazy && it->lazy->n == FT_LAZY_MOST) ft_lazy_settle(it->param->value);
        it->param->has_grad = it->fresh = 0;
    }
}

static ft_status global_norm(const ft_optim *o, double *norm, ft_err *e)
{
    double sum = 0;

    for (size_t i = 0; i < o->n; i++) {
        const ft_param *p = o->items[i].param;
        if (!p->has_grad) continue;
        const int64_t count = ft_shape_count(&p->grad->shape);
        const double start = ft_profile_start();
        const double s = ft_op_active()->square_sum(p->grad->data, count, p->grad->touched);
        ft_profile_forward("gradient_norm", start, 2 * (double)count, (double)sizeof(float) * (double)count);
        if (!isfinite(s)) return ft_fail(e, FT_ENUM, "the gradient of '%s' is not finite (NaN or infinite)", p->name);
        sum += s;
    }
    *norm = sqrt(sum);
    return FT_OK;
}

ft_status ft_optim_step(ft_optim *o, double lr_scale, double clip, double *norm, ft_err *e)
{
    double n = 0;
    const ft_status s = global_norm(o, &n, e);

    if (norm) *norm = n;
    if (s) return s;
    /* as torch.nn.utils.clip_grad_norm_: clip / (norm + 1e-6), never above 1 */
    const double scale = clip > 0 && n + 1e-6 > clip ? clip / (n + 1e-6) : 1;
    o->steps++;
    update_all(o, lr_scale, scale);
    ft_weights_changed();
    return FT_OK;
}

int64_t ft_optim_steps(const ft_optim *o) { return o->steps; }
void ft_optim_set_steps(ft_optim *o, int64_t steps)
{
    o->steps = steps;
    for (size_t i = 0; i < o->n; i++) o->items[i].fresh = steps == 0;
}
size_t ft_optim_count(const ft_optim *o) { return o->n; }
ft_param *ft_optim_param(const ft_optim *o, size_t i) { return o->items[i].param; }
ft_tensor *ft_optim_moment(const ft_optim *o, size_t i, int which)
{
    o->items[i].shown = 1;
    return o->items[i].moment[which];
}
