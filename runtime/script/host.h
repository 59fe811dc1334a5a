/* runtime/script/host.h - the embedded Lua: state, modules, errors. The rest of the program sees only this.
 *
 * Who uses it: runtime/cli. What it gives to Lua: the base, string, table, math, utf8 and
 * coroutine libraries; `require` for embedded modules ("ftpipe.*"), the C modules
 * ("ftpipe.core.*") and, once a script directory is set, modules beside the script. What it
 * does not give: io, os, debug, package.loadlib, bytecode.
 */
#ifndef FT_SCRIPT_HOST_H
#define FT_SCRIPT_HOST_H

#include <stddef.h>
#include <stdio.h>

#include "core/err.h"

typedef struct ft_host ft_host;

/* Where text for the user goes: stream 1 is data, 2 is messages. */
typedef struct ft_host_sink {
    void (*write)(void *ctx, int stream, const char *text, size_t n);
    void *ctx;
    FILE *data; /* standard output, for writers that stream rows */
} ft_host_sink;

/* lua_dir (may be NULL): a directory whose files override the embedded modules. The sink must outlive the host. */
ft_status ft_host_new(ft_host **out, const char *lua_dir, const ft_host_sink *sink, ft_err *e);
void ft_host_free(ft_host *h);

/* Call function `name` of module `module` with strings; its integer result is *code (0 if it returns none).
 * On an uncaught error the message with traceback is in *message (caller frees with ft_free), status FT_EDATA. */
ft_status ft_host_call(ft_host *h, const char *module, const char *name, int argc, const char *const *argv, int *code,
                       char **message, ft_err *e);

struct lua_State;
const ft_host_sink *ft_host_get_sink(struct lua_State *L);

#endif
