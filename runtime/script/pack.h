/* runtime/script/pack.h - what the files of ftpipe.core.pack share: how packed values begin, and a tensor among them. */
#ifndef FT_SCRIPT_PACK_H
#define FT_SCRIPT_PACK_H

#include <stddef.h>

#include <lua.h>

#include "tensor/tensor.h"

#define FT_PACK_MAGIC "ftpack1\n"
#define FT_PACK_TENSOR_HEAD (3 + 8 * FT_MAX_RANK)

/* What stands before a tensor's elements; its length. */
size_t ft_pack_tensor_head(const ft_tensor *t, unsigned char head[FT_PACK_TENSOR_HEAD]);

/* pack.digests(tensors) -> of each what pack.bytes gives for it, as SHA-256; on all processors */
int ft_pack_digests(lua_State *L);

#endif
