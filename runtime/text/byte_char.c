/* runtime/text/byte_char.c - bytes as characters, and back. */
#include "text/byte_char.h"

#include <pthread.h>
#include <stdbool.h>

#include "text/unicode.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static ft_byte_char table[256];
static uint8_t back[FT_BYTE_CHARS];

static bool printable(unsigned b) { return (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE; }

static void fill(void)
{
    uint32_t next = 0x100;

    for (unsigned b = 0; b < 256; b++) {
        char utf8[4];
        const uint32_t cp = printable(b) ? b : next++;
        table[b].len = (uint8_t)ft_utf8_put(utf8, cp);
        table[b].utf8[0] = utf8[0];
        table[b].utf8[1] = table[b].len > 1 ? utf8[1] : '\0';
        back[cp] = (uint8_t)b;
    }
}

const ft_byte_char *ft_byte_chars(void)
{
    pthread_once(&once, fill);
    return table;
}

int ft_byte_of_char(uint32_t cp)
{
    pthread_once(&once, fill);
    if (cp >= FT_BYTE_CHARS || (cp < 0x100 && !printable(cp))) return -1;
    return back[cp];
}
