/* runtime/graph/op.h - what an operation is.
 *
 * An op is one file under ops/: it infers shapes, states its cost, and computes
 * forward and backward. The tape (graph/tape.h) allocates and frees; a kernel never
 * does and cannot fail: shapes and workspace are settled before it runs.
 *
 * An input's gradient is NULL (frozen: skip its work, not only its store), to be
 * stored into (add[i] == 0, memory uninitialised) or to be added to (add[i] == 1).
 *
 * Kernels are compiled once for each instruction set from the same source; FT_OP(name)
 * makes the symbol, and graph/op.c chooses a whole table at start-up.
 */
#ifndef FT_GRAPH_OP_H
#define FT_GRAPH_OP_H

#include "core/rng.h"
#include "tensor/ragged.h"
#include "tensor/tensor.h"

#define FT_OP_IN 8
#define FT_OP_SAVED 2
#define FT_KEPT_MOST ((size_t)512 << 20) /* bytes of weights in other layouts */

#ifndef FT_ISA
#define FT_ISA base
#endif
#define FT_OP_PASTE2(a, b) a##_##b
#define FT_OP_PASTE(a, b) FT_OP_PASTE2(a, b)
#define FT_KERNEL(name) FT_OP_PASTE(name, FT_ISA) /* for any function shared between ops files */
#define FT_OP(name) FT_KERNEL(ft_op_##name)

/* What the caller of an op chooses. Which f[] and i[] mean what is said in the op's file. */
typedef struct ft_op_attr {
    double f[4];
    int64_t i[6];
    const ft_ragged *rows; /* ragged ops and dropout; the tape keeps it alive */
    ft_rng_key key;        /* dropout: site and seed */
    uint64_t update;       /* dropout: which update */
    int training;          /* 0: dropout is the identity */
    int bf16;              /* 1: products of weights have their operands rounded to bf16; only where ft_product_bf16 */
} ft_op_attr;

typedef struct ft_op_call {
    const struct ft_op *op;
    int n_in;
    const ft_tensor *in[FT_OP_IN]; /* an optional input may be NULL */
    ft_tensor *out;
    ft_tensor *saved[FT_OP_SAVED]; /* made in forward, read in backward; NULL if not asked for */
    ft_op_attr attr;
    void *work; /* work_forward or work_backward bytes, 64-byte aligned, not zeroed */

    const ft_tensor *d_out; /* backward only, never NULL */
    ft_tensor *d_in[FT_OP_IN];
    int add[FT_OP_IN];
} ft_op_call;

/* Result of infer. */
typedef struct ft_op_spec {
    ft_dtype dtype;
    ft_shape shape; /* of the output */
    ft_dtype saved_dtype[FT_OP_SAVED];
    ft_shape saved[FT_OP_SAVED];        /* rank -1: not used (the initial state) */
    size_t work_forward, work_backward; /* bytes */
    size_t keeps_forward;               /* bytes of blocks that stay when it has run, FT_KEPT_MOST in all at most */
    size_t keeps_backward;              /* the same of backward, where in[0] has a gradient */
    double flops, bytes;                /* of forward; backward counts twice the flops */
} ft_op_spec;

typedef struct ft_op {
    const char *name;
    int min_in, max_in;
    unsigned keeps_in; /* bit i: backward reads in[i], so its value must live until then */
    int keeps_out;     /* backward reads out */
    int cheap;         /* forward costs so little that backward may run it again for whoever reads out */
    unsigned no_grad;  /* bit i: in[i] never has a gradient (ids, labels) */
    unsigned
        in_place; /* bit i: d_in[i] may lie where in[i] does: backward reads each number before it writes its gradient */
    unsigned touches; /* bit i: forward reads few lines of in[i], and settles those (graph/lazy.h); backward writes and
                       * marks few of d_in[i] (`touched`) */
    /* c->in, n_in and attr are set (data may be NULL: shapes only). Fails with FT_ESHAPE or FT_EUSAGE. */
    ft_status (*infer)(const ft_op_call *c, ft_op_spec *s, ft_err *e);
    void (*forward)(const ft_op_call *c);
    void (*backward)(const ft_op_call *c); /* NULL: not differentiable */
} ft_op;

#define FT_OPTIM_BLOCK FT_TOUCH /* weights that sleep together */
struct ft_lazy;

/* One parameter's part in an update. Which hyper[] mean what is said in the kernel's file. awake has a byte for each
 * FT_OPTIM_BLOCK weights, 0 where both moments are zero: there the kernel may leave the moments alone as long as the gradient
 * is zero too, if the weights get the same bits; it sets what wakes up. NULL: all are awake. touched is that of the gradient
 * (tensor.h). Where lazy is not NULL, the kernel may note there by what it would have to multiply all weights that sleep
 * (graph/lazy.h), one factor for each update. */
typedef struct ft_optim_job {
    float *w;
    const float *g;
    float *m, *v;     /* NULL beyond the kernel's number of moments */
    int64_t n, lines; /* weights, of which so many lines of one length are a matrix; 0: no matrix */
    uint64_t weight;  /* ft_tensor.weight */
    float hyper[8];
    uint8_t *awake;
    const uint8_t *touched;
    struct ft_lazy *lazy;
    struct {
        void *layouts[3];
        int64_t lines, laid, first, slept;
    } own; /* the kernel's notes; no need to set them */
} ft_optim_job;

/* An optimiser's kernel: updates all weights in one pass; right after it, ft_weights_changed. Returns the bytes read and
 * written. */
typedef struct ft_optim_kernel {
    const char *name;
    int moments; /* 0, 1 or 2 arrays of state */
    int64_t (*update)(ft_optim_job *jobs, size_t n);
} ft_optim_kernel;

struct ft_panel; /* ops/product/product.h */

/* All ops for one instruction set; ends with NULL. */
typedef struct ft_op_table {
    const char *isa;
    const ft_op *const *ops;
    const ft_optim_kernel *const *optims;
    /* sum of squares of n floats, by fixed chunks (same bits for any thread count); NaN and Inf propagate. With touched (may be
     * NULL) what is not marked there is zero; 1,024 numbers without a mark are not read. */
    double (*square_sum)(const float *x, int64_t n, const uint8_t *touched);
    /* Bring blocks [first, end) of the n weights to where they would be without notes; see graph/lazy.h. */
    void (*settle)(struct ft_lazy *z, float *w, int64_t n, int64_t first, int64_t end);
    const struct ft_layouts *layouts; /* ops/product/layouts.h */
    int tiles;                        /* products of tiles by matrix instructions (ops/tile_bf16.h), and */
    void (*panel)(const struct ft_panel *p, const uint16_t *A, const uint16_t *B, const float *bias, float *C);
} ft_op_table;

/* The table in use: what ft_op_select chose, else what FTPIPE_ISA names if that is to be had, else the best there is. */
const ft_op_table *ft_op_active(void);
/* Choose by name ("base", "v3", "v4", "v4bf16", "v4amx"); FT_EUSAGE if unknown, not built or not supported here. */
ft_status ft_op_select(const char *isa, ft_err *e);
/* Names of built and supported sets, best last; returns their count. */
int ft_op_isas(const char *names[8]);

const ft_op *ft_op_find(const char *name); /* NULL if there is none */
const ft_optim_kernel *ft_optim_find(const char *name);

#endif
