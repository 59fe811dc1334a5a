/* runtime/graph/param.c - the parameter set and freezing by glob. */
#include "graph/param.h"

#include <math.h>
#include <string.h>

#include "core/mem.h"
#include "core/nearest.h"
#include "graph/lazy.h"

ft_param *ft_params_find(const ft_params *ps, const char *name)
{
    for (size_t i = 0; i < ps->n; i++)
        if (strcmp(ps->items[i]->name, name) == 0) return ps->items[i];
    return NULL;
}

static void param_free(ft_param *p)
{
    if (!p) return;
    ft_tensor_release(p->value);
    ft_tensor_release(p->grad);
    ft_free(p->name);
    ft_free(p);
}

static uint64_t weights; /* parameters ever made */

ft_status ft_params_add(ft_params *ps, const char *name, const ft_shape *shape, ft_param **out, ft_err *e)
{
    if (ft_params_find(ps, name)) return ft_fail(e, FT_EUSAGE, "parameter '%s' exists already", name);
    if (ps->n == ps->cap) {
        const size_t cap = ps->cap ? ps->cap * 2 : 64;
        ft_param **items = ft_realloc(ps->items, cap * sizeof *items);
        if (!items) return ft_fail_mem(e, cap * sizeof *items);
        ps->items = items;
        ps->cap = cap;
    }
    ft_param *p = ft_calloc(1, sizeof *p);
    if (!p) return ft_fail_mem(e, sizeof *p);
    p->name = ft_strdup(name);
    ft_status s = p->name ? FT_OK : ft_fail_mem(e, strlen(name));
    if (!s && ps->shapes_only) s = ft_tensor_shape_only(&p->value, FT_F32, shape, e);
    if (!s && !ps->shapes_only) s = ft_tensor_zeros(&p->value, FT_F32, shape, e);
    if (s) {
        param_free(p);
        return s;
    }
    p->value->weight = ++weights;
    p->trainable = 1;
    p->uses = 1;
    ps->items[ps->n++] = p;
    *out = p;
    return FT_OK;
}

ft_status ft_param_adopt(ft_param *p, ft_tensor *value, ft_err *e)
{
    char a[96], b[96];

    if (value->dtype != FT_F32 || !ft_shape_equal(&value->shape, &p->value->shape))
        return ft_fail(e, FT_ESHAPE, "parameter '%s' is f32 %s, not %s %s", p->name, ft_shape_text(&p->value->shape, a),
                       ft_dtype_name(value->dtype), ft_shape_text(&value->shape, b));
    ft_lazy_settle(p->value);
    value->lazy = p->value->lazy;
    p->value->lazy = NULL;
    value->weight = p->value->weight;
    p->value->weight = 0;
    ft_tensor_release(p->value);
    p->value = ft_tensor_retain(value);
    ft_weights_changed();
    return FT_OK;
}

void ft_params_free(ft_params *ps)
{
    for (size_t i = 0; i < ps->n; i++) param_free(ps->items[i]);
    ft_free(ps->items);
    memset(ps, 0, sizeof *ps);
}

/* ==== Globs ==== */

/* One "[a-z]" set at *p; returns whether c is in it and moves *p past "]". An unclosed set matches a literal '['. */
static int in_set(const char **p, char c)
{
    const char *q = *p + 1, *end = strchr(q, ']');
    int hit = 0;

    if (!end) {
        *p += 1;
        return c == '[';
    }
    for (; q < end; q++) {
        if (q + 2 < end && q[1] == '-') {
            hit |= c >= q[0] && c <= q[2];
            q += 2;
        } else {
            hit |= c == *q;
        }
    }
    *p = end + 1;
    return hit;
}

int ft_glob(const char *glob, const char *name)
{
    for (; *glob; name++) {
        if (*glob == '*') {
            for (const char *rest = name;; rest++) {
                if (ft_glob(glob + 1, rest)) return 1;
                if (!*rest) return 0;
            }
        }
        if (!*name) return 0;
        if (*glob == '[') {
            if (!in_set(&glob, *name)) return 0;
        } else if (*glob == '?' || *glob == *name) {
            glob++;
        } else {
            return 0;
        }
    }
    return *name == '\0';
}

static ft_status no_match(const ft_params *ps, const char *glob, ft_err *e)
{
    const char *nearest = NULL;
    const char **names = ft_malloc((ps->n + 1) * sizeof *names);

    if (!names) return ft_fail_mem(e, ps->n * sizeof *names);
    for (size_t i = 0; i < ps->n; i++) names[i] = ps->items[i]->name;
    nearest = ft_nearest(glob, names, ps->n);
    ft_free((void *)names);
    return ft_fail(e, FT_EUSAGE, "'%s' matches no parameter; %s '%s'", glob,
                   nearest ? "did you mean" : "the first one is called",
                   nearest ? nearest
                   : ps->n ? ps->items[0]->name
                           : "");
}

ft_status ft_params_set_trainable(ft_params *ps, const char *glob, int trainable, size_t *n_matched, ft_err *e)
{
    const int loaded = strcmp(glob, "loaded") == 0;
    size_t n = 0;

    for (size_t i = 0; i < ps->n; i++) {
        ft_param *p = ps->items[i];
        if (loaded ? !p->loaded : !ft_glob(glob, p->name)) continue;
        p->trainable = trainable;
        n++;
    }
    if (n_matched) *n_matched = n;
    if (n == 0 && !loaded) return no_match(ps, glob, e);
    return FT_OK;
}

/* The sum of squares is quick and decides nearly always; where it is not finite, large values may have overflowed it. */
static int all_finite(const ft_tensor *t)
{
    const int64_t n = ft_shape_count(&t->shape);
    const float *x = t->data;

    if (isfinite(ft_op_active()->square_sum(x, n, NULL))) return 1;
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return 0;
    return 1;
}

const ft_param *ft_params_nonfinite(const ft_params *ps, int what)
{
    for (size_t i = 0; i < ps->n; i++) {
        const ft_param *p = ps->items[i];
        const ft_tensor *t = what ? (p->has_grad ? p->grad : NULL) : p->value;
        if (t) ft_lazy_settle(t);
        if (t && !all_finite(t)) return p;
    }
    return NULL;
}
