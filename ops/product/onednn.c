/* ops/product/onednn.c - the oneDNN provider (C API of 2.x); the only file that sees dnnl.h.
 *
 * Optional: built only where the header is found, loaded at run time. dnnl_sgemm notices
 * that it runs inside a parallel region and stays on the calling thread.
 */
#include "ops/product/product.h"

#ifdef FT_HAVE_DNNL

#include <dlfcn.h>
#include <dnnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "ops/blocks.h"

static dnnl_status_t (*gemm)(char, char, dnnl_dim_t, dnnl_dim_t, dnnl_dim_t, float, const float *, dnnl_dim_t,
                             const float *, dnnl_dim_t, float, float *, dnnl_dim_t);

static void sgemm(int ta, int tb, int64_t M, int64_t N, int64_t K, const float *A, int64_t lda, const float *B,
                  int64_t ldb, float beta, float *C, int64_t ldc)
{
    const int threads = ft_product_alone();

    gemm(ta ? 'T' : 'N', tb ? 'T' : 'N', M, N, K, 1.0f, A, lda, B, ldb, beta, C, ldc);
    ft_product_together(threads);
}

static const char *isa_name(int isa)
{
    switch (isa) {
    case dnnl_cpu_isa_sse41: return "sse4.1";
    case dnnl_cpu_isa_avx: return "avx";
    case dnnl_cpu_isa_avx2: return "avx2";
    case dnnl_cpu_isa_avx512_core: return "avx512";
    case dnnl_cpu_isa_avx512_core_vnni: return "avx512-vnni";
    case dnnl_cpu_isa_avx512_core_bf16: return "avx512-bf16";
    default: return "other";
    }
}

/* ==== Products of bf16 ==== */

/* The functions of the library, as {type} {name}: found by name. */
static struct {
    dnnl_status_t (*engine_create)(dnnl_engine_t *, dnnl_engine_kind_t, size_t);
    dnnl_status_t (*stream_create)(dnnl_stream_t *, dnnl_engine_t, unsigned);
    dnnl_status_t (*md_by_strides)(dnnl_memory_desc_t *, int, const dnnl_dims_t, dnnl_data_type_t, const dnnl_dims_t);
    dnnl_status_t (*md_by_tag)(dnnl_memory_desc_t *, int, const dnnl_dims_t, dnnl_data_type_t, dnnl_format_tag_t);
    size_t (*md_size)(const dnnl_memory_desc_t *);
    dnnl_status_t (*matmul)(dnnl_matmul_desc_t *, const dnnl_memory_desc_t *, const dnnl_memory_desc_t *,
                            const dnnl_memory_desc_t *, const dnnl_memory_desc_t *);
    dnnl_status_t (*attr_create)(dnnl_primitive_attr_t *);
    dnnl_status_t (*attr_destroy)(dnnl_primitive_attr_t);
    dnnl_status_t (*attr_scratchpad)(dnnl_primitive_attr_t, dnnl_scratchpad_mode_t);
    dnnl_status_t (*attr_post_ops)(dnnl_primitive_attr_t, const_dnnl_post_ops_t);
    dnnl_status_t (*post_ops_create)(dnnl_post_ops_t *);
    dnnl_status_t (*post_ops_destroy)(dnnl_post_ops_t);
    dnnl_status_t (*post_ops_sum)(dnnl_post_ops_t, float);
    dnnl_status_t (*pd_create)(dnnl_primitive_desc_t *, const_dnnl_op_desc_t, const_dnnl_primitive_attr_t,
                               dnnl_engine_t, const_dnnl_primitive_desc_t);
    dnnl_status_t (*pd_destroy)(dnnl_primitive_desc_t);
    const dnnl_memory_desc_t *(*pd_query_md)(const_dnnl_primitive_desc_t, dnnl_query_t, int);
    dnnl_status_t (*primitive_create)(dnnl_primitive_t *, const_dnnl_primitive_desc_t);
    dnnl_status_t (*execute)(const_dnnl_primitive_t, dnnl_stream_t, int, const dnnl_exec_arg_t *);
    dnnl_status_t (*memory_create)(dnnl_memory_t *, const dnnl_memory_desc_t *, dnnl_engine_t, void *);
    dnnl_status_t (*memory_set)(dnnl_memory_t, void *);
} lib2;

static const struct {
    const char *name;
    void *to;
} wanted[] = {
    { "dnnl_engine_create", &lib2.engine_create },
    { "dnnl_stream_create", &lib2.stream_create },
    { "dnnl_memory_desc_init_by_strides", &lib2.md_by_strides },
    { "dnnl_memory_desc_init_by_tag", &lib2.md_by_tag },
    { "dnnl_memory_desc_get_size", &lib2.md_size },
    { "dnnl_matmul_desc_init", &lib2.matmul },
    { "dnnl_primitive_attr_create", &lib2.attr_create },
    { "dnnl_primitive_attr_destroy", &lib2.attr_destroy },
    { "dnnl_primitive_attr_set_scratchpad_mode", &lib2.attr_scratchpad },
    { "dnnl_primitive_attr_set_post_ops", &lib2.attr_post_ops },
    { "dnnl_post_ops_create", &lib2.post_ops_create },
    { "dnnl_post_ops_destroy", &lib2.post_ops_destroy },
    { "dnnl_post_ops_append_sum", &lib2.post_ops_sum },
    { "dnnl_primitive_desc_create", &lib2.pd_create },
    { "dnnl_primitive_desc_destroy", &lib2.pd_destroy },
    { "dnnl_primitive_desc_query_md", &lib2.pd_query_md },
    { "dnnl_primitive_create", &lib2.primitive_create },
    { "dnnl_primitive_execute", &lib2.execute },
    { "dnnl_memory_create", &lib2.memory_create },
    { "dnnl_memory_set_data_handle", &lib2.memory_set },
};

enum role { SRC, WEIGHTS, DST, SCRATCH, BIAS, ROLES };
static const int arg_of[ROLES] = { DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST, DNNL_ARG_SCRATCHPAD, DNNL_ARG_BIAS };

/* A primitive, and the memory objects of each thread. */
typedef struct prepared {
    ft_panel shape;
    dnnl_primitive_t primitive;
    size_t scratch;
    int n_args;
    dnnl_memory_t (*memory)[ROLES]; /* [ft_slices()] */
} prepared;

static dnnl_engine_t engine;
static dnnl_stream_t *streams; /* one for each thread */
static prepared **panels;
static size_t n_panels;

static int describe(const ft_panel *p, dnnl_memory_desc_t md[ROLES])
{
    return !lib2.md_by_strides(&md[SRC], 2, (dnnl_dims_t){ p->M, p->K }, dnnl_bf16, (dnnl_dims_t){ p->lda, 1 }) &&
           !lib2.md_by_tag(&md[WEIGHTS], 2, (dnnl_dims_t){ p->K, p->N }, dnnl_bf16, dnnl_BA16a64b2a) &&
           !lib2.md_by_strides(&md[DST], 2, (dnnl_dims_t){ p->M, p->N }, dnnl_f32, (dnnl_dims_t){ p->ldc, 1 }) &&
           !lib2.md_by_strides(&md[BIAS], 2, (dnnl_dims_t){ 1, p->N }, dnnl_f32, (dnnl_dims_t){ p->N, 1 });
}

static int make_primitive(prepared *x, dnnl_memory_desc_t md[ROLES])
{
    dnnl_matmul_desc_t d;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t post = NULL;
    dnnl_primitive_desc_t pd = NULL;
    const dnnl_memory_desc_t *bias = x->shape.bias ? &md[BIAS] : NULL;
    int ok = !lib2.matmul(&d, &md[SRC], &md[WEIGHTS], bias, &md[DST]) && !lib2.attr_create(&attr) &&
             !lib2.attr_scratchpad(attr, dnnl_scratchpad_mode_user);

    if (ok && x->shape.add)
        ok = !lib2.post_ops_create(&post) && !lib2.post_ops_sum(post, 1.0f) && !lib2.attr_post_ops(attr, post);
    ok = ok && !lib2.pd_create(&pd, &d, attr, engine, NULL) && !lib2.primitive_create(&x->primitive, pd);
    if (ok) md[SCRATCH] = *lib2.pd_query_md(pd, dnnl_query_scratchpad_md, 0);
    if (ok) x->scratch = lib2.md_size(&md[SCRATCH]);
    if (pd) lib2.pd_destroy(pd);
    if (post) lib2.post_ops_destroy(post);
    if (attr) lib2.attr_destroy(attr);
    return ok;
}

static int make_panel(prepared *x)
{
    dnnl_memory_desc_t md[ROLES];
    const int threads = ft_product_alone(); /* a primitive is made for a number of threads */
    int ok = describe(&x->shape, md) && make_primitive(x, md);

    ft_product_together(threads);
    x->n_args = x->shape.bias ? ROLES : ROLES - 1;
    x->memory = ok ? ft_calloc((size_t)ft_slices(), sizeof *x->memory) : NULL;
    ok = ok && x->memory;
    for (int s = 0; s < ft_slices() && ok; s++)
        for (int k = 0; k < x->n_args && ok; k++)
            ok = !lib2.memory_create(&x->memory[s][k], &md[k], engine, DNNL_MEMORY_NONE);
    return ok;
}

static ft_status prepare(const ft_panel *shape, const void **out, size_t *scratch, ft_err *e)
{
    prepared *x = NULL;

    for (size_t i = 0; i < n_panels && !x; i++)
        if (memcmp(&panels[i]->shape, shape, sizeof *shape) == 0) x = panels[i];
    if (!x) {
        prepared **more = ft_realloc((void *)panels, (n_panels + 1) * sizeof *panels);
        if (more) panels = more;
        x = more ? ft_calloc(1, sizeof *x) : NULL;
        if (!x) return ft_fail_mem(e, sizeof *x);
        x->shape = *shape;
        if (!make_panel(x)) {
            ft_free(x);
            return ft_fail(e, FT_EUSAGE, "oneDNN cannot multiply bf16 panels of %lldx%lldx%lld", (long long)shape->M,
                           (long long)shape->N, (long long)shape->K);
        }
        panels[n_panels++] = x;
        ft_product_count_prepared();
    }
    *out = x;
    if (x->scratch > *scratch) *scratch = x->scratch;
    return FT_OK;
}

static void multiply(const void *panel, int seat, const uint16_t *A, const uint16_t *B, const float *bias, float *C,
                     void *scratch)
{
    const prepared *x = panel;
    void *const at[ROLES] = { (void *)(uintptr_t)A, (void *)(uintptr_t)B, C, scratch, (void *)(uintptr_t)bias };
    dnnl_exec_arg_t args[ROLES];
    const int threads = ft_product_alone();

    for (int k = 0; k < x->n_args; k++) {
        args[k] = (dnnl_exec_arg_t){ arg_of[k], x->memory[seat][k] };
        lib2.memory_set(args[k].memory, at[k]);
    }
    lib2.execute(x->primitive, streams[seat], x->n_args, args);
    ft_product_together(threads);
}

/* Where anything is missing, no_bf16 says what. */
static void open_bf16(ft_product *p, void *lib, int isa)
{
    if (getenv("FTPIPE_NO_BF16")) {
        snprintf(p->no_bf16, sizeof p->no_bf16, "FTPIPE_NO_BF16 is set");
        return;
    }
    if ((isa & dnnl_cpu_isa_avx512_core_bf16) != dnnl_cpu_isa_avx512_core_bf16) {
        snprintf(p->no_bf16, sizeof p->no_bf16, "this processor has no bf16 instructions (avx512_bf16)");
        return;
    }
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        void *f = dlsym(lib, wanted[i].name);
        if (!f) snprintf(p->no_bf16, sizeof p->no_bf16, "this oneDNN lacks %s", wanted[i].name);
        memcpy(wanted[i].to, &f, sizeof f);
    }
    int ok = !p->no_bf16[0] && (engine || !lib2.engine_create(&engine, dnnl_cpu, 0));
    if (ok && !streams) {
        streams = ft_calloc((size_t)ft_slices(), sizeof *streams);
        ok = streams != NULL;
        for (int s = 0; s < ft_slices() && ok; s++)
            ok = !lib2.stream_create(&streams[s], engine, dnnl_stream_default_flags);
    }
    if (!ok && !p->no_bf16[0]) snprintf(p->no_bf16, sizeof p->no_bf16, "oneDNN gives no engine");
    p->prepare = prepare;
    p->multiply = multiply;
}

ft_status ft_product_open_onednn(ft_product *p, ft_err *e)
{
    union {
        void *object;
        void (*function)(void);
    } f, version, isa;
    void *lib = dlopen("libdnnl.so.2", RTLD_NOW | RTLD_LOCAL);

    if (!lib) return ft_fail(e, FT_EUSAGE, "oneDNN is not installed: %s", dlerror());
    f.object = dlsym(lib, "dnnl_sgemm");
    version.object = dlsym(lib, "dnnl_version");
    isa.object = dlsym(lib, "dnnl_get_effective_cpu_isa");
    if (!f.object || !version.object || !isa.object)
        return ft_fail(e, FT_EUSAGE, "this oneDNN lacks a function that is needed");

    gemm = (dnnl_status_t(*)(char, char, dnnl_dim_t, dnnl_dim_t, dnnl_dim_t, float, const float *, dnnl_dim_t,
                             const float *, dnnl_dim_t, float, float *, dnnl_dim_t))f.function;
    const dnnl_version_t *v = ((const dnnl_version_t *(*)(void))version.function)();
    p->name = "onednn";
    p->sgemm = sgemm;
    open_bf16(p, lib, (int)((dnnl_cpu_isa_t(*)(void))isa.function)());
    snprintf(p->version, sizeof p->version, "%d.%d.%d", v->major, v->minor, v->patch);
    snprintf(p->kernel, sizeof p->kernel, "%s", isa_name((int)((dnnl_cpu_isa_t(*)(void))isa.function)()));
    return FT_OK;
}

#else

ft_status ft_product_open_onednn(ft_product *p, ft_err *e)
{
    (void)p;
    return ft_fail(e, FT_EUSAGE, "this build of ftpipe has no oneDNN");
}

#endif
