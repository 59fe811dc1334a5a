/* ops/product/openblas.c - the OpenBLAS provider; the only file that sees cblas.h.
 *
 * Loaded at run time, so that commands that multiply nothing do not pay for it. The
 * OpenMP build is preferred (one thread pool in the process); whichever is found is
 * told to use one thread, because the panels are handed out by us.
 */
#include <cblas.h>
#include <dlfcn.h>
#include <omp.h>
#include <stdio.h>

#include "ops/product/product.h"

static void (*gemm)(enum CBLAS_ORDER, enum CBLAS_TRANSPOSE, enum CBLAS_TRANSPOSE, blasint, blasint, blasint, float,
                    const float *, blasint, const float *, blasint, float, float *, blasint);

static void sgemm(int ta, int tb, int64_t M, int64_t N, int64_t K, const float *A, int64_t lda, const float *B,
                  int64_t ldb, float beta, float *C, int64_t ldc)
{
    const int threads = ft_product_alone();

    gemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, (blasint)M, (blasint)N,
         (blasint)K, 1.0f, A, (blasint)lda, B, (blasint)ldb, beta, C, (blasint)ldc);
    ft_product_together(threads);
}

/* dlsym gives an object pointer; C wants the detour over a union to make it a function. */
static int symbol(void *lib, const char *name, void (**f)(void))
{
    union {
        void *object;
        void (*function)(void);
    } u = { dlsym(lib, name) };
    *f = u.function;
    return u.object != NULL;
}

ft_status ft_product_open_openblas(ft_product *p, ft_err *e)
{
    static const char *const names[] = { FT_OPENBLAS_PATHS "libopenblas.so.0", "libopenblas.so" };
    void *lib = NULL;
    void (*f)(void), (*threads)(void), (*core)(void), (*config)(void);

    for (size_t i = 0; i < sizeof names / sizeof *names && !lib; i++) lib = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!lib) return ft_fail(e, FT_EUSAGE, "OpenBLAS is not installed: %s", dlerror());
    if (!symbol(lib, "cblas_sgemm", &f) || !symbol(lib, "openblas_set_num_threads", &threads) ||
        !symbol(lib, "openblas_get_corename", &core) || !symbol(lib, "openblas_get_config", &config))
        return ft_fail(e, FT_EUSAGE, "this OpenBLAS lacks a function that is needed");

    gemm = (void (*)(enum CBLAS_ORDER, enum CBLAS_TRANSPOSE, enum CBLAS_TRANSPOSE, blasint, blasint, blasint, float,
                     const float *, blasint, const float *, blasint, float, float *, blasint))f;
    const int pool = omp_get_max_threads(); /* the OpenMP build would change the pool's size as well */
    ((void (*)(int))threads)(1);
    omp_set_num_threads(pool);
    p->name = "openblas";
    p->sgemm = sgemm;
    snprintf(p->no_bf16, sizeof p->no_bf16, "OpenBLAS is in use, which has float32 products only");
    char version[32] = "?";
    sscanf(((char *(*)(void))config)(), "OpenBLAS %31s", version);
    snprintf(p->version, sizeof p->version, "%s", version);
    snprintf(p->kernel, sizeof p->kernel, "%s", ((char *(*)(void))core)());
    return FT_OK;
}
