/* runtime/script/pack_digests.c - digests of tensors as ftpipe.core.pack writes them, without a copy of their elements. */
#include <string.h>

#include "core/sha256.h"
#include "script/bind.h"
#include "script/pack.h"

size_t ft_pack_tensor_head(const ft_tensor *t, unsigned char head[FT_PACK_TENSOR_HEAD])
{
    head[0] = 'X';
    head[1] = (unsigned char)t->dtype;
    head[2] = (unsigned char)t->shape.rank;
    for (int i = 0; i < t->shape.rank; i++) memcpy(head + 3 + 8 * i, &(uint64_t){ (uint64_t)t->shape.dim[i] }, 8);
    return 3 + 8 * (size_t)t->shape.rank;
}

/* What pack.bytes(t):sha256() gives, without a copy of the elements. */
static ft_status digest_of(const ft_tensor *t, char hex[FT_SHA256_HEX], ft_err *e)
{
    unsigned char head[FT_PACK_TENSOR_HEAD], digest[FT_SHA256_SIZE];
    ft_sha256 h;
    ft_status s = ft_sha256_init(&h, e);

    if (!s) s = ft_sha256_update(&h, FT_PACK_MAGIC, strlen(FT_PACK_MAGIC), e);
    if (!s) s = ft_sha256_update(&h, head, ft_pack_tensor_head(t, head), e);
    if (!s) s = ft_sha256_update(&h, t->data, t->bytes, e);
    if (s) {
        ft_sha256_free(&h);
        return s;
    }
    s = ft_sha256_final(&h, digest, e);
    ft_sha256_digits(digest, hex);
    return s;
}

typedef struct hashed {
    const ft_tensor *t;
    char hex[FT_SHA256_HEX];
    ft_status s;
} hashed;

int ft_pack_digests(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    const lua_Integer n = luaL_len(L, 1);
    hashed *all = lua_newuserdatauv(L, sizeof *all * (size_t)(n + 1), 0);

    for (lua_Integer i = 0; i < n; i++) {
        lua_geti(L, 1, i + 1);
        all[i].t = ft_lua_tensor(L, -1);
        if (!all[i].t->data) return luaL_error(L, "a tensor without values has no digest");
        lua_pop(L, 1);
    }
#pragma omp parallel if (n > 1)
    {
#pragma omp for schedule(dynamic)
        for (lua_Integer i = 0; i < n; i++) {
            ft_err e;
            all[i].s = digest_of(all[i].t, all[i].hex, &e);
        }
        ft_sha256_thread_end();
    }
    lua_createtable(L, (int)n, 0);
    for (lua_Integer i = 0; i < n; i++) {
        if (all[i].s) return luaL_error(L, "out of memory");
        lua_pushstring(L, all[i].hex);
        lua_seti(L, -2, i + 1);
    }
    return 1;
}
