/* runtime/text/pattern_ruby.h - regular expressions in Oniguruma's Ruby syntax, rewritten for PCRE2. */
#ifndef FT_TEXT_PATTERN_RUBY_H
#define FT_TEXT_PATTERN_RUBY_H

#include "core/buf.h"

/* Append n bytes of an expression as PCRE2 (with UTF, UCP and MULTILINE) has to read it. FT_EDATA names what has no
 * counterpart. Mistakes of syntax are left for PCRE2 to find. */
ft_status ft_pattern_of_ruby(ft_buf *out, const char *s, size_t n, ft_err *e);

#endif
