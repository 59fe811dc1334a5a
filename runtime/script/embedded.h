/* runtime/script/embedded.h - the Lua sources that the program carries.
 *
 * Generated from lua/ and pipelines/ by runtime/script/embed.sh; nothing is stripped, so
 * line numbers in tracebacks are those of the files.
 */
#ifndef FT_SCRIPT_EMBEDDED_H
#define FT_SCRIPT_EMBEDDED_H

#include <stddef.h>

typedef struct ft_embedded {
    const char *name;          /* module ("ftpipe.nn"), or a pipeline's file name ("sentiment.lua") */
    const char *chunk;         /* chunk name for Lua: "@lua/ftpipe/nn.lua" */
    const unsigned char *data; /* size bytes and a zero after them */
    size_t size;
} ft_embedded;

extern const ft_embedded ft_embedded_lua[]; /* sorted by name (strcmp) */
extern const size_t ft_embedded_count;
extern const ft_embedded ft_embedded_pipelines[]; /* sorted by name (strcmp) */
extern const size_t ft_embedded_pipeline_count;

#endif
