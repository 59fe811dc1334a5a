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
