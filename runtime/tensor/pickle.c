/* runtime/tensor/pickle.c - the stack machine that pickles are programs for.
 *
 * Every instruction takes a byte or more and leaves at most one value, and tuples take their elements from the stack, so
 * memory stays in proportion to the pickle. Values are copied freely; lists and dictionaries are numbers of chains.
 */
#include "tensor/pickle.h"

#include <string.h>

#include "core/mem.h"
#include "tensor/pickle_names.h"

struct ft_pickle_machine {
    ft_pickle *p;
    size_t start; /* of the instruction in hand */
    ft_pickle_value *stack, *memo;
    size_t *marks; /* heights of the stack */
    size_t n_stack, n_memo, n_marks;
    size_t cap_stack, cap_memo, cap_marks;
    int stopped;
};

typedef ft_pickle_machine machine;
typedef ft_pickle_value value;

int ft_pickle_is(value v, const char *text)
{
    return v.kind == FT_PICKLE_TEXT && v.n == strlen(text) && !memcmp(v.text, text, v.n);
}

/* ==== Stack ==== */

static ft_status push(machine *m, value v, ft_err *e)
{
    const ft_status s = ft_pickle_grow(&m->stack, &m->cap_stack, m->n_stack, sizeof *m->stack, e);

    if (!s) m->stack[m->n_stack++] = v;
    return s;
}

/* The lowest place of the stack that may be taken: the last mark, which only instructions that end it go below. */
static size_t floor_of(const machine *m) { return m->n_marks ? m->marks[m->n_marks - 1] : 0; }

static ft_status need(const machine *m, size_t n, ft_err *e)
{
    if (m->n_stack - floor_of(m) >= n) return FT_OK;
    return ft_fail(e, FT_EDATA, "takes %zu values from a stack of %zu", n, m->n_stack - floor_of(m));
}

static ft_status end_mark(machine *m, size_t *first, ft_err *e)
{
    if (!m->n_marks) return ft_fail(e, FT_EDATA, "no mark was set");
    *first = m->marks[--m->n_marks];
    return FT_OK;
}

/* ==== Bytes ==== */

static ft_status take(machine *m, size_t n, const unsigned char **out, ft_err *e)
{
    ft_pickle *p = m->p;

    if (n > p->size - p->at)
        return ft_fail(e, FT_EDATA, "truncated: needs %zu bytes, the pickle has %zu more", n, p->size - p->at);
    *out = p->data + p->at;
    p->at += n;
    return FT_OK;
}

/* An unsigned number of n bytes, at most 8, little-endian. */
static ft_status take_number(machine *m, int n, uint64_t *out, ft_err *e)
{
    const unsigned char *b = NULL;
    const ft_status s = take(m, (size_t)n, &b, e);

    *out = 0;
    for (int i = n - 1; !s && i >= 0; i--) *out = *out << 8 | b[i];
    return s;
}

static ft_status take_line(machine *m, const char **text, size_t *n, ft_err *e)
{
    ft_pickle *p = m->p;
    const unsigned char *at = p->data + p->at, *stop = p->at < p->size ? memchr(at, '\n', p->size - p->at) : NULL;

    if (!stop) return ft_fail(e, FT_EDATA, "truncated: a name without an end");
    *text = (const char *)at;
    *n = (size_t)(stop - at);
    p->at += *n + 1;
    return FT_OK;
}

/* ==== Literals ==== */

static ft_status other(machine *m, int skip, ft_err *e)
{
    const unsigned char *b = NULL;
    const ft_status s = take(m, (size_t)skip, &b, e);

    return s ? s : push(m, (value){ .kind = FT_PICKLE_OTHER }, e);
}

static ft_status op_other(machine *m, ft_err *e) { return other(m, 0, e); }
static ft_status op_true(machine *m, ft_err *e) { return push(m, (value){ .kind = FT_PICKLE_TRUTH, .i = 1 }, e); }
static ft_status op_false(machine *m, ft_err *e) { return push(m, (value){ .kind = FT_PICKLE_TRUTH }, e); }
static ft_status op_float(machine *m, ft_err *e) { return other(m, 8, e); }

static ft_status integer(machine *m, int bytes, ft_err *e)
{
    uint64_t x = 0;
    const ft_status s = take_number(m, bytes, &x, e);

    if (bytes == 4) x = (uint64_t)(int64_t)(int32_t)(uint32_t)x;
    return s ? s : push(m, (value){ .kind = FT_PICKLE_INT, .i = (int64_t)x }, e);
}

static ft_status op_int1(machine *m, ft_err *e) { return integer(m, 1, e); }
static ft_status op_int2(machine *m, ft_err *e) { return integer(m, 2, e); }
static ft_status op_int4(machine *m, ft_err *e) { return integer(m, 4, e); }

/* A signed integer of as many bytes as are told. */
static ft_status op_long(machine *m, ft_err *e)
{
    uint64_t n = 0, x = 0;
    const unsigned char *b = NULL;

    ft_status s = take_number(m, 1, &n, e);
    if (!s) s = take(m, (size_t)n, &b, e);
    if (s) return s;
    if (n > 8) return push(m, (value){ .kind = FT_PICKLE_OTHER }, e);
    if (n && b[n - 1] & 0x80u) x = ~(uint64_t)0;
    for (size_t i = (size_t)n; i-- > 0;) x = x << 8 | b[i];
    return push(m, (value){ .kind = FT_PICKLE_INT, .i = (int64_t)x }, e);
}

static ft_status text(machine *m, int bytes, ft_err *e)
{
    uint64_t n = 0;
    const unsigned char *b = NULL;

    ft_status s = take_number(m, bytes, &n, e);
    if (!s && n > UINT32_MAX) s = ft_fail(e, FT_EDATA, "a text of %llu bytes", (unsigned long long)n);
    if (!s) s = take(m, (size_t)n, &b, e);
    return s ? s : push(m, (value){ .kind = FT_PICKLE_TEXT, .n = (uint32_t)n, .text = (const char *)b }, e);
}

static ft_status op_text1(machine *m, ft_err *e) { return text(m, 1, e); }
static ft_status op_text4(machine *m, ft_err *e) { return text(m, 4, e); }
static ft_status op_text8(machine *m, ft_err *e) { return text(m, 8, e); }

/* ==== Tuples, lists, dictionaries ==== */

static ft_status tuple_from(machine *m, size_t first, ft_err *e)
{
    ft_pickle *p = m->p;
    const value v = { .kind = FT_PICKLE_TUPLE, .n = (uint32_t)(m->n_stack - first), .i = (int64_t)p->n_items };

    for (size_t k = first; k < m->n_stack; k++) {
        const ft_status s = ft_pickle_grow(&p->items, &p->cap_items, p->n_items, sizeof *p->items, e);
        if (s) return s;
        p->items[p->n_items++] = m->stack[k];
    }
    m->n_stack = first;
    return push(m, v, e);
}

static ft_status tuple(machine *m, size_t n, ft_err *e)
{
    const ft_status s = need(m, n, e);

    return s ? s : tuple_from(m, m->n_stack - n, e);
}

static ft_status op_tuple0(machine *m, ft_err *e) { return tuple(m, 0, e); }
static ft_status op_tuple1(machine *m, ft_err *e) { return tuple(m, 1, e); }
static ft_status op_tuple2(machine *m, ft_err *e) { return tuple(m, 2, e); }
static ft_status op_tuple3(machine *m, ft_err *e) { return tuple(m, 3, e); }

static ft_status op_tuple(machine *m, ft_err *e)
{
    size_t first = 0;
    const ft_status s = end_mark(m, &first, e);

    return s ? s : tuple_from(m, first, e);
}

static ft_status container(machine *m, ft_pickle_kind kind, ft_err *e)
{
    value v = { 0 };
    const ft_status s = ft_pickle_chain_new(m->p, kind, &v, e);

    return s ? s : push(m, v, e);
}

static ft_status op_list(machine *m, ft_err *e) { return container(m, FT_PICKLE_LIST, e); }
static ft_status op_dict(machine *m, ft_err *e) { return container(m, FT_PICKLE_DICT, e); }

static ft_status link(ft_pickle *p, value to, value key, value v, ft_err *e)
{
    const ft_status s = ft_pickle_grow(&p->links, &p->cap_links, p->n_links, sizeof *p->links, e);
    if (s) return s;

    ft_pickle_chain *c = &p->chains[to.i];
    p->links[p->n_links++] = (ft_pickle_link){ key, v, 0 };
    if (c->last)
        p->links[c->last - 1].next = p->n_links;
    else
        c->first = p->n_links;
    c->last = p->n_links;
    c->n++;
    return FT_OK;
}

/* Move what lies on the stack from `first` on into the container below it: `step` values at a time. */
static ft_status fill(machine *m, ft_pickle_kind kind, size_t first, ft_err *e)
{
    const size_t step = kind == FT_PICKLE_DICT ? 2 : 1, n = m->n_stack - first;

    if (first <= floor_of(m) || m->stack[first - 1].kind != kind || n % step)
        return ft_fail(e, FT_EDATA, "fills what is no %s", kind == FT_PICKLE_DICT ? "dictionary" : "list");
    for (size_t k = first; k < m->n_stack; k += step) {
        const value key = step == 2 ? m->stack[k] : (value){ 0 };
        const ft_status s = link(m->p, m->stack[first - 1], key, m->stack[k + step - 1], e);
        if (s) return s;
    }
    m->n_stack = first;
    return FT_OK;
}

static ft_status fill_marked(machine *m, ft_pickle_kind kind, ft_err *e)
{
    size_t first = 0;
    const ft_status s = end_mark(m, &first, e);

    return s ? s : fill(m, kind, first, e);
}

static ft_status fill_one(machine *m, ft_pickle_kind kind, size_t n, ft_err *e)
{
    const ft_status s = need(m, n + 1, e);

    return s ? s : fill(m, kind, m->n_stack - n, e);
}

static ft_status op_append(machine *m, ft_err *e) { return fill_one(m, FT_PICKLE_LIST, 1, e); }
static ft_status op_appends(machine *m, ft_err *e) { return fill_marked(m, FT_PICKLE_LIST, e); }
static ft_status op_item(machine *m, ft_err *e) { return fill_one(m, FT_PICKLE_DICT, 2, e); }
static ft_status op_items(machine *m, ft_err *e) { return fill_marked(m, FT_PICKLE_DICT, e); }

/* ==== The rest ==== */

static ft_status op_mark(machine *m, ft_err *e)
{
    const ft_status s = ft_pickle_grow(&m->marks, &m->cap_marks, m->n_marks, sizeof *m->marks, e);

    if (!s) m->marks[m->n_marks++] = m->n_stack;
    return s;
}

/* Memo places are given out in order, so none lies behind the end. */
static ft_status put(machine *m, uint64_t at, ft_err *e)
{
    ft_status s = need(m, 1, e);

    if (!s && at > m->n_memo) s = ft_fail(e, FT_EDATA, "memo %llu comes before %zu", (unsigned long long)at, m->n_memo);
    if (!s) s = ft_pickle_grow(&m->memo, &m->cap_memo, m->n_memo, sizeof *m->memo, e);
    if (s) return s;
    m->memo[at] = m->stack[m->n_stack - 1];
    if (at == m->n_memo) m->n_memo++;
    return FT_OK;
}

static ft_status put_number(machine *m, int bytes, ft_err *e)
{
    uint64_t at = 0;
    const ft_status s = take_number(m, bytes, &at, e);

    return s ? s : put(m, at, e);
}

static ft_status get_number(machine *m, int bytes, ft_err *e)
{
    uint64_t at = 0;
    const ft_status s = take_number(m, bytes, &at, e);

    if (s) return s;
    if (at >= m->n_memo) return ft_fail(e, FT_EDATA, "memo %llu is empty", (unsigned long long)at);
    return push(m, m->memo[at], e);
}

static ft_status op_put1(machine *m, ft_err *e) { return put_number(m, 1, e); }
static ft_status op_put4(machine *m, ft_err *e) { return put_number(m, 4, e); }
static ft_status op_memoize(machine *m, ft_err *e) { return put(m, m->n_memo, e); }
static ft_status op_get1(machine *m, ft_err *e) { return get_number(m, 1, e); }
static ft_status op_get4(machine *m, ft_err *e) { return get_number(m, 4, e); }

static ft_status op_protocol(machine *m, ft_err *e)
{
    uint64_t x = 0;
    const ft_status s = take_number(m, 1, &x, e);

    if (s || (x >= 2 && x <= 5)) return s;
    return ft_fail(e, FT_EDATA, "pickle protocol %llu; 2 to 5 are read", (unsigned long long)x);
}

static ft_status op_frame(machine *m, ft_err *e)
{
    const unsigned char *b = NULL;

    return take(m, 8, &b, e);
}

static ft_status name_value(machine *m, const char *module, size_t n, const char *name, size_t k, ft_err *e)
{
    const int known = ft_pickle_name(module, n, name, k);

    if (known >= 0) return push(m, (value){ .kind = FT_PICKLE_NAME, .i = known }, e);
    return ft_fail(
        e, FT_EDATA,
        "refers to '%.*s.%.*s', which is no tensor, storage or ordered dictionary; nothing of a pickle is executed",
        (int)(n < 60 ? n : 60), module, (int)(k < 60 ? k : 60), name);
}

static ft_status op_name(machine *m, ft_err *e)
{
    const char *module = NULL, *name = NULL;
    size_t n = 0, k = 0;

    ft_status s = take_line(m, &module, &n, e);
    if (!s) s = take_line(m, &name, &k, e);
    return s ? s : name_value(m, module, n, name, k, e);
}

static ft_status op_stack_name(machine *m, ft_err *e)
{
    const ft_status s = need(m, 2, e);
    if (s) return s;

    m->n_stack -= 2;
    const value module = m->stack[m->n_stack], name = m->stack[m->n_stack + 1];
    if (module.kind != FT_PICKLE_TEXT || name.kind != FT_PICKLE_TEXT) return ft_fail(e, FT_EDATA, "a name is no text");
    return name_value(m, module.text, module.n, name.text, name.n, e);
}

static ft_status op_persistent(machine *m, ft_err *e)
{
    value v = { 0 };

    ft_status s = need(m, 1, e);
    if (!s) s = ft_pickle_persistent(m->p, m->stack[m->n_stack - 1], &v, e);
    if (!s) m->stack[m->n_stack - 1] = v;
    return s;
}

static ft_status op_call(machine *m, ft_err *e)
{
    value v = { 0 };

    ft_status s = need(m, 2, e);
    if (s) return s;
    const value name = m->stack[m->n_stack - 2];
    if (name.kind != FT_PICKLE_NAME) return ft_fail(e, FT_EDATA, "calls what is no name");
    s = ft_pickle_call(m->p, (int)name.i, m->stack[m->n_stack - 1], &v, e);
    if (s) return s;
    m->n_stack -= 2;
    return push(m, v, e);
}

/* Attributes of an ordered dictionary (versions of modules) are passed over; nothing else has any. */
static ft_status op_build(machine *m, ft_err *e)
{
    const ft_status s = need(m, 2, e);
    if (s) return s;

    if (m->stack[m->n_stack - 2].kind != FT_PICKLE_DICT)
        return ft_fail(e, FT_EDATA, "sets attributes of what is no dictionary");
    m->n_stack--;
    return FT_OK;
}

static ft_status op_stop(machine *m, ft_err *e)
{
    m->stopped = 1;
    return need(m, 1, e);
}

static ft_status (*const instructions[256])(machine *, ft_err *) = {
    ['('] = op_mark,        [')'] = op_tuple0,    ['.'] = op_stop,    ['G'] = op_float,      ['J'] = op_int4,
    ['K'] = op_int1,        ['M'] = op_int2,      ['N'] = op_other,   ['Q'] = op_persistent, ['R'] = op_call,
    ['T'] = op_text4,       ['U'] = op_text1,     ['X'] = op_text4,   [']'] = op_list,       ['a'] = op_append,
    ['b'] = op_build,       ['c'] = op_name,      ['e'] = op_appends, ['h'] = op_get1,       ['j'] = op_get4,
    ['q'] = op_put1,        ['r'] = op_put4,      ['s'] = op_item,    ['t'] = op_tuple,      ['u'] = op_items,
    ['}'] = op_dict,        [0x80] = op_protocol, [0x85] = op_tuple1, [0x86] = op_tuple2,    [0x87] = op_tuple3,
    [0x88] = op_true,       [0x89] = op_false,    [0x8a] = op_long,   [0x8c] = op_text1,     [0x8d] = op_text8,
    [0x93] = op_stack_name, [0x94] = op_memoize,  [0x95] = op_frame,
};

static ft_status step(machine *m, ft_err *e)
{
    const unsigned char *code = NULL;

    m->start = m->p->at;
    ft_status s = take(m, 1, &code, e);
    if (!s && !instructions[*code])
        s = ft_fail(e, FT_EDATA,
                    "instruction 0x%02x, which pickles of tensors do not need; nothing of a pickle is executed", *code);
    if (!s) s = instructions[*code](m, e);
    if (s == FT_EDATA) ft_context(e, "byte %zu", m->start);
    return s;
}

ft_status ft_pickle_load(ft_pickle *p, ft_pickle_value *out, ft_err *e)
{
    machine m = { .p = p };
    ft_status s = FT_OK;

    while (!s && !m.stopped) s = step(&m, e);
    if (!s) *out = m.stack[m.n_stack - 1];
    ft_free(m.stack);
    ft_free(m.memo);
    ft_free(m.marks);
    return s;
}

void ft_pickle_free(ft_pickle *p)
{
    ft_free(p->chains);
    ft_free(p->links);
    ft_free(p->storages);
    ft_free(p->tensors);
    ft_free(p->items);
}
