/* runtime/tensor/torch_file.h - state dictionaries as PyTorch's torch.save writes them (pytorch_model.bin), read in place.
 *
 * Since PyTorch 1.6 a file is a zip archive of stored members: NAME/data.pkl, a pickle that describes the tensors, and
 * NAME/data/KEY for each storage. Before that it was five pickles behind each other (a magic number, a version, facts of the
 * machine, the description, the keys of the storages) and then, for each key, the number of elements and the elements. Both
 * are read; the pickles are not executed (tensor/pickle.h). The handle is that of a safetensors file: mapped, and tensors
 * are views where they lie at an address that suits them and contiguously; else copies.
 */
#ifndef FT_TENSOR_TORCH_FILE_H
#define FT_TENSOR_TORCH_FILE_H

#include "tensor/safetensors.h"

/* As ft_safetensors_open and ft_safetensors_open_bytes; tensors are listed in the order of their names in the dictionary. */
ft_status ft_torch_open(ft_safetensors **out, const char *path, ft_err *e);
ft_status ft_torch_open_bytes(ft_safetensors **out, const void *bytes, size_t n, const char *label, ft_err *e);

#endif
