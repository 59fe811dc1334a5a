/* runtime/text/byte_char.h - the characters that stand for bytes in byte-level vocabularies.
 *
 * Radford et al. 2019, "Language Models are Unsupervised Multitask Learners": each of the 256 bytes is written as a
 * printable character, itself where it is one, else U+0100 and up in order. A blank is U+0120.
 */
#ifndef FT_TEXT_BYTE_CHAR_H
#define FT_TEXT_BYTE_CHAR_H

#include <stddef.h>
#include <stdint.h>

enum { FT_BYTE_CHARS = 0x144, FT_BYTE_BLANK = 0x120 }; /* one above the greatest of them; the blank's */

typedef struct ft_byte_char {
    uint8_t len; /* bytes of UTF-8, 1 or 2 */
    char utf8[2];
} ft_byte_char;

/* (256) */
extern const ft_byte_char *ft_byte_chars(void);

/* The byte that a character stands for, or -1. */
int ft_byte_of_char(uint32_t cp);

#endif
