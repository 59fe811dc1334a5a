/* runtime/core/beneath.h - paths that must not lead out of a directory, neither by ".." nor by a link.
 *
 * By openat2 where the kernel has it; else every part is opened by itself, and links are refused wherever they lead.
 */
#ifndef FT_CORE_BENEATH_H
#define FT_CORE_BENEATH_H

#include "core/buf.h"

/* Read a file beneath `root` ("" is the current directory), at most `max` bytes, appended to b. FT_EIO: it is not there or
 * cannot be read. FT_EUSAGE: the path leads out. */
ft_status ft_beneath_read(ft_buf *b, const char *root, const char *path, size_t max, ft_err *e);

/* FT_OK where the path leads to something beneath root, or to nothing there; FT_EUSAGE where it leads out. */
ft_status ft_beneath_check(const char *root, const char *path, ft_err *e);

#endif
