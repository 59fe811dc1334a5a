-- The rules of `make check` for Lua sources.
std = "lua54"
max_line_length = 120
unused_args = true
self = false
codes = true
