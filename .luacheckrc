-- The rules of `make check` for Lua sources.
std = "lua54"
max_line_length = 132
unused_args = true
self = false
codes = true
