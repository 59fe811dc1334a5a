/* runtime/graph/op.c - finds ops by name in the table of the chosen instruction set. */
#include "graph/op.h"

#include <stdlib.h>
#include <string.h>
#ifdef FT_HAVE_V4
#include <sys/syscall.h>
#include <unistd.h>
#endif

extern const ft_op_table ft_op_table_base;
#ifdef FT_HAVE_V3
extern const ft_op_table ft_op_table_v3;
#endif
#ifdef FT_HAVE_V4
extern const ft_op_table ft_op_table_v4, ft_op_table_v4bf16, ft_op_table_v4amx;
#endif

static const ft_op_table *active;

#ifdef FT_HAVE_V3
static int has_v3(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
}
#endif

#ifdef FT_HAVE_V4
static int has_v4(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

static int has_bf16(void) { return __builtin_cpu_supports("avx512bf16"); }

/* The kernel gives the registers of tiles to processes that ask for them, where the processor has them (Linux,
 * Documentation/arch/x86/xstate.rst). Every processor with tiles so far multiplies bf16 in them. */
static int has_amx(void)
{
    enum { ASK = 0x1023, TILES = 18 };

    return syscall(SYS_arch_prctl, ASK, TILES) == 0;
}
#endif

/* Built and supported, best last. */
static int tables(const ft_op_table *out[8])
{
    int n = 0;
    out[n++] = &ft_op_table_base;
#ifdef FT_HAVE_V3
    if (has_v3()) out[n++] = &ft_op_table_v3;
#endif
#ifdef FT_HAVE_V4
    if (has_v3() && has_v4()) out[n++] = &ft_op_table_v4;
    if (has_v3() && has_v4() && has_bf16()) out[n++] = &ft_op_table_v4bf16;
    if (has_v3() && has_v4() && has_bf16() && has_amx()) out[n++] = &ft_op_table_v4amx;
#endif
    return n;
}

const ft_op_table *ft_op_active(void)
{
    const char *wanted = active ? NULL : getenv("FTPIPE_ISA");

    if (wanted) (void)ft_op_select(wanted, NULL);
    if (!active) {
        const ft_op_table *all[8];
        active = all[tables(all) - 1];
    }
    return active;
}

int ft_op_isas(const char *names[8])
{
    const ft_op_table *all[8];
    const int n = tables(all);

    for (int i = 0; i < n; i++) names[i] = all[i]->isa;
    return n;
}

ft_status ft_op_select(const char *isa, ft_err *e)
{
    const ft_op_table *all[8];
    const int n = tables(all);

    for (int i = 0; i < n; i++) {
        if (strcmp(all[i]->isa, isa) == 0) {
            active = all[i];
            return FT_OK;
        }
    }
    return ft_fail(e, FT_EUSAGE,
                   "instruction set '%s' is unknown, not built in, or not supported by this processor; "
                   "the best here is '%s'",
                   isa, all[n - 1]->isa);
}

const ft_op *ft_op_find(const char *name)
{
    for (const ft_op *const *p = ft_op_active()->ops; *p; p++)
        if (strcmp((*p)->name, name) == 0) return *p;
    return NULL;
}

const ft_optim_kernel *ft_optim_find(const char *name)
{
    for (const ft_optim_kernel *const *p = ft_op_active()->optims; *p; p++)
        if (strcmp((*p)->name, name) == 0) return *p;
    return NULL;
}
