/* tests/fuzz/fuzz_torch_file.c - any bytes as a file of torch.save: refused, or every tensor can be read whole. */
#include <stdint.h>
#include <stdlib.h>

#include "tensor/torch_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile unsigned sink;

static void read_whole(ft_safetensors *st, const char *name)
{
    ft_tensor *t = NULL;
    ft_err e;

    const ft_safetensors_info *info = ft_safetensors_find(st, name);
    if (!info || info->name != name) abort();
    if (ft_safetensors_tensor(st, name, &t, &e)) return;
    const size_t elements = (size_t)ft_shape_count(&t->shape);
    if (elements * ft_dtype_size(t->dtype) != t->bytes || t->shape.rank != info->rank) abort();
    for (size_t i = 0; i < t->bytes; i++) sink += ((const unsigned char *)t->data)[i];
    ft_tensor_release(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ft_safetensors *st = NULL;
    ft_err e;

    if (ft_torch_open_bytes(&st, data, size, "fuzz", &e)) return 0;
    for (size_t i = 0; i < ft_safetensors_count(st); i++) read_whole(st, ft_safetensors_name(st, i));
    ft_safetensors_release(st);
    return 0;
}
