/* tests/fuzz/fuzz_answer.c - normal forms of answers and places that cut characters, for any bytes.
 *
 * A normal form is UTF-8, no longer than three times its text, holds no two blanks in a row, none at its ends, and is its own
 * normal form unless dropping an article has joined or bared something.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "text/answer.h"
#include "text/unicode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_form(const ft_buf *b, size_t size)
{
    ft_err e;

    if (b->len > 3 * size || ft_utf8_check(b->data ? b->data : "", b->len, &e)) abort();
    if (b->len && (b->data[0] == ' ' || b->data[b->len - 1] == ' ')) abort();
    for (size_t i = 0; i + 1 < b->len; i++)
        if (b->data[i] == ' ' && b->data[i + 1] == ' ') abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ft_err e;
    ft_buf b = { 0 };
    char *text = malloc(size ? size : 1);

    if (!text) return 0;
    if (size) memcpy(text, data, size);
    const int text_is_fine = ft_utf8_check(text, size, &e) == FT_OK;
    if ((ft_answer_normalise(text, size, &b, &e) == FT_OK) != text_is_fine) abort();
    if (text_is_fine) {
        check_form(&b, size);
        if (ft_text_cuts(text, size, 0) || ft_text_cuts(text, size, size)) abort();
        for (size_t i = 1; i < size; i++)
            if (((unsigned char)text[i] & 0xC0) == 0x80 && !ft_text_cuts(text, size, i)) abort();
    }
    ft_buf_free(&b);
    free(text);
    return 0;
}
