/* runtime/script/lib_sys.c - "ftpipe.core.sys": clock, terminal, memory figures, random numbers, processor facts.
 *
 * Printing goes through the two sinks that the command line gave to the host, so that
 * only runtime/cli decides what reaches the user.
 */
#include <errno.h>
#include <omp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "core/interrupt.h"
#include "core/mem.h"
#include "core/nearest.h"
#include "core/rng.h"
#include "ops/product/bf16.h"
#include "ops/product/kept.h"
#include "ops/product/product.h"
#include "script/bind.h"
#include "script/host.h"
#include "script/libs.h"

static int sys_now(lua_State *L)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    lua_pushnumber(L, (lua_Number)t.tv_sec + 1e-9 * (lua_Number)t.tv_nsec);
    return 1;
}

/* sys.date() -> "2026-11-23T10:00:00Z" */
static int sys_date(lua_State *L)
{
    char text[32];
    struct tm tm;
    const time_t now = time(NULL);
    gmtime_r(&now, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    lua_pushstring(L, text);
    return 1;
}

static int sys_print(lua_State *L, int stream)
{
    size_t n;
    const char *text = luaL_checklstring(L, 1, &n);
    const ft_host_sink *sink = ft_host_get_sink(L);
    if (sink && sink->write) sink->write(sink->ctx, stream, text, n);
    return 0;
}

static int sys_out(lua_State *L) { return sys_print(L, 1); }
static int sys_err(lua_State *L) { return sys_print(L, 2); }

/* sys.terminal() -> columns when messages go to a terminal, else nil */
static int sys_terminal(lua_State *L)
{
    struct winsize w;
    if (!isatty(2))
        lua_pushnil(L);
    else
        lua_pushinteger(L, !ioctl(2, TIOCGWINSZ, &w) && w.ws_col ? w.ws_col : 80);
    return 1;
}

static int sys_getenv(lua_State *L)
{
    lua_pushstring(L, getenv(luaL_checkstring(L, 1)));
    return 1;
}

/* sys.memory() -> { live, peak, kept, system, resident } in bytes; resident is the peak of the whole process */
static int sys_memory(lua_State *L)
{
    const ft_mem_stats m = ft_mem_get();
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    lua_createtable(L, 0, 5);
    lua_pushinteger(L, (lua_Integer)m.live);
    lua_setfield(L, -2, "live");
    lua_pushinteger(L, (lua_Integer)m.peak);
    lua_setfield(L, -2, "peak");
    lua_pushinteger(L, (lua_Integer)m.kept);
    lua_setfield(L, -2, "kept");
    lua_pushinteger(L, (lua_Integer)m.system);
    lua_setfield(L, -2, "system");
    lua_pushinteger(L, (lua_Integer)u.ru_maxrss * 1024);
    lua_setfield(L, -2, "resident");
    return 1;
}

/* sys.memory_limit(bytes) sets the ceiling, 0 for none; sys.memory_limit() -> the ceiling, or nil */
static int sys_memory_limit(lua_State *L)
{
    if (!lua_isnone(L, 1)) ft_mem_set_limit((size_t)luaL_checkinteger(L, 1));
    const size_t limit = ft_mem_get().limit;
    if (limit)
        lua_pushinteger(L, (lua_Integer)limit);
    else
        lua_pushnil(L);
    return 1;
}

/* sys.memory_reset_peak(): let the peak begin anew at what is held now */
static int sys_memory_reset_peak(lua_State *L)
{
    (void)L;
    ft_mem_reset_peak();
    return 0;
}

/* sys.forget_layouts(): give back what products keep of weights in other layouts; it is made again when it is needed */
static int sys_forget_layouts(lua_State *L)
{
    (void)L;
    ft_kept_forget();
    return 0;
}

/* sys.block_size(bytes) -> what a tensor of so many bytes counts */
static int sys_block_size(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)ft_block_size((size_t)luaL_checkinteger(L, 1)));
    return 1;
}

/* sys.threads() -> n; sys.threads(n) sets the pool's size */
static int sys_threads(lua_State *L)
{
    if (!lua_isnone(L, 1)) {
        const lua_Integer n = luaL_checkinteger(L, 1);
        luaL_argcheck(L, n >= 1 && n <= 1024, 1, "threads: 1 to 1024");
        omp_set_num_threads((int)n);
    }
    lua_pushinteger(L, omp_get_max_threads());
    return 1;
}

/* sys.isa() -> name in use, { all supported }; sys.isa(name) chooses */
static int sys_isa(lua_State *L)
{
    ft_err e;
    const char *names[8];
    if (!lua_isnoneornil(L, 1) && ft_op_select(luaL_checkstring(L, 1), &e)) return ft_lua_nil(L, &e);
    lua_pushstring(L, ft_op_active()->isa);
    const int n = ft_op_isas(names);
    lua_createtable(L, n, 0);
    for (int i = 0; i < n; i++) {
        lua_pushstring(L, names[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 2;
}

/* sys.product([name]) -> { name, version, kernel, note }, or nil, message */
static int sys_product(lua_State *L)
{
    ft_err e;
    char note[256] = "";
    if (!lua_isnoneornil(L, 1) && ft_product_select(luaL_checkstring(L, 1), note, &e)) return ft_lua_nil(L, &e);
    const ft_product *p = ft_product_active(&e);
    if (!p) return ft_lua_nil(L, &e);
    lua_createtable(L, 0, 4);
    lua_pushstring(L, p->name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, p->version);
    lua_setfield(L, -2, "version");
    lua_pushstring(L, p->kernel);
    lua_setfield(L, -2, "kernel");
    lua_pushstring(L, note);
    lua_setfield(L, -2, "note");
    return 1;
}

/* One product of ones; in bf16 as the map of R rows that has it. */
typedef struct timed {
    int form;
    int64_t M, N, K;
    float *x, *w, *y;
    const ft_bf16_map *map; /* NULL: float32 */
} timed;

static void once(const timed *t)
{
    const int64_t M = t->M, N = t->N, K = t->K;

    if (t->map && t->form == 0)
        ft_bf16_forward(t->map, t->x, NULL, t->y);
    else if (t->map && t->form == 1)
        ft_bf16_grad_x(t->map, t->x, 0, t->y);
    else if (t->map)
        ft_bf16_grad_w(t->map, t->x, t->w, 0, t->y);
    else if (t->form == 0)
        ft_product_nt(M, N, K, t->x, K, t->w, K, NULL, 0, t->y, N);
    else if (t->form == 1)
        ft_product_nn(M, N, K, t->x, K, t->w, N, NULL, 0, t->y, N);
    else
        ft_product_tn(M, N, K, t->x, M, t->w, N, 0, t->y, N);
}

/* The map whose product this is, with its workspace; bytes of that in *work. */
static ft_status map_for(const timed *t, ft_bf16_map *m, size_t *work, ft_err *e)
{
    *m = t->form == 0   ? (ft_bf16_map){ .R = t->M, .O = t->N, .I = t->K, .w = t->w }
         : t->form == 1 ? (ft_bf16_map){ .R = t->M, .O = t->K, .I = t->N, .w = t->w }
                        : (ft_bf16_map){ .R = t->K, .O = t->M, .I = t->N, .w = t->w };
    const ft_status s = ft_bf16_prepare(m, e);
    if (s) return s;
    *work = ft_bf16_work(m, 1);
    m->work = ft_block_alloc(*work);
    return m->work ? FT_OK : ft_fail_mem(e, *work);
}

/* sys.product_time("nt"|"nn"|"tn", M, N, K, repeats, precision = "f32") -> seconds for all repeats, on matrices of ones */
static int sys_product_time(lua_State *L)
{
    static const char *const forms[] = { "nt", "nn", "tn", NULL }, *const precisions[] = { "f32", "bf16", NULL };
    ft_err e;
    timed p = { .form = luaL_checkoption(L, 1, NULL, forms),
                .M = luaL_checkinteger(L, 2),
                .N = luaL_checkinteger(L, 3),
                .K = luaL_checkinteger(L, 4) };
    const int64_t repeats = luaL_checkinteger(L, 5), n = p.M * p.K + p.K * p.N + p.M * p.N;
    const int bf16 = luaL_checkoption(L, 6, "f32", precisions);
    ft_bf16_map map = { 0 };
    size_t work = 0;
    struct timespec a, b;

    if (!ft_product_active(&e)) return ft_lua_raise(L, &e);
    const size_t bytes = sizeof(float) * (size_t)n;
    p.x = ft_block_alloc(bytes);
    ft_status s = p.x ? FT_OK : ft_fail_mem(&e, bytes);
    for (int64_t i = 0; i < n && !s; i++) p.x[i] = 1.0f;
    p.w = p.x + p.M * p.K;
    p.y = p.w + p.K * p.N;
    if (!s && bf16) s = ft_product_bf16(&e);
    if (!s && bf16) s = map_for(&p, &map, &work, &e);
    if (!s && bf16) p.map = &map;
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (int64_t r = 0; r < repeats && !s; r++) once(&p);
    clock_gettime(CLOCK_MONOTONIC, &b);
    ft_block_free(map.work, work);
    ft_block_free(p.x, bytes);
    if (s) return ft_lua_raise(L, &e);
    lua_pushnumber(L, (lua_Number)(b.tv_sec - a.tv_sec) + 1e-9 * (lua_Number)(b.tv_nsec - a.tv_nsec));
    return 1;
}

/* sys.bf16() -> true, or nil and why products in bf16 are not to be had */
static int sys_bf16(lua_State *L)
{
    ft_err e;
    if (ft_product_bf16(&e)) return ft_lua_nil(L, &e);
    lua_pushboolean(L, 1);
    return 1;
}

/* sys.prepared() -> panels prepared so far */
static int sys_prepared(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)ft_product_prepared());
    return 1;
}

/* sys.nearest(word, { choices }) -> the closest choice, or nil */
static int sys_nearest(lua_State *L)
{
    const char *word = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    const lua_Integer n = luaL_len(L, 2);
    const char **choices = lua_newuserdatauv(L, (size_t)n * sizeof *choices + 1, 0);
    for (lua_Integer i = 0; i < n; i++) {
        lua_geti(L, 2, i + 1);
        choices[i] = luaL_checkstring(L, -1); /* the table keeps it */
        lua_pop(L, 1);
    }
    lua_pushstring(L, ft_nearest(word, choices, (size_t)n));
    return 1;
}

/* ==== Random numbers: functions of (seed, site, n) ==== */

static ft_rng_key key(lua_State *L) { return ft_rng_site((uint64_t)luaL_checkinteger(L, 1), luaL_checkstring(L, 2)); }

/* sys.random(seed, site, n, below) -> integer in [0, below) */
static int sys_random(lua_State *L)
{
    const lua_Integer below = luaL_checkinteger(L, 4);
    luaL_argcheck(L, below > 0, 4, "must be positive");
    lua_pushinteger(L, (lua_Integer)ft_rng_below(key(L), (uint64_t)luaL_checkinteger(L, 3), (uint64_t)below));
    return 1;
}

/* sys.shuffle(seed, site, n) -> permutation of 1..n */
static int sys_shuffle(lua_State *L)
{
    const ft_rng_key k = key(L);
    const lua_Integer n = luaL_checkinteger(L, 3);
    luaL_argcheck(L, n >= 0 && n < INT32_MAX, 3, "out of range");
    int32_t *order = lua_newuserdatauv(L, (size_t)n * sizeof *order + 1, 0);
    ft_rng_shuffle(k, order, (size_t)n);
    lua_createtable(L, (int)n, 0);
    for (lua_Integer i = 0; i < n; i++) {
        lua_pushinteger(L, order[i] + 1);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* sys.interrupted() -> how often Ctrl-C (SIGINT) or SIGTERM came */
static int sys_interrupted(lua_State *L)
{
    lua_pushinteger(L, ft_interrupt_count());
    return 1;
}

/* sys.catch_interrupts([quietly]): the first signal only counts, the second ends the process */
static int sys_catch_interrupts(lua_State *L)
{
    ft_interrupt_catch(lua_toboolean(L, 1));
    return 0;
}

#if defined __has_feature
#if __has_feature(address_sanitizer)
#define OWN_HANDLERS
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define OWN_HANDLERS
#endif

#ifdef OWN_HANDLERS
static void speak_of_crashes(const char *text) { (void)text; }
#else
/* What is said when this process crashes; only write and raise are safe then. */
static char crash_text[2048];

static void on_crash(int signal_number)
{
    if (write(2, crash_text, strlen(crash_text)) < 0) errno = EIO;
    raise(signal_number); /* the default is back in place */
}

static void speak_of_crashes(const char *text)
{
    static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };
    struct sigaction a;

    snprintf(crash_text, sizeof crash_text, "%s", text);
    memset(&a, 0, sizeof a);
    a.sa_handler = *crash_text ? on_crash : SIG_DFL;
    a.sa_flags = (int)(SA_RESETHAND | SA_NODEFER | SA_ONSTACK);
    ft_signal_stack();
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &a, NULL);
}
#endif

/* sys.on_crash(text): say this if the process crashes; "" says nothing. A sanitizer keeps its own handlers. */
static int sys_on_crash(lua_State *L)
{
    speak_of_crashes(luaL_checkstring(L, 1));
    return 0;
}

static int sys_pid(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)getpid());
    return 1;
}

/* sys.executable() -> the path of this program, links followed; "" where the system does not tell */
static int sys_executable(lua_State *L)
{
    char path[4096];
    const ssize_t n = readlink("/proc/self/exe", path, sizeof path);
    lua_pushlstring(L, path, n > 0 ? (size_t)n : 0);
    return 1;
}

static const luaL_Reg functions[] = {
    { "now", sys_now },
    { "date", sys_date },
    { "out", sys_out },
    { "err", sys_err },
    { "terminal", sys_terminal },
    { "getenv", sys_getenv },
    { "memory", sys_memory },
    { "memory_limit", sys_memory_limit },
    { "memory_reset_peak", sys_memory_reset_peak },
    { "forget_layouts", sys_forget_layouts },
    { "block_size", sys_block_size },
    { "threads", sys_threads },
    { "isa", sys_isa },
    { "product", sys_product },
    { "product_time", sys_product_time },
    { "bf16", sys_bf16 },
    { "prepared", sys_prepared },
    { "nearest", sys_nearest },
    { "random", sys_random },
    { "shuffle", sys_shuffle },
    { "interrupted", sys_interrupted },
    { "catch_interrupts", sys_catch_interrupts },
    { "on_crash", sys_on_crash },
    { "pid", sys_pid },
    { "executable", sys_executable },
    { NULL, NULL },
};

int ft_open_sys(lua_State *L)
{
    luaL_newlib(L, functions);
    return 1;
}
