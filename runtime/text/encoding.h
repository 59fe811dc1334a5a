/* runtime/text/encoding.h - from the tokens of the texts to an encoding; for this floor only. */
#ifndef FT_TEXT_ENCODING_H
#define FT_TEXT_ENCODING_H

#include "text/tok_internal.h"

/* Truncate, trim, lay out in windows and add special tokens. x is empty; raw[1] has no tokens without a pair. */
ft_status ft_encoding_compose(ft_encoding *x, const ft_post *post, const ft_raw *raw, bool pair,
                              const ft_encode_opts *o, ft_err *e);

#endif
