/* runtime/tensor/zip.h - what lies where in a zip archive whose members are stored, not compressed.
 *
 * For files that are mapped and whose members are used in place. Nothing is decompressed and no checksum is computed.
 * Specification: PKWARE's APPNOTE.TXT, sections 4.3 (structure), 4.4 (fields) and 4.5.3 (zip64).
 */
#ifndef FT_TENSOR_ZIP_H
#define FT_TENSOR_ZIP_H

#include <stddef.h>

#include "core/err.h"

typedef struct ft_zip_member {
    const char *name; /* within the archive, without a NUL behind it */
    size_t name_length;
    size_t begin, size; /* of its bytes in the archive */
} ft_zip_member;

typedef struct ft_zip {
    size_t n;
    ft_zip_member *members; /* sorted by name */
} ft_zip;

/* Read the directory of the archive that `bytes` are; they must outlive z. Folders are left out. FT_EDATA: no zip archive, or
 * one of several volumes; a member that is compressed, encrypted, or not all within the bytes. Free z also on failure. */
ft_status ft_zip_open(ft_zip *z, const unsigned char *bytes, size_t size, ft_err *e);
void ft_zip_free(ft_zip *z);

/* The member called prefix followed by the n bytes of name, or NULL. */
const ft_zip_member *ft_zip_find(const ft_zip *z, const char *prefix, size_t prefix_length, const char *name, size_t n);

#endif
