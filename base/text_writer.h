// How numbers look in every text form of hone. Printers use it so that what is printed parses back
// to the same bits.
#pragma once

#include <string>

namespace hone {

// C99 hex float ("0x1.8p+1"), or "inf", "-inf", "nan": exact, and never mistaken for an integer.
std::string HexFloat(double value);

}  // namespace hone
