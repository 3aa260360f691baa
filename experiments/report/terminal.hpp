#pragma once

#include <cstddef>
#include <cstdio>

#include "experiments/report/text_table.hpp"

namespace maskerade {

// The columns of the terminal that a stream goes to; 80 where it does not tell.
std::size_t terminal_width(std::FILE* stream);

// How tables are shown on a stream: as wide as its terminal, in colours unless the environment sets
// NO_COLOR to anything or TERM to "dumb"; kTableWidth wide and without colours where it goes to no
// terminal.
TerminalStyle terminal_style(std::FILE* stream);

}  // namespace maskerade
